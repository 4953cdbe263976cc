"""The results in README.md are those of the reference run, figures included."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from xml.etree import ElementTree

import pytest

from analysis import frames
from analysis.frames import Run
from analysis.report import readme
from analysis.report.readme import BEGIN, DARK, END
from tests.analysis.canned import QUICK, Setting, make_run
from tests.analysis.canned_cell import CannedModel

ROOT = Path(__file__).parents[3]
AGAIN = "run make readme-figures"


@pytest.fixture(scope="module")
def reference() -> Run:
    """The reference run, by its path from the root of the repository, as the command reads it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        return frames.read(readme.REFERENCE)


def test_the_readme_is_what_the_command_makes_of_the_reference_run(reference: Run) -> None:
    text = (ROOT / readme.README).read_text(encoding="utf-8")
    assert readme.renewed(text, readme.results(reference)) == text, AGAIN


def test_the_figures_are_those_of_the_reference_run(reference: Run) -> None:
    for path, text in readme.drawn(reference).items():
        assert (ROOT / path).read_text(encoding="utf-8") == text, AGAIN


def test_every_figure_that_the_readme_shows_is_drawn_for_light_and_dark(reference: Run) -> None:
    shown = re.findall(r'(?:src|srcset)="([^"]*)"', readme.results(reference))
    assert set(shown) == {str(path) for path in readme.drawn(reference)}
    assert len([path for path in shown if path.endswith("-dark.svg")]) == len(shown) / 2


@pytest.fixture(scope="module")
def canned(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run over two transports, pinned and not, in which a model drops requests and one is a bound."""
    conditions = [{"transport": transport, "pin": pin} for transport in ("udp", "tcp") for pin in ("none", "0:1")]
    models = [*QUICK[2:], CannedModel("<b>|drops", unanswered_share=0.02)]
    return frames.read(make_run(tmp_path_factory.mktemp("runs") / "run", models, Setting(conditions=conditions)).folder)


def test_each_transport_has_its_ranking_of_the_pinned_server_and_the_others_a_sentence(canned: Run) -> None:
    text = readme.results(canned)
    assert re.findall(r"^\*\*Over (.*)\*\*$", text, re.MULTILINE) == ["TCP", "UDP"]
    told = re.findall(r"^\* \*\*(.*?)\*\*: ", text, re.MULTILINE)
    assert [label.partition(",")[0] for label in told] == ["TCP", "UDP"]
    assert all("unpinned" in label for label in told)


def test_bounds_and_what_drops_have_no_place_in_the_readme(canned: Run) -> None:
    rows = [line for line in readme.results(canned).splitlines() if line.startswith("| not ranked")]
    assert len(rows) == 4
    assert sum("| `hybrid` | &gt;= " in row for row in rows) == 2
    assert sum("drops" in row and "| &gt; 1 s |" in row for row in rows) == 2


def test_hostile_names_are_escaped_in_the_readme_and_its_figures(canned: Run) -> None:
    assert "<b>" not in readme.results(canned)
    for text in readme.drawn(canned).values():
        tags = {element.tag.rpartition("}")[2] for element in ElementTree.fromstring(text).iter()}
        assert tags <= {"svg", "defs", "style", "g", "path", "use", "clipPath", "rect", "pattern"}


def test_a_dark_figure_has_no_ink_of_the_light_one(canned: Run) -> None:
    for path, text in readme.drawn(canned).items():
        assert any(color in text for color in DARK) != path.stem.endswith("-dark")


def test_a_readme_without_markers_and_a_run_without_closed_load_are_refused(tmp_path: Path) -> None:
    with pytest.raises(readme.ReadmeError, match="no place for results"):
        readme.renewed("# nothing", "text")
    folder = make_run(tmp_path / "run", QUICK[:1], Setting(loads=("open:100",))).folder
    with pytest.raises(readme.ReadmeError, match="no window under closed load"):
        readme.results(frames.read(folder))


def test_the_command_writes_readme_and_figures_or_says_why_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], canned: Run
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(canned.path, "run")
    Path("docs/figures").mkdir(parents=True)
    Path("README.md").write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    assert readme.main(["run"]) == 0
    assert Path("README.md").read_text() == f"before\n{BEGIN}\n{readme.results(frames.read('run'))}{END}\nafter\n"
    assert len(list(Path("docs/figures").iterdir())) == 4
    assert readme.main(["nowhere"]) == 2
    assert "nowhere" in capsys.readouterr().err
