"""Execute the notebooks and write them as HTML: `make notebooks`, `python -m analysis.notebooks`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

try:
    from analysis.notebooks import pages as notebook_pages
except ModuleNotFoundError as error:
    print(
        f"error: {error.name} is not installed, which the notebooks need: pip install 'echobench[notebooks]'",
        file=sys.stderr,
    )
    sys.exit(2)

OUTPUT = Path("results/notebooks")


def main(argv: Sequence[str] | None = None) -> int:
    """Execute the named notebooks, or all, and return 0; 1 where one fails, 2 where what it asks for is not there."""
    parser = argparse.ArgumentParser(
        prog="python -m analysis.notebooks",
        description="Execute the notebooks and write them as HTML. The environment says what they read: RUN a run "
        "folder, OTHER what 05_compare_runs sets beside it; relative paths begin at the repository's root.",
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"one of {', '.join(notebook_pages.names())}")
    parser.add_argument("--to", type=Path, default=OUTPUT, metavar="DIR", help="where the pages go [%(default)s]")
    parser.add_argument("--strip", action="store_true", help="only take the outputs out of the notebooks, for git")
    arguments = parser.parse_args(argv)
    unknown = sorted({*arguments.names} - {*notebook_pages.names()})
    if unknown:
        parser.error(f"there is no notebook {', '.join(unknown)}")
    names = arguments.names or notebook_pages.names()
    try:
        if arguments.strip:
            _strip(names)
        else:
            _write(names, arguments.to)
    except notebook_pages.NotebookError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2 if error.mistaken else 1
    except OSError as error:
        print(f"error: {error.filename} can't be written: {error.strerror}", file=sys.stderr)
        return 1
    return 0


def _write(names: Sequence[str], folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        path = folder / f"{name}.html"
        path.write_text(notebook_pages.render(name, notebook_pages.execute(name)), encoding="utf-8")
        print(path, flush=True)


def _strip(names: Sequence[str]) -> None:
    for name in names:
        text = notebook_pages.stripped(notebook_pages.read(name))
        (notebook_pages.FOLDER / f"{name}.ipynb").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
