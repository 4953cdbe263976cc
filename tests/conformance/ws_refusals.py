"""What all checks of what a WebSocket server closes a connection for do alike."""

from __future__ import annotations

from collections.abc import Iterable

from .server_process import Server
from .wire import Greeting, Refused
from .ws_bytes import PING, PLAIN_ECHO, TEXT, frame, reply


def expect_closed(server: Server, cases: Iterable[Refused], greeting: Greeting = PLAIN_ECHO) -> None:
    """Check that each of some bytes closes its connection, by itself, at once and with the code that it should have."""
    for case in cases:
        with server.connect(greeting) as peer:
            peer.send(case.sent)
            case.judge(peer.read_to_end(f"after {case.name} come a close frame and the end"))


def expect_closed_between_others(server: Server, cases: Iterable[Refused]) -> None:
    """Check that what comes before bytes that close a connection is answered, and what comes behind is not."""
    for case in cases:
        with server.connect(PLAIN_ECHO) as peer:
            peer.send(frame(TEXT, b"before") + case.sent + frame(PING, b"behind") + frame(TEXT, b"behind"))
            peer.expect(reply(TEXT, b"before"), f"a message before {case.name} is echoed")
            case.judge(peer.read_to_end(f"after {case.name} come a close frame and the end"))
