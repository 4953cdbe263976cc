"""The notebooks run on canned results and on none, say what is missing, and become pages that load nothing.

Their cells are executed here in the tests' own process, which takes a tenth of the time of a kernel each; one of them
goes through a kernel, as all do in `make notebooks` (the long test).
"""

from __future__ import annotations

import ast
import copy
import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbformat import NotebookNode

from analysis.lessons import Answer
from analysis.notebooks import pages as notebook_pages
from analysis.notebooks.__main__ import main
from tests.analysis.canned import QUICK, Setting, make_run
from tests.analysis.canned_cell import CannedModel
from tests.analysis.report.test_document import tags

NAMES = ("01_latency", "02_throughput", "03_resources", "04_scaling", "05_compare_runs")
# A tenth of the requests: what costs time here is to draw them.
FORK, _, SELECTORS, ASYNCIO, _ = (replace(model, throughput_per_s=model.throughput_per_s / 10) for model in QUICK)
DROPS = replace(ASYNCIO, name="drops", unanswered_share=0.02)
CONDITIONS = (
    {},
    {"pin": "none"},
    {"transport": "udp"},
    {"connections": 256},
    {"loads": ["closed", "sweep:3"]},
)
# No logic: what a cell of a notebook may be made of.
PLAIN = (
    ast.Import, ast.ImportFrom, ast.alias, ast.Assign, ast.Expr, ast.Call, ast.Attribute, ast.Name, ast.Constant,
    ast.keyword, ast.Load, ast.Store, ast.BoolOp, ast.Or, ast.Module,
)  # fmt: skip

Runs = Callable[..., dict[str, str]]


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with something to say to every chapter but payloads and interpreters."""
    setting = Setting(conditions=CONDITIONS)
    return make_run(tmp_path_factory.mktemp("runs") / "full", [FORK, SELECTORS, DROPS], setting).folder


@pytest.fixture
def reading(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Set what the notebooks read."""

    def read(run: Path, other: str = "") -> None:
        for name, value in {"RUN": str(run), "OTHER": other}.items():
            monkeypatch.setenv(name, value)
        monkeypatch.delenv("FORCE", raising=False)

    return read


@pytest.fixture(scope="module")
def of_full(full: Path) -> dict[str, NotebookNode]:
    """Every notebook, executed on the full run."""
    with pytest.MonkeyPatch.context() as patch:
        for variable, value in {"RUN": str(full), "OTHER": "", "FORCE": ""}.items():
            patch.setenv(variable, value)
        return {name: executed(name) for name in NAMES}


def executed(name: str) -> NotebookNode:
    """Return a notebook with its outputs, its cells executed one after the other in a namespace of their own."""
    notebook = notebook_pages.read(name)
    namespace: dict[str, Any] = {"__name__": "__main__"}
    for cell in notebook.cells:
        if cell.cell_type != "code":
            continue
        *body, last = ast.parse(cell.source).body
        shown = isinstance(last, ast.Expr)
        exec(compile(ast.Module(body if shown else [*body, last], []), name, "exec"), namespace)
        if isinstance(last, ast.Expr):
            value = eval(compile(ast.Expression(last.value), name, "eval"), namespace)
            assert isinstance(value, Answer), f"{name}, {cell.id}: {value!r} is no answer"
            data = {"text/plain": repr(value), "text/html": value._repr_html_()}
            cell.outputs = [nbformat.v4.new_output("execute_result", data, execution_count=1)]
    return notebook


def said(notebook: NotebookNode) -> dict[str, str]:
    """Return what each cell that shows anything says, as text."""
    return {cell.id: cell.outputs[0].data["text/plain"] for cell in notebook.cells if cell.get("outputs")}


def test_there_are_five_notebooks() -> None:
    assert notebook_pages.names() == list(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_notebook_is_stored_without_outputs(name: str) -> None:
    text = (notebook_pages.FOLDER / f"{name}.ipynb").read_text(encoding="utf-8")
    assert text == notebook_pages.stripped(notebook_pages.read(name)), "run python -m analysis.notebooks --strip"
    assert '"outputs": []' in text


@pytest.mark.parametrize("name", NAMES)
def test_a_notebook_has_ids_that_say_what_a_cell_is(name: str) -> None:
    ids = [cell.id for cell in notebook_pages.read(name).cells]
    assert len(ids) == len(set(ids))
    assert all(re.fullmatch("[a-z]+(-[a-z]+)*", each) for each in ids)


@pytest.mark.parametrize("name", NAMES)
def test_a_notebook_has_its_parameters_in_one_tagged_cell_at_the_top(name: str) -> None:
    code = [cell for cell in notebook_pages.read(name).cells if cell.cell_type == "code"]
    assert [cell.id for cell in code if "parameters" in cell.metadata.get("tags", [])] == [code[0].id]
    assert 'RUN = os.environ.get("RUN") or "results/reference"' in code[0].source


@pytest.mark.parametrize("name", NAMES)
def test_a_notebook_holds_calls_and_no_logic(name: str) -> None:
    for cell in notebook_pages.read(name).cells:
        if cell.cell_type == "code":
            nodes = {type(node) for node in ast.walk(ast.parse(cell.source))}
            assert nodes <= {*PLAIN}, f"{name}, {cell.id}"


def test_stripping_takes_out_what_an_editor_wrote(of_full: dict[str, NotebookNode]) -> None:
    notebook = copy.deepcopy(of_full["03_resources"])
    notebook.cells[2].metadata["collapsed"] = True
    notebook.metadata["widgets"] = {"state": {}}
    stored = (notebook_pages.FOLDER / "03_resources.ipynb").read_text(encoding="utf-8")
    assert notebook_pages.stripped(notebook) == stored


PICTURES = {"01_latency": 9, "02_throughput": 4, "03_resources": 9, "04_scaling": 5, "05_compare_runs": 4}


@pytest.mark.parametrize("name", NAMES)
def test_a_notebook_answers_from_a_full_run(name: str, of_full: dict[str, NotebookNode]) -> None:
    notebook = of_full[name]
    answers = said(notebook)
    assert all(answers.values())
    assert sum(text.count("[") for text in answers.values()) >= PICTURES[name], answers
    page = notebook_pages.render(name, notebook)
    assert page.count("<figure") >= PICTURES[name]
    check(page)


def check(page: str) -> None:
    """Check that a page loads nothing, runs nothing, and has no id twice."""
    assert not re.search(r"(?:src|href)=\"(?!#|\d\d_\w+\.html)", page)
    assert "http:" not in page
    assert "https:" not in page
    assert "@import" not in page
    found = tags(page)
    assert not {tag for tag, _ in found} & {"script", "link", "img", "iframe", "object", "embed", "base"}
    ids = [str(attributes["id"]) for _, attributes in found if "id" in attributes]
    assert len(ids) == len(set(ids))
    referred = set(re.findall(r"(?:href=\"#|url\(#)([^)\"]*)", page))
    assert referred <= set(ids)


@pytest.mark.parametrize("name", NAMES)
def test_a_notebook_says_that_an_empty_run_is_empty(name: str, tmp_path: Path, reading: Runs) -> None:
    reading(make_run(tmp_path / "empty", []).folder)
    notebook = executed(name)
    answers = said(notebook)
    assert "This run holds no cell that can be read." in answers["open"]
    assert all("This run" in text or "this run" in text for text in answers.values()), answers
    assert "<figure" not in notebook_pages.render(name, notebook)


def test_what_a_run_does_not_vary_is_said_with_the_plan_that_does(tmp_path: Path, reading: Runs) -> None:
    reading(make_run(tmp_path / "quick", [FORK, SELECTORS]).folder)
    answers = said(executed("04_scaling"))
    plans = {"connections": "connections", "pin": "pinning", "python": "interpreters", "load": "sweep"}
    for cell, plan in plans.items():
        assert f"`echobench run {plan}`" in answers[cell]


def test_a_model_that_drops_two_percent_never_looks_good(of_full: dict[str, NotebookNode]) -> None:
    answers = said(of_full["01_latency"])
    assert "drops" not in answers["waiting"].split("has the lowest p99")[0].splitlines()[-1]
    assert "with what it left unanswered its p99 is > 1 s" in answers["waiting"]
    assert "requests unanswered (2 %)" in answers["unanswered"]


def test_a_hostile_label_changes_nothing_in_a_page(tmp_path: Path, reading: Runs) -> None:
    def tags_of(text: str, name: str) -> list[str]:
        models = [CannedModel("fine"), CannedModel("bad", failed_rounds=(2,), failure=text)]
        environment = {"kernel": text}
        reading(make_run(tmp_path / name, models, Setting(environment=environment)).folder)
        return [tag for tag, _ in tags(notebook_pages.render("02_throughput", executed("02_throughput")))]

    assert tags_of('"><script>alert(1)</script>', "hostile") == tags_of("harmless", "harmless")


def test_two_runs_of_unlike_machines_are_refused_with_the_difference(tmp_path: Path, reading: Runs) -> None:
    one, other = (
        make_run(tmp_path / name, [FORK], Setting(1, seed=seed)).folder for name, seed in (("a", 1), ("b", 2))
    )
    document = json.loads((other / "run.json").read_text())
    document["environment"]["kernel"] = "Linux 9.9"
    (other / "run.json").write_text(json.dumps(document))
    reading(one, str(other))
    answers = said(executed("05_compare_runs"))
    assert "Linux 9.9" in answers["open"]
    assert all("not measured alike" in text for text in answers.values())


def test_two_models_of_one_run_are_compared(tmp_path: Path, reading: Runs) -> None:
    folder = make_run(tmp_path / "run", [FORK, SELECTORS], Setting(6)).folder
    reading(Path(f"{folder}:model=fork"), f"{folder}:model=selectors")
    assert "faster" in said(executed("05_compare_runs"))["throughput"]


def test_pages_go_through_a_kernel_and_are_told(tmp_path: Path, reading: Runs, capsys: Any) -> None:
    reading(make_run(tmp_path / "run", [FORK, SELECTORS]).folder)
    assert main(["03_resources", "--to", str(tmp_path / "pages")]) == 0
    page = tmp_path / "pages" / "03_resources.html"
    assert capsys.readouterr().out == f"{page}\n"
    text = page.read_text(encoding="utf-8")
    assert text.count("<figure") == 3
    assert "lesson_costs" not in text, "the code is left out"
    check(text)


def test_a_path_that_is_no_run_is_refused_with_a_sentence(tmp_path: Path, reading: Runs, capsys: Any) -> None:
    reading(tmp_path)
    assert main(["02_throughput", "--to", str(tmp_path / "pages")]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert "is no run folder" in error
    assert len(error.splitlines()) == 1


@pytest.mark.long
@pytest.mark.parametrize("name", NAMES)
def test_every_notebook_goes_through_a_kernel(name: str, full: Path, reading: Runs) -> None:
    reading(full)
    notebook = notebook_pages.execute(name)
    assert said(notebook).keys() == said(executed(name)).keys()
