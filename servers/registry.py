"""What there is, and what goes together: the files of `servers/models/` and `servers/wire/`. There is no second list.

A file's name is its name on the command line; names that begin with an underscore are not listed. A model or transport
that the platform or a missing package rules out is listed as unavailable, with the reason. A model that can be had in
several ways (another selector, another loop) lists its variants.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import cast

import servers.models
import servers.wire
from servers.config import ServerConfig, UsageError
from servers.contract import Kind, Model, Transport, Variant

# Settings that one kind of transport minds, and settings that a model minds if it says so.
_OF_KIND = {
    Kind.STREAM: ("backlog", "message_timeout_s", "max_connections"),
    Kind.DATAGRAM: ("recv_buffer", "peer_timeout_s", "max_peers"),
}
_OF_MODELS = ("workers", "inner", "accept", "selector", "loop", "api")


@dataclass(frozen=True)
class Entry:
    """A model or a transport, and whether this machine can have it."""

    name: str
    summary: str
    available: bool
    reason: str | None


@dataclass(frozen=True)
class ListedVariant:
    """A variant of a model: the options that make it, where it makes sense, whether this machine can have it."""

    options: tuple[str, str]
    summary: str
    transports: tuple[str, ...]
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


def variants(model: str) -> list[ListedVariant]:
    """Return the variants of a model."""
    found = []
    for option, values in _options(model).items():
        for variant in values:
            transports = tuple(name for name in names(servers.wire) if _kind(name) in variant.kinds)
            reason = variant.unavailable()
            listed = (flag(option), variant.value), variant.summary, transports, reason is None, reason
            found.append(ListedVariant(*listed))
    return found


def flag(setting: str) -> str:
    """Return the command line's name of a setting."""
    return "--" + setting.removesuffix("_s").replace("_", "-")


def check(config: ServerConfig) -> None:
    """Raise UsageError when settings contradict each other or the model, or the platform lacks what they ask for."""
    options, kind = _options(config.model), load_transport(config.transport).KIND
    default = ServerConfig(config.model)
    for other, settings in _OF_KIND.items():
        for name in settings:
            if other is not kind and getattr(config, name) != getattr(default, name):
                there = ", ".join(each for each in names(servers.wire) if _kind(each) is other)
                raise UsageError(f"{flag(name)} has no meaning over {config.transport}; it goes with {there}")
    for name in _OF_MODELS:
        if getattr(config, name) is None:
            continue
        if name not in options:
            having = ", ".join(each for each in names(servers.models) if name in _options(each))
            raise UsageError(f"{flag(name)} has no meaning for the model {config.model}; it goes with {having}")
        _check_variant(config, name, options[name], kind)
    sentence = getattr(load_model(config.model), "contradiction", lambda _config: None)(config)
    if sentence is not None:
        raise UsageError(sentence)


def _check_variant(config: ServerConfig, name: str, variants: tuple[Variant, ...], kind: Kind) -> None:
    """Raise UsageError when a setting has no meaning over the transport, or this machine can't have its value."""
    value = getattr(config, name)
    if variants and all(kind not in variant.kinds for variant in variants):
        raise UsageError(f"{flag(name)} has no meaning over {config.transport}; leave it out")
    for variant in variants:
        if variant.value == value and kind not in variant.kinds:
            there = ", ".join(each for each in names(servers.wire) if _kind(each) in variant.kinds)
            raise UsageError(f"{flag(name)} {value} has no meaning over {config.transport}; it goes with {there}")
        if variant.value == value and (reason := variant.unavailable()) is not None:
            raise UsageError(f"{flag(name)} {value} is not available here: {reason}")


def _options(model: str) -> Mapping[str, tuple[Variant, ...]]:
    available = _entry(servers.models, model).available
    return load_model(model).OPTIONS if available else {}


def _kind(transport: str) -> Kind | None:
    available = _entry(servers.wire, transport).available
    return load_transport(transport).KIND if available else None


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
    except ModuleNotFoundError as error:
        missing = (error.name or name).partition(".")[0]
        return Entry(name, "", available=False, reason=f"the package {missing} is not installed; pip install {missing}")
    except ImportError as error:  # there is such a package, of another age
        return Entry(name, "", available=False, reason=str(error))
    reason = module.unavailable() if hasattr(module, "unavailable") else None
    return Entry(name, module.SUMMARY, available=reason is None, reason=reason)
