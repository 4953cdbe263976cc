"""The opening handshake of WebSocket (RFC 6455, section 4): one HTTP request, answered and done with.

Reading the request, judging it and answering it is the `websockets` package's work. What is ours: the limit of the
whole, the answer to what is no HTTP at all, the answer to another version of WebSocket (the RFC wants to be told
which one is spoken), and the one page that is served to plain HTTP, `GET /healthz`.

The package is given the request's head and not a byte more: frames that come glued to it (a client should wait for the
answer, but bytes arrive as they like) stay in the buffer for what follows.
"""

from __future__ import annotations

import re
from collections.abc import Generator, Sequence
from http import HTTPStatus

from websockets.exceptions import InvalidHeader, TooManyHeaders
from websockets.http11 import Request, Response
from websockets.server import ServerProtocol
from websockets.typing import Subprotocol

SUBPROTOCOL = Subprotocol("echobench.v1")
# The handshake of RFC 6455, section 1.2, with our subprotocol.
EXAMPLE_OPENING = (
    b"GET /chat HTTP/1.1\r\nHost: server.example.com\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nOrigin: http://example.com\r\n"
    b"Sec-WebSocket-Protocol: echobench.v1\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
# Of request line and headers together; RFC 6455 names no limit, 8 KiB is what web servers use.
MAX_HEAD_BYTES = 8192
_HEAD_END = b"\r\n\r\n"
_TARGET_PATH = re.compile(r"http://[^/?]*", re.IGNORECASE)
_TARGET = re.compile(r"(?:http://[^/?#\s]+)?/[!-~]*", re.IGNORECASE)
_HOST = re.compile(r"(?:\[[0-9A-Fa-f:.]+\]|[0-9A-Za-z._~!$&'()*+,;=%-]*)(?::\d*)?")
_VERSION = "13"


def answer_opening(buffer: bytearray) -> Generator[None, None, tuple[Response, Subprotocol | None]]:
    """Take a handshake out of the buffer, which grows between two steps, and return the answer.

    With status 101 the connection is open, in the subprotocol that is returned beside it; with any other it is not.
    """
    server = ServerProtocol(select_subprotocol=_select, extensions=None)
    fed = 0
    while True:
        found = buffer.find(_HEAD_END, max(0, fed - len(_HEAD_END) + 1))
        end = len(buffer) if found < 0 else found + len(_HEAD_END)
        server.receive_data(bytes(buffer[fed : min(end, MAX_HEAD_BYTES + 1)]))
        fed = end
        requests = server.events_received()
        if requests or server.handshake_exc is not None or fed > MAX_HEAD_BYTES:
            break
        yield
    del buffer[:fed]
    if fed > MAX_HEAD_BYTES:
        return _too_long(server), None
    if not requests:
        return _not_understood(server), None
    request = requests[0]
    assert isinstance(request, Request)
    response = _answer(server, request)
    if request.method == "HEAD":
        response.body = b""
    return response, server.subprotocol


def _select(_server: ServerProtocol, offered: Sequence[Subprotocol]) -> Subprotocol | None:
    """Choose ours where it is offered; whoever offers others, or none, is spoken to without."""
    return SUBPROTOCOL if SUBPROTOCOL in offered else None


def _answer(server: ServerProtocol, request: Request) -> Response:
    reason = _fault(request)
    if reason is not None:
        return server.reject(HTTPStatus.BAD_REQUEST, f"{reason}.\n")
    upgrades = ",".join(request.headers.get_all("Upgrade")).lower()
    is_plain = request.method in ("GET", "HEAD") and "websocket" not in upgrades
    if is_plain and _TARGET_PATH.sub("", request.path).partition("?")[0] == "/healthz":
        return server.reject(HTTPStatus.OK, "ok\n")
    response = server.accept(request)
    error = server.handshake_exc
    if isinstance(error, InvalidHeader) and error.name == "Sec-WebSocket-Version":
        response = server.reject(HTTPStatus.UPGRADE_REQUIRED, f"This server speaks WebSocket version {_VERSION}.\n")
        response.headers["Upgrade"] = "websocket"
        response.headers["Sec-WebSocket-Version"] = _VERSION
    return response


def _fault(request: Request) -> str | None:
    """Return what is wrong with a request by the rules of HTTP that the package leaves to its caller, None if nothing.

    RFC 9112, 3.2: one Host in HTTP/1.1; the target is a path or a whole URL.
    """
    if not _TARGET.fullmatch(request.path):
        return "The request's target is neither a path nor a URL"
    hosts = request.headers.get_all("Host")
    if len(hosts) > 1 or (not hosts and request.protocol == "HTTP/1.1"):
        return "HTTP/1.1 wants one Host header"
    return None if all(map(_HOST.fullmatch, hosts)) else "The Host header holds no host"


def _not_understood(server: ServerProtocol) -> Response:
    error = server.handshake_exc
    if isinstance(error, TooManyHeaders):
        return server.reject(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "The request has too many headers.\n")
    cause = error.__cause__ if error is not None else None
    return server.reject(HTTPStatus.BAD_REQUEST, f"This request is not understood: {cause or error}.\n")


def _too_long(server: ServerProtocol) -> Response:
    """Return what the package says of a line that is too long, or that the whole is."""
    status = HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
    for said in server.data_to_send():
        if said.startswith(b"HTTP/1.1 414"):
            status = HTTPStatus.REQUEST_URI_TOO_LONG
    return server.reject(status, f"The request's head is longer than {MAX_HEAD_BYTES} bytes.\n")
