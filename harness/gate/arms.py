"""Base and head, each ready to be started: a folder whose `servers` package runs, or a command.

Both folders are made for the gate, in one temporary folder, whatever they come from (a commit, the working tree with
its uncommitted changes, a folder): same file system, paths of equal length, bytecode compiled beforehand. So nothing
differs between the arms but the code, and nobody's working tree is touched, or touches the gate while it runs.

The path's length matters: it is part of every code object, and moves what comes after it in memory.

A comparison of a version with itself passes every time and says nothing. So both arms tell a hash of the code that
really runs, in their ready line, and it is held against the folders: the gate refuses where one says that they differ
and the other that they don't (`check_codes`).
"""

from __future__ import annotations

import compileall
import contextlib
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.environment import anonymous, code_hash
from harness.gate.errors import GateError
from harness.gate.repository import SERVERS, Repository
from harness.schema.gate import Arm

PREFIX = "echobench-gate-"
MARK = ".made-by-echobench-gate"
SHORT = 10


@dataclass(frozen=True)
class Revision:
    """A commit, by any name that git takes."""

    ref: str


@dataclass(frozen=True)
class WorkingTree:
    """The last commit with all changes of `servers/` that are not committed."""


@dataclass(frozen=True)
class Folder:
    """A folder that holds a `servers` package."""

    path: Path


@dataclass(frozen=True)
class Program:
    """A server that is not ours, by its command."""

    command: tuple[str, ...]


Source = Revision | WorkingTree | Folder | Program


@dataclass(frozen=True)
class Build:
    """An arm that can be started. `code` is the hash of its `servers/`, None where the server is not ours.

    `uncommitted` names the files that no commit holds.
    """

    arm: Arm
    name: str
    folder: Path | None = None
    command: tuple[str, ...] | None = None
    code: str | None = None
    commit: str | None = None
    uncommitted: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Return what is stored of it: nothing of where it stood, which was a temporary folder."""
        command = None if self.command is None else [anonymous(word) for word in self.command]
        return {
            "name": anonymous(self.name),
            "code": self.code,
            "commit": self.commit,
            "uncommitted": list(self.uncommitted),
            "command": command,
        }


@contextmanager
def built(sources: Mapping[Arm, Source], here: Path) -> Iterator[dict[Arm, Build]]:
    """Make both arms ready, and remove on every path what was made for them; `here` lies in the repository.

    Call it only while no other gate runs: what killed gates left behind is removed first. Raises GateError.
    """
    in_git = any(isinstance(source, Revision | WorkingTree) for source in sources.values())
    repository = Repository.containing(here) if in_git else None
    with ExitStack() as made:
        remove_stale(repository)
        try:
            made_folder = tempfile.TemporaryDirectory(prefix=PREFIX, ignore_cleanup_errors=True)
            workshop = Path(made.enter_context(made_folder))
            (workshop / MARK).touch()
            builds = {arm: _build(arm, source, workshop / arm, repository, made) for arm, source in sources.items()}
        except OSError as error:
            raise GateError(f"the arms can't be made ready: {error}") from error
        yield builds


def remove_stale(repository: Repository | None) -> None:
    """Remove what gates that were killed left behind: their temporary folders, and git's notes of them.

    Only what bears a gate's mark: a folder of the user's may have such a name, too.
    """
    for mark in Path(tempfile.gettempdir()).glob(f"{PREFIX}*/{MARK}"):
        shutil.rmtree(mark.parent, ignore_errors=True)
    if repository is None:
        return
    for worktree in repository.worktrees():
        if worktree.parent.name.startswith(PREFIX) and not worktree.exists():
            repository.remove_worktree(worktree)


def _build(arm: Arm, source: Source, folder: Path, repository: Repository | None, made: ExitStack) -> Build:
    match source:
        case Program(command):
            return Build(arm, " ".join(command), command=command)
        case Folder(path):
            _require_servers(arm, str(path), path)
            shutil.copytree(path / SERVERS, folder / SERVERS, ignore=shutil.ignore_patterns("__pycache__"))
            build = Build(arm, f"folder {path}", folder=folder)
        case Revision(ref):
            assert repository is not None  # it was looked for where a commit is named
            build = _checked_out(arm, ref, folder, repository, made)
        case WorkingTree():
            assert repository is not None  # the same
            build = _working_tree(arm, folder, repository, made)
    compileall.compile_dir(folder / SERVERS, quiet=2)  # what can't be compiled shows when it is started
    return _with_code(build)


def _checked_out(arm: Arm, ref: str, folder: Path, repository: Repository, made: ExitStack) -> Build:
    commit = repository.commit(ref)
    made.callback(_forget, repository, folder)  # first: a signal may end what adds it half way
    repository.add_worktree(folder, commit)
    _require_servers(arm, ref, folder)
    short = commit[:SHORT]
    return Build(arm, short if commit.startswith(ref) else f"{ref} ({short})", folder=folder, commit=commit)


def _working_tree(arm: Arm, folder: Path, repository: Repository, made: ExitStack) -> Build:
    commit = repository.commit("HEAD")
    made.callback(_forget, repository, folder)  # first: a signal may end what adds it half way
    repository.add_worktree(folder, commit)
    uncommitted = repository.uncommitted_servers()
    repository.lay_over(folder, uncommitted)
    _require_servers(arm, "the working tree", folder)
    count = len(uncommitted)
    changes = f", {count} uncommitted file{'' if count == 1 else 's'} in {SERVERS}/" if uncommitted else ""
    name = f"working tree ({commit[:SHORT]}{changes})"
    return Build(arm, name, folder=folder, commit=commit, uncommitted=uncommitted)


def _forget(repository: Repository, folder: Path) -> None:
    with contextlib.suppress(GateError):  # the next gate finds it by its name
        repository.remove_worktree(folder)


def _with_code(build: Build) -> Build:
    assert build.folder is not None  # only a foreign server has none
    code = code_hash(SERVERS, build.folder)
    return Build(build.arm, build.name, build.folder, None, code, build.commit, build.uncommitted)


def _require_servers(arm: Arm, name: str, folder: Path) -> None:
    # Without the first, Python would take a servers package from elsewhere on its path.
    if not all((folder / SERVERS / name).is_file() for name in ("__init__.py", "__main__.py")):
        raise GateError(f"{arm} ({name}) has no {SERVERS} package: there is nothing to compare")


def check_codes(builds: Mapping[Arm, Build], shown: Mapping[Arm, str | None]) -> None:
    """Refuse to compare where the code that runs is not the code of the folders; raises GateError.

    `shown` holds what the servers say in their ready lines; a server that is not ours need not say anything.
    """
    base, head = builds[Arm.BASE], builds[Arm.HEAD]
    if base.code is None or head.code is None or None in shown.values():
        return
    ran_alike, are_alike = shown[Arm.BASE] == shown[Arm.HEAD], base.code == head.code
    if ran_alike and not are_alike:
        raise GateError(
            f"both arms run the same code ({shown[Arm.HEAD]}) although their {SERVERS}/ differ: this would compare a "
            "version with itself (does PYTHONSAFEPATH or a start-up file keep Python from the folder it is started in?)"
        )
    if are_alike and not ran_alike:
        raise GateError(
            f"the arms run different code ({shown[Arm.BASE]}, {shown[Arm.HEAD]}) although their {SERVERS}/ are the "
            "same: they run something else than what is to be compared"
        )
