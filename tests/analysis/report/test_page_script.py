"""The page's script in a browser: tables sort by what figures mean, and links open what is folded."""

from __future__ import annotations

import json
import math
import re
import shutil
import subprocess
from html import unescape
from pathlib import Path
from typing import Any

import pytest

from analysis.report import html
from analysis.report.document import Document, Entry, Head, Paragraph, Row, Section, Table

BROWSER = shutil.which("chromium") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(BROWSER is None, reason="needs chromium, to run the page's script")

FIGURES = {
    "12,000": 12e3,
    "> 1 s": math.inf,
    "9.5": 9.5,
    "-": math.nan,
    ">= 63,000": 63e3,
    "<= 800": 800.0,
    "0.0640": 0.064,
}
PLACES = {"10": 10.0, "not ranked": math.nan, "2-3": 2.0, "1": 1.0, "failed": math.nan, "4": 4.0, "5": 5.0}
NAMES = ("b", "a 10", "a 9", "C", "é", "d", "e")

PROBE = """
const wait = () => new Promise(done => setTimeout(done, 0));
const column = number =>
  [...document.querySelectorAll("tbody")[0].rows].map(row => row.cells[number].firstChild.textContent.trim());
(async () => {
  const found = { sorts: [], sortable: [], tabs: [] };
  const buttons = [...document.querySelector("thead").querySelectorAll("[role=button]")];
  for (const [place, button] of buttons.entries()) {
    for (let click = 0; click < 2; click++) {
      button.focus();
      button.click();
      found.sorts.push(column(place));
      found.sortable.push([...document.querySelectorAll("th[aria-sort]")].map(head => head.ariaSort).join());
    }
  }
  found.tabs = [...document.querySelectorAll("td.n a")].map(link => link.tabIndex);
  const folds = () => [...document.querySelectorAll("details")].map(fold => fold.open);
  found.before = folds();
  dispatchEvent(new Event("beforeprint"));
  found.printing = folds();
  dispatchEvent(new Event("afterprint"));
  found.after = folds();
  location.hash = "#inside";
  await wait(); await wait();
  found.led = folds();
  document.body.dataset.found = JSON.stringify(found);
})();
"""


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What a browser says of a page after each of its columns was sorted up and down, printed, and led to a fold."""
    heads = (Head("Place"), Head("Figure", number=True), Head("Name"))
    columns = (PLACES.items(), FIGURES.items(), NAMES)
    rows = tuple(
        Row((Entry(place, sort=rank), Entry(figure, note="1 to 2", href="#x", sort=value), Entry(name)))
        for (place, rank), (figure, value), name in zip(*columns, strict=True)
    )
    fold = Section("fold", (Paragraph("text"), Table("t", (Head("h"),), (Row((Entry("x"),), "inside"),))), 3, "", True)
    text = html.render(Document("t", "s", (Section("x", (Table("c", heads, rows),)), fold)))
    # A probe of ours is a script that the page's policy, rightly, would not run.
    text = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", text)
    file = tmp_path_factory.mktemp("page") / "page.html"
    file.write_text(text.replace("</body>", f"<script>{PROBE}</script></body>"), encoding="utf-8")
    return read_probe(file)


def read_probe(file: Path) -> dict[str, Any]:
    """Return what the probe in a page has found."""
    quiet = ["--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-sync"]
    profile = file.parent / "profile"
    done = subprocess.run(
        [str(BROWSER), "--headless", "--no-sandbox", *quiet, f"--user-data-dir={profile}", "--dump-dom", file.as_uri()],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    match = re.search(r'data-found="([^"]*)"', done.stdout)
    assert match, done.stderr
    result: dict[str, Any] = json.loads(unescape(match[1]))
    return result


def test_places_sort_by_their_first_and_what_has_none_stands_last(found: dict[str, Any]) -> None:
    up, down = found["sorts"][:2]
    assert up == ["1", "2-3", "4", "5", "10", "not ranked", "failed"]
    assert down == ["10", "5", "4", "2-3", "1", "not ranked", "failed"]


def test_figures_sort_as_numbers_bounds_by_their_value_and_never_above_all(found: dict[str, Any]) -> None:
    up, down = found["sorts"][2:4]
    assert up == ["0.0640", "9.5", "<= 800", "12,000", ">= 63,000", "> 1 s", "-"]
    assert down == ["> 1 s", ">= 63,000", "12,000", "<= 800", "9.5", "0.0640", "-"]


def test_names_sort_as_people_do(found: dict[str, Any]) -> None:
    assert found["sorts"][4] == ["a 9", "a 10", "b", "C", "d", "e", "é"]


def test_one_column_at_a_time_says_how_it_is_sorted(found: dict[str, Any]) -> None:
    assert found["sortable"] == ["ascending", "descending"] * 3


def test_links_of_figures_are_no_stops_for_the_keyboard(found: dict[str, Any]) -> None:
    assert set(found["tabs"]) == {-1}


def test_folds_open_for_printing_and_for_links_into_them(found: dict[str, Any]) -> None:
    assert [found[when] for when in ("before", "printing", "after", "led")] == [[False], [True], [False], [True]]
