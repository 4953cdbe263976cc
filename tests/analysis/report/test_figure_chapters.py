"""The chapters that are pictures above all: there where a run has the data, few where it has many conditions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from analysis import frames, views
from analysis.frames import Run
from analysis.report import deliveries, figure_chapters
from analysis.report.document import Picture, Section
from harness.schema import WarningKind, WarningRecord, warning
from tests.analysis.canned import QUICK, Setting, make_run
from tests.analysis.canned_cell import CannedModel
from tests.analysis.canned_time import add_time

TRANSPORTS = tuple({"transport": name} for name in ("tcp", "udp", "ws"))
STEAL = warning(WarningKind.STEAL, share=0.1)
PAUSES = warning(WarningKind.PAUSES, share=0.1)
SHORT = warning(WarningKind.SHORT, requests=10)


def draw(stem: str, words: str, figure: Figure) -> Picture:
    assert figure.axes
    return Picture(stem, words, "")


def read(folder: Path, models: Sequence[CannedModel], **setting: Any) -> Run:
    return frames.read(make_run(folder, models, Setting(**setting)).folder)


def pictures(sections: Sequence[Section]) -> list[str]:
    return [block.stem for section in sections for block in section.blocks if isinstance(block, Picture)]


def heat_maps(run: Run) -> list[str]:
    return pictures(list(figure_chapters.heat_map(views.conditions(run), draw)))


def trade_offs(run: Run) -> list[str]:
    return pictures(list(figure_chapters.trade_off(views.conditions(run), draw)))


def test_one_condition_has_no_heat_map_and_two_have_one(tmp_path: Path) -> None:
    assert heat_maps(read(tmp_path / "one", QUICK[:2], rounds=1)) == []
    assert heat_maps(read(tmp_path / "two", QUICK[:2], rounds=1, conditions=TRANSPORTS[:2])) == ["heat-map-0"]


def test_conditions_without_closed_load_have_no_heat_map(tmp_path: Path) -> None:
    run = read(tmp_path / "run", QUICK[:2], rounds=1, conditions=TRANSPORTS, loads=("open:2000",))
    assert heat_maps(run) == []


def test_many_conditions_have_a_heat_map_for_each_transport(tmp_path: Path) -> None:
    conditions = [each | {"connections": count} for each in TRANSPORTS for count in range(1, 12)]
    run = read(tmp_path / "run", QUICK[:1], rounds=1, loads=("closed",), conditions=conditions)
    assert heat_maps(run) == ["heat-map-0", "heat-map-1", "heat-map-2"]


def test_each_transport_has_one_trade_off_where_most_contenders_tell_both(tmp_path: Path) -> None:
    def planned(model: CannedModel, scenario: Mapping[str, Any]) -> CannedModel | None:
        return None if model.name == "fork" and scenario["connections"] == 8 else model

    conditions = [each | {"connections": count} for each in TRANSPORTS[:2] for count in (8, 64)]
    run = read(tmp_path / "run", QUICK[:3], conditions=conditions, adjust=planned)
    (section,) = figure_chapters.trade_off(views.conditions(run), draw)
    assert pictures([section]) == ["trade-off-0", "trade-off-1"]
    said = [block.words for block in section.blocks if isinstance(block, Picture)]
    assert all("64 connections" in words for words in said)
    assert ["TCP" in words for words in said] == [True, False]
    assert "One of the 2 conditions over UDP that tell both: UDP, 64 B, 64 connections" in str(section)


def test_without_open_load_or_with_one_contender_there_is_no_trade_off(tmp_path: Path) -> None:
    assert trade_offs(read(tmp_path / "closed", QUICK[:2], loads=("closed",))) == []
    assert trade_offs(read(tmp_path / "alone", QUICK[:1])) == []


def told(folder: Path, *warned: tuple[WarningRecord, ...]) -> Run:
    """Return a run of a model for each of these warnings, whose cells tell their time."""
    models = [CannedModel(f"model{place}", warnings=found) for place, found in enumerate(warned)]
    made = make_run(folder, models, Setting(rounds=1, loads=("closed",))).folder
    add_time(made)
    return frames.read(made)


def test_the_worst_kinds_of_warnings_get_a_cell_each_and_never_more_than_three(tmp_path: Path) -> None:
    kinds = (PAUSES, warning(WarningKind.UNFAIR), STEAL, warning(WarningKind.ERRORS))
    run = told(tmp_path / "run", *((kind,) for kind in kinds))
    models = dict(zip(run.cells["file"], run.cells["model"], strict=True))
    found = {kind: models[file] for kind, file in figure_chapters.worst(run).items()}
    assert found == {"errors": "model3", "unfair": "model1", "steal": "model2"}
    assert len(pictures(list(figure_chapters.over_time(run, draw)))) == 3


def test_a_cell_with_two_kinds_of_warnings_is_drawn_once(tmp_path: Path) -> None:
    run = told(tmp_path / "run", (STEAL, PAUSES))
    assert list(figure_chapters.worst(run)) == ["steal"]


def test_of_two_cells_with_the_same_warning_the_one_that_has_more_of_it_is_drawn(tmp_path: Path) -> None:
    models = [CannedModel("some", unanswered_share=0.01), CannedModel("many", unanswered_share=0.3)]
    folder = make_run(tmp_path / "run", models, Setting(rounds=1, loads=("closed",))).folder
    add_time(folder)
    run = frames.read(folder)
    (file,) = figure_chapters.worst(run).values()
    assert "many" in file


def test_a_small_doubt_or_none_has_no_cell_over_time(tmp_path: Path) -> None:
    run = told(tmp_path / "run", (), (SHORT,))
    assert list(figure_chapters.over_time(run, draw)) == []


def test_cells_that_store_no_series_are_not_drawn_over_time(tmp_path: Path) -> None:
    run = read(tmp_path / "run", [replace(QUICK[0], warnings=(STEAL,))], rounds=1)
    assert figure_chapters.worst(run) == {}


def datagrams(run: Run) -> tuple[list[str], str]:
    sections = list(deliveries.datagrams(views.conditions(run), draw))
    return pictures(sections), str(sections)


def test_losses_are_drawn_against_the_load_where_there_are_several_rates(tmp_path: Path) -> None:
    lossy = [replace(QUICK[0], unanswered_share=0.02), QUICK[1]]
    udp = {"transport": "udp"}
    several = read(tmp_path / "several", lossy, rounds=1, conditions=[udp], loads=("open:1000", "open:2000"))
    assert datagrams(several)[0] == ["unanswered-0"]
    one = read(tmp_path / "one", lossy, rounds=1, conditions=[udp], loads=("open:1000",))
    assert datagrams(one)[0] == []


def test_where_nothing_was_lost_a_sentence_says_so_instead_of_a_picture(tmp_path: Path) -> None:
    run = read(tmp_path / "run", QUICK[:2], rounds=1, conditions=[{"transport": "udp"}], loads=("closed", "sweep:3"))
    found, said = datagrams(run)
    assert found == []
    assert "Every request was answered, at each rate that was offered: UDP, 64 B" in said


def test_of_many_conditions_those_that_lost_most_are_drawn(tmp_path: Path) -> None:
    def losing(model: CannedModel, scenario: Mapping[str, Any]) -> CannedModel:
        return replace(model, unanswered_share=scenario["connections"] / 100)

    conditions = [{"transport": "udp", "connections": count} for count in (9, 1, 8, 2, 7, 6)]
    run = read(
        tmp_path / "run", QUICK[:1], rounds=1, conditions=conditions, loads=("open:1000", "open:2000"), adjust=losing
    )
    found, said = datagrams(run)
    assert found == ["unanswered-0", "unanswered-2", "unanswered-4", "unanswered-5"]
    assert "Less was lost in 2 further conditions" in said
