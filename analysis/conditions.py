"""A condition: a scenario without its contender. Contenders are compared inside one condition.

What is compared is the server: its concurrency model, with the options and workers that it was given. Everything else
that a scenario says, known to this version or not, is the condition: two cells that differ in any of it are not put
into one table, but in the chapters that vary just one dimension of it and say so. A condition's label names transport,
payload, connections and the server's CPUs always, and the rest where it is not the usual, or where another condition of
the run would have the same label without it.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

TRANSPORT_NAMES: Mapping[str, str] = {"tcp": "TCP", "udp": "UDP", "ws": "WebSocket"}
# What a scenario says of the server alone.
CONTENDER = frozenset({"model", "options", "workers"})

_ALWAYS = ("transport", "payload", "connections", "pin")
_USUAL: Mapping[str, Any] = {"mode": "persistent", "idle": 0, "pipeline": 1, "work": "echo"}
_NOT_SAID_ALONE = frozenset({"loads", "warmup_s", "window_s", "timeout_s"})


def identity(scenario: Mapping[str, Any]) -> str:
    """Return the condition of a scenario as text: equal when everything but the contender is equal."""
    return json.dumps(
        {key: value for key, value in scenario.items() if key not in CONTENDER}, sort_keys=True, default=str
    )


def contender(scenario: Mapping[str, Any]) -> str:
    """Return what is compared, as it is written on the command line: `asyncio`, `selectors --selector poll`."""
    return " ".join([str(scenario["model"]), *server_options(scenario)])


def server_options(scenario: Mapping[str, Any]) -> list[str]:
    """Return the options of a scenario's server, the number of workers among them where it is given."""
    workers = [] if scenario.get("workers") is None else ["--workers", str(scenario["workers"])]
    return [str(word) for word in [*workers, *(scenario.get("options") or ())]]


def varying(scenarios: Iterable[Mapping[str, Any]]) -> set[str]:
    """Return the keys of conditions in which scenarios differ."""
    values: dict[str, set[str]] = {}
    for scenario in scenarios:
        for key in scenario.keys() - CONTENDER:
            values.setdefault(key, set()).add(text(scenario[key]))
    return {key for key, found in values.items() if len(found) > 1}


def labels(scenarios: Iterable[Mapping[str, Any]], cpus: Mapping[str, str]) -> dict[str, str]:
    """Return a label for each condition among the scenarios of a run, by identity.

    `cpus` names the server's CPUs by condition where a window has told them.
    """
    conditions = {identity(scenario): scenario for scenario in scenarios}
    where = [cpus.get(name) or server_cpus(str(one.get("pin", "")), ()) for name, one in conditions.items()]
    return dict(zip(conditions, distinct(list(conditions.values()), where), strict=True))


def distinct(scenarios: Sequence[Mapping[str, Any]], cpus: Sequence[str], without: Collection[str] = ()) -> list[str]:
    """Return a label for each scenario, as short as can be: where two would read the same, it says what differs."""
    short = [label(scenario, set(), where, without) for scenario, where in zip(scenarios, cpus, strict=True)]
    alike = {words: [one for one, its in zip(scenarios, short, strict=True) if its == words] for words in short}
    return [
        label(scenario, varying(alike[words]), where, without)
        for scenario, where, words in zip(scenarios, cpus, short, strict=True)
    ]


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


def label(scenario: Mapping[str, Any], differing: set[str], cpus: str, without: Collection[str] = ()) -> str:
    """Return a condition in words; `without` leaves keys out, for what varies just these."""
    transport = str(scenario.get("transport", "?"))
    always = {
        "transport": TRANSPORT_NAMES.get(transport, transport),
        "payload": payload(scenario),
        "connections": _connections(scenario),
        "pin": server(cpus),
    }
    parts = [words for key, words in always.items() if key not in without]
    for key in sorted(scenario.keys() - {*CONTENDER, *_ALWAYS, *without}):
        value = scenario[key]
        usual = value in (None, "", [], {}) or value == _USUAL.get(key) or key in _NOT_SAID_ALONE
        if key in differing or not usual:
            parts.append(f"{key.replace('_', ' ')} {text(value)}")
    return ", ".join(parts)


def payload(scenario: Mapping[str, Any]) -> str:
    """Return the payload of a scenario in words."""
    size = str(scenario.get("payload", "?"))
    return f"{int(size):,} B" if size.isdecimal() else f"payload {size}"


def _connections(scenario: Mapping[str, Any]) -> str:
    count = scenario.get("connections", "?")
    return f"{count:,} connections" if isinstance(count, int) and count != 1 else f"{count} connection"


def server(cpus: str) -> str:
    """Return where a server ran, in words, from its CPUs as tables name them."""
    if cpus.startswith("unpinned"):
        return f"server {cpus.replace('(', '(CPUs ')}"
    return f"server on CPU {cpus}" if cpus.partition(" ")[0].isdecimal() else f"server on CPUs {cpus}"


def text(value: object) -> str:
    """Return a value of a scenario in words: `default` for none, lists without brackets."""
    if value is None:
        return "default"
    if isinstance(value, list):
        return " ".join(text(item) for item in value)
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True, default=str)
