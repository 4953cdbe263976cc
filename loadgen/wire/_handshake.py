"""The opening handshake of WebSocket (RFC 6455, section 4) as the client sees it: one HTTP request and its answer.

The request and the judgement of a 101 are those of the `websockets` package: upgrade, the key's echo, no extension that
was not asked for (compression is not), no more than one subprotocol. What it does not see to is done here. An answer
with another status is told by its status line, without waiting for its body; one that is no HTTP is refused at its
first byte; the beginning of an answer is kept for 8 KiB at most. Bytes behind the answer are frames already: `rest`.

Making and judging takes the package 50 us, more than a connection that lives for one request costs otherwise. But the
handshakes of a run differ in the key and its echo alone. So the request is made once and the key put into it, and an
answer that is one found right before, but for the right echo of this key in the same place, is right too.
"""

from __future__ import annotations

import os
import re
from base64 import b64encode

from websockets.client import ClientProtocol
from websockets.typing import Subprotocol
from websockets.uri import parse_uri
from websockets.utils import accept_key

from loadgen.wire import HandshakeError
from loadgen.wire._echo import quoted

SUBPROTOCOL = "echobench.v1"
MOST_ANSWER_BYTES = 8192
_KEY_BYTES = 16
_END = b"\r\n\r\n"
_HTTP = b"HTTP/1.1 "
_STATUS_LINE = re.compile(rb"HTTP/1\.1 (\d{3})(?: ([^\r\n]*))?\r\n")


class Opening:
    """What all handshakes with a URL have in common."""

    def __init__(self, url: str) -> None:
        self._uri = parse_uri(url)
        protocol = self._protocol()
        self._request = protocol.connect().serialize().split(protocol.key.encode())
        self._found_right: tuple[bytes, ...] = ()  # the last answer found right, before and after the key's echo

    def _protocol(self) -> ClientProtocol:
        return ClientProtocol(self._uri, subprotocols=[Subprotocol(SUBPROTOCOL)])

    def begin(self) -> OpeningHandshake:
        """Return the handshake of a new connection, with a fresh key."""
        key = b64encode(os.urandom(_KEY_BYTES))
        return OpeningHandshake(self, key.decode(), key.join(self._request))

    def judge(self, key: str, answer: bytes) -> None:
        """Judge a whole answer to the request with this key; raises HandshakeError."""
        before, echo, after = answer.partition(accept_key(key).encode())
        if not echo or (before, after) != self._found_right:
            self._look_into(key, answer)
            self._found_right = (before, after)

    def _look_into(self, key: str, answer: bytes) -> None:
        status = _STATUS_LINE.match(answer)
        if status is None or status[1] != b"101":
            words = b" ".join(filter(None, status.groups())) if status is not None else answer.partition(b"\r\n")[0]
            raise HandshakeError(f"the server answered {quoted(words.decode('latin-1'))} to the WebSocket handshake")
        protocol = self._protocol()
        protocol.key = key
        protocol.receive_data(answer)
        if protocol.handshake_exc is not None:
            refused = protocol.handshake_exc
            raise HandshakeError(f"the server's answer to the WebSocket handshake is wrong: {quoted(str(refused))}")
        if protocol.subprotocol != SUBPROTOCOL:
            raise HandshakeError(f"the server does not know the subprotocol {SUBPROTOCOL}")


class OpeningHandshake:
    """The handshake of one connection."""

    def __init__(self, opening: Opening, key: str, request: bytes) -> None:
        self.request = request
        self.rest = b""
        self._opening = opening
        self._key = key
        self._answer = b""

    def take(self, data: bytes) -> bool:
        """Take bytes received, and return whether the server has agreed; raises HandshakeError when it has not."""
        self._answer += data
        if not self._answer.startswith(_HTTP[: len(self._answer)]):
            raise HandshakeError(f"the server did not answer the WebSocket handshake in HTTP/1.1: {data[:40]!r}")
        head, end, self.rest = self._answer.partition(_END)
        if len(head) > MOST_ANSWER_BYTES:
            raise HandshakeError(f"the server answered the WebSocket handshake with over {MOST_ANSWER_BYTES:,} bytes")
        if end:
            self._opening.judge(self._key, head + end)
        return bool(end)
