"""All checks there are: the functions named `check_*` of the modules below, in the order in which they stand there.

A module says by its place which transports its checks are about. Those of streams speak in the words of the transport
(wire.py); those of all talk to the server through what peers of both kinds can do (`server.client()`).
"""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType

from . import (
    checks_datagram,
    checks_datagram_drain,
    checks_datagram_life,
    checks_drain,
    checks_echo,
    checks_endings,
    checks_life,
    checks_limits,
    checks_neighbours,
    checks_peers,
    checks_refusals,
    checks_stream,
    checks_stream_life,
    checks_ws_client,
    checks_ws_closing,
    checks_ws_fragments,
    checks_ws_frames,
    checks_ws_handshake,
    checks_ws_heads,
    checks_ws_life,
    checks_ws_memory,
    checks_ws_messages,
    checks_ws_text,
)
from .server_process import Server

Check = Callable[[Server], None]

STREAMS, DATAGRAMS, WEBSOCKET = ("tcp", "ws"), ("udp",), ("ws",)
ALL = (*STREAMS, *DATAGRAMS)
MODULES: tuple[tuple[ModuleType, tuple[str, ...]], ...] = (
    (checks_echo, ALL),
    (checks_stream, STREAMS),
    (checks_ws_frames, WEBSOCKET),
    (checks_ws_heads, WEBSOCKET),
    (checks_ws_fragments, WEBSOCKET),
    (checks_ws_text, WEBSOCKET),
    (checks_ws_closing, WEBSOCKET),
    (checks_ws_messages, WEBSOCKET),
    (checks_ws_handshake, WEBSOCKET),
    (checks_ws_life, WEBSOCKET),
    (checks_ws_client, WEBSOCKET),
    (checks_ws_memory, WEBSOCKET),
    (checks_endings, STREAMS),
    (checks_neighbours, STREAMS),
    (checks_datagram, DATAGRAMS),
    (checks_peers, DATAGRAMS),
    (checks_life, ALL),
    (checks_stream_life, STREAMS),
    (checks_datagram_life, DATAGRAMS),
    (checks_limits, STREAMS),
    (checks_drain, STREAMS),
    (checks_datagram_drain, DATAGRAMS),
    (checks_refusals, ALL),
)


def checks_for(transport: str) -> dict[str, Check]:
    """Return every check of a transport by its name without `check_`.

    Raises AssertionError when two have the same name.
    """
    found: dict[str, Check] = {}
    for module, transports in MODULES:
        if transport in transports:
            for name, member in vars(module).items():
                if name.startswith("check_") and member.__module__ == module.__name__:
                    short = name.removeprefix("check_")
                    assert short not in found, f"two checks are named {short}"
                    found[short] = member
    return found
