"""A tiny correct WebSocket server: the one of streams with another protocol, which is all that it takes."""

from __future__ import annotations

from typing import ClassVar

from tiny_server import TinyServer
from tiny_wire import Echo
from tiny_ws_wire import WsEcho


class TinyWsServer(TinyServer):
    """A server of WebSocket."""

    transport = "ws"
    echo_class: ClassVar[type[Echo]] = WsEcho
