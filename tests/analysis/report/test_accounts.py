"""What a report says of the accounting: its cost, and what it could not have."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from tests.analysis.canned import QUICK
from tests.analysis.test_contrasts import FORK, LOOP, THREAD, read, written


def test_the_cost_of_the_accounting_is_told_and_why_figures_are_missing(tmp_path: Path) -> None:
    lacking = replace(FORK, accounting_cores=0.03, unavailable=(("server.pss_bytes", "no permission"),))
    text = written(read(tmp_path / "run", [replace(LOOP, accounting_cores=0.001), lacking, THREAD]))
    assert "1.6 % of one CPU in the median over 6 windows, and 3 % in the window where it took most (fork, " in text
    assert "**server.pss\\_bytes**: no permission (in cells of fork)" in text


def test_without_its_cost_nothing_is_told_of_the_accounting(tmp_path: Path) -> None:
    text = written(read(tmp_path / "run", QUICK[:2]))
    assert "The accounting has a cost" not in text
    assert "could not be had" not in text
