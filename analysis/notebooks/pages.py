"""The notebooks, executed, as HTML pages: each one file, without a script, that loads nothing.

nbconvert turns an executed notebook into markup, without the code: most readers want the pictures, and the code is in
the notebook. Its own page would fetch MathJax and more from other hosts, so the markup goes into a page of ours: the
report's look, light and dark, under a policy that forbids to load or to run anything.

Each notebook runs in a kernel of its own, as in Jupyter, and learns from the environment which run to read.
"""

from __future__ import annotations

import copy
import tempfile
from html import escape
from pathlib import Path
from string import Template

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from nbconvert import HTMLExporter
from nbformat import NotebookNode
from traitlets.config import Config

from analysis.lessons import html as lesson_html
from analysis.report import page

FOLDER = Path(__file__).resolve().parent
CELL_TIMEOUT_S = 170
VERSION = 4
HTML = "text/html"
# What a user has done wrong, told in its own sentence.
USER_ERRORS = frozenset({"StoreError", "SchemaError", "ComparisonError"})

PAGE = Template("""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; img-src data:">
<meta name="color-scheme" content="light dark">
<title>$title</title>
<style>$style</style>
</head>
<body>
<header><nav aria-label="Notebooks"><ul>$links</ul></nav></header>
<main>
$body
</main>
</body>
</html>
""")
STYLE = (
    page.STYLE
    + """
h4 { font-size: 1rem; margin: 1rem 0 .5rem; }
nav a[aria-current] { color: var(--ink); font-weight: 600; text-decoration: none; }
pre { overflow-x: auto; background: var(--shade); padding: .5rem; }
code { background: var(--shade); padding: 0 .2em; overflow-wrap: anywhere; }
.jp-RenderedHTML { border-left: 3px solid var(--line); padding-left: 1rem; margin: 1rem 0 2rem; }
@media (max-width: 640px) { .jp-RenderedHTML { border-left: 0; padding-left: 0; } }
"""
)


class NotebookError(Exception):
    """A notebook failed, in a sentence; `mistaken` where what it was asked for is not there."""

    def __init__(self, sentence: str, *, mistaken: bool = False) -> None:
        super().__init__(sentence)
        self.mistaken = mistaken


def names() -> list[str]:
    """Return the names of the notebooks, in the order of reading."""
    return sorted(path.stem for path in FOLDER.glob("*.ipynb"))


def read(name: str) -> NotebookNode:
    """Return a notebook as it is stored."""
    notebook: NotebookNode = nbformat.read(FOLDER / f"{name}.ipynb", as_version=VERSION)
    return notebook


def execute(name: str) -> NotebookNode:
    """Return a notebook with its outputs, executed in a kernel of its own; raises NotebookError."""
    notebook = read(name)
    try:
        with tempfile.TemporaryDirectory() as sockets:
            client = NotebookClient(notebook, timeout=CELL_TIMEOUT_S, kernel_name="python3", config=_private(sockets))
            client.execute(cwd=str(FOLDER))
    except CellExecutionError as error:
        mistaken = error.ename in USER_ERRORS
        sentence = error.evalue if mistaken else f"notebook {name} failed: {error.ename}: {error.evalue}"
        raise NotebookError(sentence, mistaken=mistaken) from error
    except TimeoutError as error:
        raise NotebookError(f"notebook {name} failed: a cell took more than {CELL_TIMEOUT_S} s") from error
    return notebook


def _private(folder: str) -> Config:
    """Return what lets a kernel talk over sockets in a folder of ours, and not over ports of the machine."""
    return Config({"KernelManager": {"transport": "ipc", "connection_file": f"{folder}/kernel.json"}})


def render(name: str, notebook: NotebookNode) -> str:
    """Return an executed notebook as a page that needs no other file."""
    exporter = HTMLExporter(
        template_name="basic",
        exclude_input=True,
        exclude_input_prompt=True,
        exclude_output_prompt=True,
        exclude_anchor_links=True,
    )
    body, _ = exporter.from_notebook_node(_lettered(notebook))
    return PAGE.substitute(title=escape(title(notebook)), style=STYLE, links=_links(name), body=body)


def _lettered(notebook: NotebookNode) -> NotebookNode:
    """Return a copy whose answers share the outlines of letters, as those of one page can."""
    copied = copy.deepcopy(notebook)
    outputs = [output for cell in copied.cells for output in cell.get("outputs", []) if HTML in output.get("data", {})]
    for output, text in zip(outputs, lesson_html.letters_once(each.data[HTML] for each in outputs), strict=True):
        output.data[HTML] = text
    return copied


def title(notebook: NotebookNode) -> str:
    """Return the first heading of a notebook."""
    first = next(cell for cell in notebook.cells if cell.cell_type == "markdown")
    return str(first.source).partition("\n")[0].lstrip("# ")


def _links(current: str) -> str:
    marks = {name: ' aria-current="page"' if name == current else "" for name in names()}
    return "".join(
        f'<li><a href="{name}.html"{mark}>{escape(title(read(name)))}</a></li>' for name, mark in marks.items()
    )


def stripped(notebook: NotebookNode) -> str:
    """Return a notebook as it is committed: no outputs, no counts, nothing of the machine that it was edited on."""
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
        cell.metadata = NotebookNode({"tags": cell.metadata.tags} if "tags" in cell.metadata else {})
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    notebook.metadata = NotebookNode({"kernelspec": kernel, "language_info": {"name": "python"}})
    return str(nbformat.writes(notebook, version=VERSION)) + "\n"
