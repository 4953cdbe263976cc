"""The wire protocol over UDP as the client sees it: one message a datagram, each judged by itself.

Datagrams are lost, doubled and overtaken on their way; that is no fault of a server, and is counted apart. So replies
have no order, a request that is never answered is *lost*, and nothing that arrives breaks the connection: a datagram
that is no message at all belongs to nobody and is counted as corrupt.
"""

from __future__ import annotations

import socket

from loadgen.payload import Payloads
from loadgen.wire import Reply
from loadgen.wire._echo import EchoCodec, EchoWire
from servers.wire._message import HEADER_BYTES

MOST_PAYLOAD_BYTES = 65_507 - HEADER_BYTES
_NOBODY = -1  # a sequence that no request has


class Codec(EchoCodec):
    """The codec of a run."""

    transport = "udp"
    socket_type = socket.SOCK_DGRAM
    ordered = False
    most_payload_bytes = MOST_PAYLOAD_BYTES

    def __init__(self, payloads: Payloads | bytes, url: str = "") -> None:
        super().__init__(payloads, url)
        self.read_bytes = self.reply_bytes + 1  # a longer datagram must not be cut to the length of the right one

    def connection(self, number: int) -> Wire:
        """Return the codec of the connection with this number."""
        return Wire(self, number)


class Wire(EchoWire):
    """The codec of one connection: of one socket, connected to the server."""

    partial = False  # a datagram is whole or it is none

    def replies(self, data: bytes) -> list[Reply]:
        """Return the message that a datagram is."""
        return [self._reply(data, 0, len(data)) if len(data) >= HEADER_BYTES else Reply(_NOBODY, intact=False)]
