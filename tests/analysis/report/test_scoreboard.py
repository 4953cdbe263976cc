"""The ranking on a console: it fits, it degrades, and it says what it is."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from analysis import report
from tests.analysis.canned import QUICK, Setting, make_run
from tests.analysis.canned_cell import CannedModel

MODELS = (
    *QUICK,
    CannedModel("a-foreign-server-with-a-long-name", 20_000, unanswered_share=0.02),
    CannedModel("broken", failed_rounds=(1, 2, 3), failure="no \x1b[31m luck"),
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with every kind of row."""
    return make_run(tmp_path_factory.mktemp("runs") / "run", MODELS, Setting(conditions=({}, {"pin": "none"}))).folder


def printed(folder: Path, width: int, encoding: str = "utf-8") -> str:
    """Return what a pipe of some width and encoding gets."""
    raw = io.BytesIO()
    file = io.TextIOWrapper(raw, encoding=encoding)
    report.print_ranking(folder, Console(file=file, width=width))
    file.flush()
    return raw.getvalue().decode(encoding)


@pytest.mark.parametrize("width", [60, 80, 100, 120, 200])
def test_the_table_fits_the_console(folder: Path, width: int) -> None:
    assert max(len(line.rstrip()) for line in printed(folder, width).splitlines()) <= width


@pytest.mark.parametrize("width", [60, 80, 120])
def test_no_figure_is_cut_however_narrow_the_console(folder: Path, width: int) -> None:
    text = printed(folder, width)
    assert "…" not in text
    for name in ("selectors", "asyncio", "hybrid"):
        assert any(line.split() and name in line for line in text.splitlines())


def test_a_wide_table_has_every_column(folder: Path) -> None:
    text = printed(folder, 120)
    for words in ("rank", "model", "port", "CPUs", "req/s", "to leader", "p50", "p99", "us/req", "PSS", "limited"):
        assert words in text


def test_the_server_s_cpus_are_named_at_every_width(folder: Path) -> None:
    for width in (60, 80, 120):
        text = printed(folder, width)
        assert "server on CPU 0" in text
        assert "server unpinned (CPUs 0,1)" in text


def test_a_pipe_gets_no_control_characters(folder: Path) -> None:
    assert "\x1b" not in printed(folder, 120)


def test_an_old_terminal_gets_plain_ascii(folder: Path) -> None:
    assert "selectors" in printed(folder, 100, encoding="ascii")


def test_bounds_failures_and_warnings_are_said(folder: Path) -> None:
    text = printed(folder, 120)
    assert ">= " in text
    assert "> 1 s" in text
    assert "* a-foreign-server-with-a-long-name: closed: unanswered; open:2000: unanswered" in text
    assert "* broken: failed in 3 of 3 rounds" in text
    assert "the range of 3 rounds" in text


def test_what_is_missing_is_said_under_the_table(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "run", [replace(QUICK[0]), replace(QUICK[1])]).folder
    sorted((folder / "cells").iterdir())[0].unlink()
    assert "1 of 6 planned cells cannot be shown: cells/000-fork-tcp-r1.json." in printed(folder, 120)


def test_a_run_without_cells_says_so(tmp_path: Path) -> None:
    assert "This run holds no cell that can be read." in printed(make_run(tmp_path / "run", []).folder, 80)


def test_without_closed_load_nothing_is_ranked_and_that_is_said(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "run", QUICK[:2], Setting(loads=("open:100",))).folder
    assert "No closed load was measured: nothing is ranked." in printed(folder, 120)
