"""What there is: the files of `servers/models/` and `servers/wire/`. There is no second list.

A file's name is its name on the command line; names that begin with an underscore are not listed. A model or transport
that the platform or a missing package rules out is listed as unavailable, with the reason.
"""

from __future__ import annotations

import importlib
import pkgutil
from dataclasses import dataclass
from types import ModuleType
from typing import cast

import servers.models
import servers.wire
from servers.config import UsageError
from servers.contract import Model, Transport


@dataclass(frozen=True)
class Entry:
    """A model or a transport, and whether this machine can have it."""

    name: str
    summary: str
    available: bool
    reason: str | None


def names(package: ModuleType) -> list[str]:
    """Return the names in `servers.models` or `servers.wire`, sorted."""
    return sorted(module.name for module in pkgutil.iter_modules(package.__path__) if not module.name.startswith("_"))


def entries(package: ModuleType) -> list[Entry]:
    """Return every entry of `servers.models` or `servers.wire`."""
    return [_entry(package, name) for name in names(package)]


def load_model(name: str) -> Model:
    """Import a model; raises UsageError when there is no such model or it is unavailable."""
    return cast(Model, _load(servers.models, "model", name))


def load_transport(name: str) -> Transport:
    """Import a transport; raises UsageError when there is no such transport or it is unavailable."""
    return cast(Transport, _load(servers.wire, "transport", name))


def _load(package: ModuleType, kind: str, name: str) -> ModuleType:
    known = names(package)
    if name not in known:
        raise UsageError(f"there is no {kind} {name!r}; there are: {', '.join(known)}")
    entry = _entry(package, name)
    if not entry.available:
        raise UsageError(f"{kind} {name!r} is not available here: {entry.reason}")
    return importlib.import_module(f"{package.__name__}.{name}")


def _entry(package: ModuleType, name: str) -> Entry:
    try:
        module = importlib.import_module(f"{package.__name__}.{name}")
    except ImportError as error:
        return Entry(name, "", available=False, reason=str(error))
    reason = module.unavailable() if hasattr(module, "unavailable") else None
    return Entry(name, module.SUMMARY, available=reason is None, reason=reason)
