"""What the servers offer: `python -m servers --list --json` is asked, there is no second list."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.schema import LIST_SCHEMA, SchemaError, require_schema

LISTING_TIMEOUT_S = 30


class CatalogueError(Exception):
    """The servers could not say what they offer, as one sentence."""


@dataclass(frozen=True)
class Variant:
    """A way in which a model can be had: a flag with its value, the transports over which it means something."""

    flag: str
    value: str
    transports: tuple[str, ...]
    available: bool
    reason: str | None


@dataclass(frozen=True)
class Choice:
    """A model or a transport; `reason` says why it is not available here. Models may have variants."""

    name: str
    summary: str
    available: bool
    reason: str | None
    variants: tuple[Variant, ...] = ()


@dataclass(frozen=True)
class Catalogue:
    """All models and all transports."""

    models: tuple[Choice, ...]
    transports: tuple[Choice, ...]


def read_catalogue(servers_command: Sequence[str], folder: Path) -> Catalogue:
    """Ask the servers, started in `folder`, what there is; raises CatalogueError."""
    command = [*servers_command, "--list", "--json"]
    try:
        answer = subprocess.run(
            command, cwd=folder, capture_output=True, text=True, timeout=LISTING_TIMEOUT_S, check=True
        )
        document = json.loads(answer.stdout)
        require_schema(document, LIST_SCHEMA, "the servers' list")
        return Catalogue(_choices(document["models"]), _choices(document["transports"]))
    except subprocess.CalledProcessError as error:
        last = error.stderr.strip().splitlines()[-1:] or ["nothing on stderr"]
        raise CatalogueError(f"the servers' list ended with exit code {error.returncode}: {last[0]}") from error
    except (OSError, subprocess.TimeoutExpired, SchemaError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise CatalogueError(f"the servers can't be asked what they offer: {error}") from error


def _choices(entries: Sequence[Mapping[str, Any]]) -> tuple[Choice, ...]:
    return tuple(
        Choice(entry["name"], entry["summary"], entry["available"], entry["reason"], _variants(entry))
        for entry in entries
    )


def _variants(entry: Mapping[str, Any]) -> tuple[Variant, ...]:
    found = []
    for listed in entry.get("variants", ()):
        flag, value = listed["options"]
        found.append(Variant(flag, value, tuple(listed["transports"]), listed["available"], listed["reason"]))
    return tuple(found)
