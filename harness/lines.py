"""JSON as servers and load generators write it: events on lines, and records."""

from __future__ import annotations

import json
from typing import Any, NoReturn

SHOWN_CHARACTERS = 100


def parse_event(line: str) -> dict[str, Any] | None:
    """Return an event line as an object, or None where the line is no JSON object with an `event`."""
    try:
        document = parse_json(line)
    except ValueError:
        return None
    return document if isinstance(document, dict) and isinstance(document.get("event"), str) else None


def parse_json(text: str) -> Any:
    """Return a document; raises ValueError also for NaN and the infinities, which JSON does not have."""
    return json.loads(text, parse_constant=_refuse)


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no JSON")


def shown(line: str) -> str:
    """Return a line as a message quotes it."""
    return repr(line if len(line) <= SHOWN_CHARACTERS else line[:SHOWN_CHARACTERS] + "...")
