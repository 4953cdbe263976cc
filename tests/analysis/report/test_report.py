"""The report of a run folder, end to end: what can be shown is shown, what is missing is said."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest

from analysis import frames, prominence, report
from analysis.report import html, markdown
from analysis.report.document import Document, Picture, Section, Statements
from harness.schema import WarningKind, warning
from harness.store import StoreError
from tests.analysis.canned import QUICK, Setting, make_run
from tests.analysis.canned_cell import CannedModel
from tests.analysis.report.test_document import tags

HOSTILE = '"><script>alert(1)</script>|`x` http://evil.example/'
CHAPTERS = (
    "Summary",
    "Ranking",
    "Throughput under closed load",
    "Response time under open load",
    "Response time against CPU time",
    "CPU time per request",
    "Memory",
    "Every cell",
    "Environment",
    "How it was measured",
    "Problems found when reading",
)


@pytest.fixture(scope="module")
def quick(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The canned quick run with its report."""
    folder = make_run(tmp_path_factory.mktemp("runs") / "quick").folder
    assert report.write_report(folder) == folder / "report.html"
    return folder


def page(folder: Path) -> str:
    return (folder / "report.html").read_text(encoding="utf-8")


def written(folder: Path) -> str:
    """Return the report of a run folder as Markdown, made now, its figures drawn but not stored."""
    document = report.compose(frames.read(folder), lambda stem, words, figure: Picture(stem, words, ""))
    return markdown.render(document)


def test_a_report_has_its_chapters_in_order(quick: Path) -> None:
    in_html = re.findall(r"<h2[^>]*>([^<]*)</h2>", page(quick))
    text = re.findall(r"^## (.*)$", (quick / "report.md").read_text(encoding="utf-8"), re.MULTILINE)
    for titles in (in_html, text):
        assert all(title.startswith(chapter) for title, chapter in zip(titles, CHAPTERS, strict=True))


def test_figures_are_stored_as_svg_and_png_and_stand_inline(quick: Path) -> None:
    stems = {path.stem for path in (quick / "figures").iterdir()}
    assert stems == {"throughput-0-0", "response-time-0-1", "service-time-0-1", "trade-off-0", "cpu-0", "memory-0"}
    assert {path.suffix for path in (quick / "figures").iterdir()} == {".svg", ".png"}
    assert page(quick).count("<figure") == len(stems)


def test_a_page_loads_nothing(quick: Path) -> None:
    assert "http:" not in page(quick)
    assert "https:" not in page(quick)
    assert not [tag for tag, _ in tags(page(quick)) if tag in {"link", "img", "iframe", "object", "embed", "base"}]
    assert not [attributes for _, attributes in tags(page(quick)) if "src" in attributes]
    assert "@import" not in page(quick)


def test_ids_are_unique_and_every_inner_link_leads_somewhere(quick: Path) -> None:
    found = tags(page(quick))
    ids = [attributes["id"] for _, attributes in found if "id" in attributes]
    assert len(ids) == len(set(ids))
    links = [value for _, attributes in found for name in ("href", "xlink:href") if (value := attributes.get(name))]
    assert {link[1:] for link in links if link.startswith("#")} <= set(ids)
    assert set(re.findall(r"url\(#([^)]*)\)", page(quick))) <= set(ids)


def test_every_cell_is_reached_by_a_relative_link(quick: Path) -> None:
    links = {a.get("href") for tag, a in tags(page(quick)) if tag == "a"}
    cells = {f"cells/{path.name}" for path in (quick / "cells").iterdir()}
    assert cells <= links
    assert all(f"({cell})" in (quick / "report.md").read_text() for cell in cells)


def test_latency_names_no_column(quick: Path) -> None:
    heads = re.findall(r'<th scope="col"[^>]*><span>(.*?)</span>', page(quick))
    assert heads
    assert not [head for head in heads if "latency" in head.lower()]


def test_every_table_of_figures_names_the_server_s_cpus(quick: Path) -> None:
    tables = re.findall(r"<table>.*?</table>", page(quick), re.DOTALL)
    figures = [table for table in tables if "replies/s" in table or "ms<" in table or "MB<" in table or "µs<" in table]
    assert len(figures) == 6
    assert all("Server CPUs" in table for table in figures)


def test_a_generator_limited_model_is_a_bound_without_a_place(quick: Path) -> None:
    row = next(line for line in (quick / "report.md").read_text().splitlines() if line.startswith("| not ranked"))
    assert "| hybrid |" in row
    assert "| >= " in row.replace("&gt;", ">")
    assert "generator" in row


def test_times_of_closed_load_stand_in_no_table(quick: Path) -> None:
    rows = [line.split(" | ") for line in (quick / "report.md").read_text().splitlines() if "](cells/" in line]
    closed = [row for row in rows if row[3] == "closed"]
    assert len(closed) == len(rows) / 2 == 15
    assert {(row[5], row[6]) for row in closed} == {("-", "-")}


def test_a_model_that_drops_two_percent_shows_the_time_out_and_its_warning(tmp_path: Path) -> None:
    text = written(make_run(tmp_path / "run", [*QUICK[:2], replace(QUICK[3], unanswered_share=0.02)]).folder)
    row = next(line for line in text.splitlines() if line.startswith("| ") and "asyncio" in line)
    assert "| &gt; 1 s" in row
    assert "unanswered" in row


def test_hostile_text_changes_nothing_in_the_page(tmp_path: Path) -> None:
    def tags_of(text: str) -> list[str]:
        odd = warning(WarningKind.ERRORS, **{text: text})
        ready = CannedModel("fine", python=text, warnings=(odd,), unavailable=((text, text),))
        models = [ready, CannedModel("bad", failed_rounds=(2,), failure=text)]
        conditions = ({"work": text, "python": text, "new": text}, {"python": None})
        setting = Setting(environment={"kernel": text, text: text}, conditions=conditions)
        run = frames.read(make_run(tmp_path / str(len(text)), models, setting).folder)
        document = report.compose(run, lambda stem, words, figure: Picture(stem, words, "<svg></svg>"))
        return [tag for tag, _ in tags(html.render(document))]

    assert tags_of(HOSTILE) == tags_of("harmless")


def test_a_run_without_cells_is_reported_as_one(tmp_path: Path) -> None:
    text = written(make_run(tmp_path / "run", []).folder)
    assert "This run holds no cell that can be read." in text
    assert "## Environment" in text


def test_a_single_round_ranks_nothing_and_says_so(tmp_path: Path) -> None:
    text = written(make_run(tmp_path / "run", setting=Setting(rounds=1)).folder)
    assert "have no rank: fewer than 3 rounds" in text
    assert "a single round has no spread" in text


def test_a_run_without_a_closed_window_ranks_nothing_and_says_so(tmp_path: Path) -> None:
    text = written(make_run(tmp_path / "run", setting=Setting(loads=("open:2000", "open:5000"))).folder)
    assert "No window under closed load was measured, so nothing is ranked." in text
    assert "open load, 5,000 requests/s" in text


def test_a_run_without_an_open_window_says_so(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", setting=Setting(loads=("closed",)))
    assert "No open window was measured." in written(run.folder)


def test_a_run_in_which_everything_failed_shows_every_sentence(tmp_path: Path) -> None:
    models = [CannedModel(name, failed_rounds=(1, 2, 3), failure=f"{name} is broken") for name in ("a", "b")]
    text = written(make_run(tmp_path / "run", models).folder)
    assert text.count("failed: a is broken") == 3
    assert "No window was measured." in text


def test_conditions_are_kept_apart(tmp_path: Path) -> None:
    setting = Setting(conditions=({}, {"pin": "none"}, {"connections": 256}))
    titles = re.findall("^### (.*)$", written(make_run(tmp_path / "run", QUICK[:2], setting).folder), re.MULTILINE)
    for label in ("64 connections, server on CPU 0", "64 connections, server unpinned (CPUs 0,1)", "256 connections"):
        assert sum(label in title for title in titles) == 5


def test_what_was_cut_off_is_named_in_summary_and_problems(quick: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(quick, tmp_path / "run")
    cut, gone = sorted((folder / "cells").iterdir())[:2]
    cut.write_text(cut.read_text()[:500])
    gone.unlink()
    document = json.loads((folder / "run.json").read_text())
    document["state"] = "interrupted"
    document["plan"]["matrix"]["model"].append("unseen")
    (folder / "run.json").write_text(json.dumps(document))
    text = written(folder)
    for chapter in ("### Not everything is here", "## Problems found when reading"):
        told = text.split(chapter)[1].split("\n#")[0]
        assert "2 of 15 planned cells cannot be shown" in told
        assert "cut short" in told
        assert "The plan names unseen, of which there is no cell." in told
        assert "marked interrupted" in told
        assert str(tmp_path) not in told


def test_a_whole_run_has_no_problems(quick: Path) -> None:
    assert "None: every planned cell is there" in (quick / "report.md").read_text()
    assert "Not everything is here" not in (quick / "report.md").read_text()


def test_only_verdicts_and_warnings_that_occur_are_explained(quick: Path) -> None:
    text = (quick / "report.md").read_text()
    assert "**generator**" in text
    assert "**connections**" not in text
    assert "Warnings in this report" not in text


def test_the_same_run_gives_the_same_report(quick: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(quick, tmp_path / "quick")
    before = page(folder)
    report.write_report(folder)
    assert page(folder) == before


def test_a_folder_that_is_no_run_is_refused_with_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"is no run folder: it has no run\.json"):
        report.write_report(tmp_path)


def test_a_report_that_can_not_be_written_is_refused_with_a_sentence(quick: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(quick, tmp_path / "run")
    shutil.rmtree(folder / "figures")
    (folder / "figures").write_text("in the way")
    with pytest.raises(StoreError, match="can't be written into"):
        report.write_report(folder)


def test_a_foreign_verdict_is_shown_as_it_stands(quick: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(quick, tmp_path / "run")
    for path in (folder / "cells").iterdir():
        path.write_text(path.read_text().replace('"limited_by": "server"', '"limited_by": "full_moon"'))
    assert "full moon" in written(folder)


def test_figures_of_hostile_names_are_drawings_and_nothing_else(tmp_path: Path) -> None:
    name = '<i>$\\frac{x</g><script>alert(1)</script>--><a href="http://evil.example">'
    folder = make_run(tmp_path / "run", [CannedModel(name), CannedModel("fine")], Setting(rounds=1)).folder
    report.write_report(folder)
    for path in (folder / "figures").glob("*.svg"):
        drawn = {element.tag.rpartition("}")[2] for element in ElementTree.fromstring(path.read_bytes()).iter()}
        assert not drawn & {"script", "a", "foreignObject", "image"}
    assert "<script>alert" not in page(folder)
    assert "<i>" not in page(folder)
    assert "&lt;i&gt;$\\frac{x&lt;/g&gt;&lt;script&gt;alert(1)" in page(folder)


def test_the_summary_leads_each_condition_to_its_ranking_and_each_figure_to_its_cell(quick: Path) -> None:
    text = page(quick)
    (title,) = re.findall(r'<ul class="statements"><li><a href="#([^"]*)">', text)
    assert f'<h3 id="{title}">' in text
    figures = re.findall(r'<td class="n"><a href="#([^"]*)">', text)
    assert set(figures) == {f"{title}-{rank}" for rank in range(5)}
    assert len(figures) > 100
    for row in set(figures):
        assert re.search(rf'<tr id="{row}"><th scope="row"><a href="cells/[^"]*\.json">', text)


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Document:
    """The document of a run with 8 conditions: 2 transports, 2 pinnings, 2 numbers of connections; not drawn."""
    conditions = [
        {"transport": transport, "pin": pin, "connections": count}
        for transport in ("tcp", "udp")
        for pin in ("0:1", "none")
        for count in (64, 1_000)
    ]
    setting = Setting(rounds=1, conditions=conditions)
    run = frames.read(make_run(tmp_path_factory.mktemp("runs") / "many", QUICK[:2], setting).folder)
    drawing = f'<svg width="1pt" height="1pt" viewBox="0 0 1 1"><path d="{"M" * 9_000}"/></svg>'
    return report.compose(run, lambda stem, words, figure: Picture(stem, words, drawing))


def unfolded(sections: Sequence[Section]) -> list[Section]:
    return [section for section in sections if not section.folded]


def test_of_many_conditions_the_summary_shows_the_most_important_and_folds_the_others(many: Document) -> None:
    first, others = many.sections[:2]
    shown, folded = (
        [item for block in section.blocks if isinstance(block, Statements) for item in block.items]
        for section in (first, others)
    )
    assert [item.title.partition(",")[0] for item in shown] == ["TCP", "TCP", "UDP", "UDP"]
    assert all("64 connections" in item.title for item in shown)
    assert (others.title, others.folded, len(folded)) == ("The other 4 conditions", True, 4)


def test_of_many_conditions_every_chapter_folds_all_but_the_first(many: Document) -> None:
    by_condition = [section for section in many.sections if section.level == 3 and "server" in section.title]
    assert len(by_condition) >= 5 * 8
    assert len(unfolded(by_condition)) <= 6 * prominence.MOST_SHOWN


def test_a_page_of_many_conditions_keeps_its_limit_and_all_its_links(many: Document) -> None:
    whole = html.render(many, limit_bytes=10_000_000)
    limit = len(whole.encode()) // 2
    text = html.render(many, limit_bytes=limit)
    assert len(text.encode()) <= limit
    assert "figures are links to the folder figures/" in text
    found = tags(text)
    ids = {attributes["id"] for _, attributes in found if "id" in attributes}
    assert {str(a["href"])[1:] for _, a in found if str(a.get("href")).startswith("#")} <= ids


def test_mixed_versions_a_corrupt_cell_and_a_run_document_that_is_gone_leave_what_can_be_read(
    quick: Path, tmp_path: Path
) -> None:
    folder = shutil.copytree(quick, tmp_path / "run")
    newer, corrupt, *_ = sorted((folder / "cells").iterdir())
    newer.write_text(newer.read_text().replace("echobench.cell/1", "echobench.cell/99", 1))
    corrupt.write_bytes(b"\x00\xff not JSON")
    (folder / "run.json").unlink()
    told = written(folder).split("### Not everything is here")[1].split("\n#")[0]
    for words in (r"echobench.cell/99", newer.name, corrupt.name, "plan and environment of the run are unknown"):
        assert words in told.replace("\\", "")
    assert "| selectors |" in written(folder)
