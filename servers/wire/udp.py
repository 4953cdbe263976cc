"""The wire over UDP: one message a datagram.

A datagram is answered if it is exactly one acceptable REQUEST: sixteen bytes of header and as many of payload as the
header says. Everything else is dropped and counted: a datagram that was cut short by a receive buffer, several messages
in one, a RESPONSE, an ERROR, noise. Nothing is ever said about it, not even an ERROR. A source address can be forged,
and a server that answers garbage is a reflector; one that answers replies can be made to talk with another for ever.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from servers.contract import MESSAGES, PROTOCOL_ERRORS, DatagramFactory, Kind, Octets, Tally
from servers.wire._message import HEADER_BYTES, KIND_OFFSET, REQUEST_START, RESPONSE, START

if TYPE_CHECKING:
    from servers.config import ServerConfig

SUMMARY = "one message a datagram"
KIND = Kind.DATAGRAM


def factory(config: ServerConfig) -> DatagramFactory:
    """Return what makes a socket's protocol."""
    longest_bytes = min(HEADER_BYTES + config.max_payload, config.recv_bytes)
    return lambda tally: UdpProtocol(tally, longest_bytes)


class UdpProtocol:
    """The messages of one socket; see `servers.contract.DatagramProtocol`."""

    __slots__ = ("_longest_bytes", "_tally")

    def __init__(self, tally: Tally, longest_bytes: int = 65_507) -> None:
        self._tally = tally
        self._longest_bytes = longest_bytes

    def receive(self, datagram: Octets) -> Octets | None:
        """Return the RESPONSE to a REQUEST, None for anything else."""
        size = len(datagram)
        if HEADER_BYTES <= size <= self._longest_bytes:
            start, length = START.unpack_from(datagram)
            if start == REQUEST_START and length == size - HEADER_BYTES:
                reply = bytearray(datagram)
                reply[KIND_OFFSET] = RESPONSE
                self._tally[MESSAGES] += 1
                return reply
        self._tally[PROTOCOL_ERRORS] += 1
        return None
