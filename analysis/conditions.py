"""A condition: a scenario without its model. Models are compared inside one condition, never across.

Everything that a scenario says, its model apart, is the condition, known to this version or not: two cells that
differ in any of it are not put into one table. Its label names transport, payload, connections and the server's CPUs
always, and the rest where it is not the usual or where it differs inside the run.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

TRANSPORT_NAMES: Mapping[str, str] = {"tcp": "TCP", "udp": "UDP", "ws": "WebSocket"}

_ALWAYS = ("transport", "payload", "connections", "pin")
_USUAL: Mapping[str, Any] = {"mode": "persistent", "idle": 0, "pipeline": 1, "work": "echo"}
_NOT_SAID_ALONE = frozenset({"loads", "warmup_s", "window_s", "timeout_s"})


def identity(scenario: Mapping[str, Any]) -> str:
    """Return the condition of a scenario as text: equal when everything but the model is equal."""
    return json.dumps({key: value for key, value in scenario.items() if key != "model"}, sort_keys=True, default=str)


def labels(scenarios: Iterable[Mapping[str, Any]], cpus: Mapping[str, str]) -> dict[str, str]:
    """Return a label for each condition among the scenarios of a run, by identity.

    `cpus` names the server's CPUs by condition where a window has told them.
    """
    conditions = {identity(scenario): scenario for scenario in scenarios}
    values: dict[str, set[str]] = {}
    for scenario in conditions.values():
        for key in scenario.keys() - {"model"}:
            values.setdefault(key, set()).add(_text(scenario[key]))
    varying = {key for key, found in values.items() if len(found) > 1}
    return {
        name: _label(scenario, varying, cpus.get(name) or server_cpus(str(scenario.get("pin", "")), ()))
        for name, scenario in conditions.items()
    }


def server_cpus(pin: str, used: Sequence[int]) -> str:
    """Return the CPUs of a server as tables name them: `0`, `0,1`, `unpinned (0,1)`.

    `used` are those that a window has told; without them the pin has to say it.
    """
    named = ",".join(str(cpu) for cpu in used)
    if pin == "none":
        return f"unpinned ({named})" if named else "unpinned"
    server, _, generator = pin.partition(":")
    shared = set(server.split(",")) & set(generator.split(","))
    return (named or server or "unknown") + (" (shared with the load generator)" if shared else "")


def _label(scenario: Mapping[str, Any], varying: set[str], cpus: str) -> str:
    transport = str(scenario.get("transport", "?"))
    parts = [TRANSPORT_NAMES.get(transport, transport), _payload(scenario), _connections(scenario), _server(cpus)]
    for key in sorted(scenario.keys() - {"model", *_ALWAYS}):
        value = scenario[key]
        usual = value in (None, "", [], {}) or value == _USUAL.get(key) or key in _NOT_SAID_ALONE
        if key in varying or not usual:
            parts.append(f"{key.replace('_', ' ')} {_text(value)}")
    return ", ".join(parts)


def _payload(scenario: Mapping[str, Any]) -> str:
    payload = str(scenario.get("payload", "?"))
    return f"{int(payload):,} B" if payload.isdecimal() else f"payload {payload}"


def _connections(scenario: Mapping[str, Any]) -> str:
    count = scenario.get("connections", "?")
    return f"{count:,} connections" if isinstance(count, int) and count != 1 else f"{count} connection"


def _server(cpus: str) -> str:
    if cpus.startswith("unpinned"):
        return f"server {cpus.replace('(', '(CPUs ')}"
    return f"server on CPU {cpus}" if cpus.partition(" ")[0].isdecimal() else f"server on CPUs {cpus}"


def _text(value: object) -> str:
    if value is None:
        return "default"
    if isinstance(value, list):
        return " ".join(_text(item) for item in value)
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True, default=str)
