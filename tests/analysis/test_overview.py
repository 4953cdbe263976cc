"""Who leads where: known answers, ties as ties, and nobody who was limited by the load generator."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from analysis import frames, overview, views
from analysis.overview import Line, Mark
from harness.schema import LimitedBy
from tests.analysis.canned import Setting, make_run
from tests.analysis.canned_cell import CannedModel

FAST = CannedModel("asyncio", 40_000, noise=0.0)
SLOW = CannedModel("thread", 32_000, noise=0.0)
LIMITED = CannedModel("hybrid", 60_000, noise=0.0, closed_verdict=LimitedBy.GENERATOR)


def lines(folder: Path, models: Sequence[CannedModel], **setting: Any) -> list[Line]:
    found = views.conditions(frames.read(make_run(folder, models, Setting(**{"loads": ("closed",)} | setting)).folder))
    return [overview.line(view, overview.contenders(found)) for view in found]


def marks(line: Line) -> list[Mark]:
    return [tile.mark for tile in line.tiles]


def test_the_leader_is_named_with_how_many_times_the_next_one_it_has(tmp_path: Path) -> None:
    (line,) = lines(tmp_path / "run", [FAST, SLOW, CannedModel("fork", 10_000, noise=0.0)])
    assert line.words == "asyncio, 1.25 x thread"
    assert [(tile.words, tile.mark) for tile in line.tiles] == [
        ("100", Mark.LEADS),
        ("25", Mark.BEHIND),
        ("80", Mark.BEHIND),
    ]


def test_what_the_rounds_do_not_tell_apart_is_a_tie(tmp_path: Path) -> None:
    noisy = [replace(FAST, noise=0.2), replace(SLOW, throughput_per_s=39_500, noise=0.2)]
    (line,) = lines(tmp_path / "run", noisy, rounds=6)
    assert line.words in ("tie: asyncio and thread", "tie: thread and asyncio")
    assert marks(line) == [Mark.TIES, Mark.TIES]


def test_a_tie_of_many_is_counted(tmp_path: Path) -> None:
    noisy = [replace(FAST, name=name, noise=0.3) for name in ("asyncio", "fork", "hybrid", "selectors", "thread")]
    (line,) = lines(tmp_path / "run", noisy, rounds=6)
    assert line.words == "tie of 4"
    assert marks(line).count(Mark.TIES) == 4


def test_a_bound_never_leads_and_nobody_is_measured_by_it(tmp_path: Path) -> None:
    (line,) = lines(tmp_path / "run", [FAST, SLOW, LIMITED])
    assert marks(line) == [Mark.LEADS, Mark.BOUND, Mark.BEHIND]
    assert [tile.words for tile in line.tiles] in (["100", ">= 150", "80"], ["100", ">= 149", "80"])
    assert line.words == "asyncio, 1.25 x thread; not known: hybrid"


def test_also_with_too_few_rounds_nobody_is_measured_by_a_bound(tmp_path: Path) -> None:
    (line,) = lines(tmp_path / "run", [FAST, SLOW, LIMITED], rounds=2)
    assert [line.tiles[0].words, line.tiles[2].words] == ["100", "80"]
    assert line.words == "2 rounds: too few to tell; not known: hybrid"


def test_where_all_are_bounds_nothing_is_known(tmp_path: Path) -> None:
    (line,) = lines(tmp_path / "run", [LIMITED, replace(LIMITED, name="fork")])
    assert line.words == "not known: the load generator was the limit"
    assert set(marks(line)) == {Mark.BOUND}
    assert all(tile.words.startswith(">= ") for tile in line.tiles)


def test_too_few_rounds_have_figures_but_no_leader(tmp_path: Path) -> None:
    (line,) = lines(tmp_path / "run", [FAST, SLOW], rounds=2)
    assert line.words == "2 rounds: too few to tell"
    assert set(marks(line)) == {Mark.UNRANKED}
    assert [tile.words for tile in line.tiles] == ["100", "80"]


def test_what_was_not_measured_says_why(tmp_path: Path) -> None:
    models = [
        FAST,
        CannedModel("fork", failed_rounds=(1, 2, 3)),
        CannedModel("hybrid", failed_rounds=(1, 2, 3), failure="can't be measured here: too many threads"),
        SLOW,
    ]

    def planned(model: CannedModel, scenario: Mapping[str, Any]) -> CannedModel | None:
        return None if model is SLOW and scenario["connections"] == 500 else model

    conditions = ({"connections": 50}, {"connections": 500})
    first, second = lines(tmp_path / "run", models, conditions=conditions, adjust=planned)
    assert [tile.words for tile in first.tiles] == ["100", "failed", "n/a", "80"]
    assert [tile.words for tile in second.tiles] == ["100", "failed", "n/a", "-"]
    assert second.words == "asyncio alone has a place"


def test_a_condition_without_closed_load_says_so(tmp_path: Path) -> None:
    (line,) = lines(tmp_path / "run", [FAST], loads=("open:2000",))
    assert line.words == "no closed load"
    assert marks(line) == [Mark.NOTHING]


def test_what_all_labels_have_in_common_is_said_once(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "run", [FAST], Setting(conditions=({"connections": 50}, {"connections": 500}))).folder
    common, rest = overview.labels(views.conditions(frames.read(folder)))
    assert common == "TCP, 64 B, server on CPU 0"
    assert rest == ("50 connections", "500 connections")
