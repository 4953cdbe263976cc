"""The sentences about a plan's mistakes: what stands where, what is allowed, and what was probably meant."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from harness.catalogue import Choice
from harness.scenario import Rule


class PlanError(ValueError):
    """A plan can't be used, as one sentence."""


def checked(key: str, value: object, rule: Rule, place: str) -> Any:
    """Return a value in its stored form; raises PlanError where its rule refuses it."""
    try:
        return rule(value)
    except ValueError as error:
        given = "is missing" if value is None else f"is {value!r}"
        raise PlanError(f"{key} in {place} {given}; allowed is {error}") from None


def refuse_unknown(table: Mapping[str, Any], keys: Iterable[str], place: str) -> None:
    """Raise PlanError where a table holds a key that there is not."""
    for key in table:
        if key not in keys:
            raise PlanError(f"{place} has no key {key!r}{meant(key, keys)}; its keys are {', '.join(keys)}")


def meant(text: str, names: Iterable[str]) -> str:
    """Return " (did you mean 'x'?)" where a name is close, else nothing."""
    close = difflib.get_close_matches(text, list(names), n=1)
    return f" (did you mean {close[0]!r}?)" if close else ""


def require_available(name: str, choices: Sequence[Choice], kind: str, place: str) -> None:
    """Raise PlanError where a model or transport is unknown, or is not available here."""
    names = [choice.name for choice in choices]
    for choice in choices:
        if choice.name == name and not choice.available:
            raise PlanError(f"{kind} {name!r} in {place} is not available here: {choice.reason}")
    if name not in names:
        raise PlanError(f"{place} names the unknown {kind} {name!r}{meant(name, names)}; there are {', '.join(names)}")
