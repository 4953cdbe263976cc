"""What the gate asks of git: commits, worktrees, and what of the working tree is not committed.

A worktree is a checkout of its own that shares the repository's objects. Git remembers where each stands, so one that
is deleted without git, as by a gate that was killed, leaves a note behind. The next gate finds both by their name.

Git runs in a session of its own: Ctrl-C in the terminal must not end it half way through the removal of a worktree.
Hooks of the repository are left out, and so are git's variables for its own children, which a gate that is started
from a hook would inherit.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from harness.gate.errors import GateError

GIT_TIMEOUT_S = 120
SERVERS = "servers"
NO_HOOKS = ("-c", "core.hooksPath=/dev/null")


@dataclass(frozen=True)
class Repository:
    """A repository by the folder of its working tree."""

    root: Path

    @classmethod
    def containing(cls, folder: Path) -> Self:
        """Return the repository that a folder lies in; raises GateError where it lies in none."""
        try:
            return cls(Path(_git(folder, "rev-parse", "--show-toplevel").strip()))
        except GateError as error:
            raise GateError(
                f"{folder} is in no git repository ({error}); "
                "run the gate inside a checkout, or name folders with --base-dir and --head-dir"
            ) from error

    def commit(self, ref: str) -> str:
        """Return the commit that a name stands for; raises GateError where there is none."""
        try:
            # --end-of-options: a name that begins with a dash is a name all the same.
            return _git(self.root, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{ref}^{{commit}}").strip()
        except GateError as error:
            raise GateError(
                f"{ref!r} names no commit of the repository in {self.root}; "
                "if it is one of the remote, fetch it first (in CI: check out the full history, fetch-depth: 0)"
            ) from error

    def uncommitted_servers(self) -> tuple[str, ...]:
        """Return the files of `servers/` that differ from the last commit, new ones that git does not ignore too."""
        changed = _git(self.root, "diff", "--name-only", "--no-renames", "-z", "HEAD", "--", SERVERS)
        new = _git(self.root, "ls-files", "-z", "--others", "--exclude-standard", "--", SERVERS)
        return tuple(sorted({path for path in (changed + new).split("\0") if path}))

    def add_worktree(self, folder: Path, commit: str) -> None:
        """Check a commit out into a new folder; raises GateError."""
        _git(self.root, *NO_HOOKS, "worktree", "add", "--quiet", "--detach", str(folder), commit)

    def remove_worktree(self, folder: Path) -> None:
        """Remove a worktree, and git's note of it where the folder is gone already; raises GateError."""
        _git(self.root, *NO_HOOKS, "worktree", "remove", "--force", "--force", str(folder))

    def worktrees(self) -> list[Path]:
        """Return the folders of all worktrees that git knows of, the main one too."""
        lines = _git(self.root, "worktree", "list", "--porcelain").splitlines()
        return [Path(line.removeprefix("worktree ")) for line in lines if line.startswith("worktree ")]

    def lay_over(self, folder: Path, files: tuple[str, ...]) -> None:
        """Bring files of a checkout to the state that they have in the working tree: changed, new, or gone."""
        for name in files:
            here, there = self.root / name, folder / name
            if there.is_symlink() or there.is_file():
                there.unlink()
            if here.is_symlink() or here.is_file():
                there.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(here, there, follow_symlinks=False)


def _git(folder: Path, *words: str) -> str:
    """Return what git prints; raises GateError with its last words."""
    command = ["git", "--no-optional-locks", "-C", str(folder), *words]
    variables = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            errors="surrogateescape",
            timeout=GIT_TIMEOUT_S,
            check=False,
            start_new_session=True,
            stdin=subprocess.DEVNULL,
            env=variables | {"LC_ALL": "C"},
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise GateError(f"git can't be run: {error}") from error
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or [f"git ended with exit code {done.returncode}"])[-1]
        raise GateError(last)
    return done.stdout
