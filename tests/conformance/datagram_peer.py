"""A client made of one raw UDP socket, independent of all code under test.

Its socket is not connected: whoever sends to it is heard, so a reply that comes from another address than the one that
was asked is seen and fails the check, whatever the check is about. Every wait has a deadline.

That something does *not* come is never proven by waiting. A socket hands over datagrams in the order of their arrival,
so what was not answered is told by the next datagram being the answer to something later; and when the server has
ended, all that it ever sent is there (`expect_nothing_more`).
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Collection
from types import TracebackType

from .kernel_datagrams import sockets_of
from .waiting import eventually
from .wire_bytes import difference, request, response

MOST_BYTES = 65_536


class DatagramPeer:
    """One source address that talks to a server."""

    def __init__(
        self, address: tuple[str, int], patience_s: float, source: tuple[str, int] | None = None, buffer_bytes: int = 0
    ) -> None:
        self._patience_s = patience_s
        self._server_address = address
        family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        self._socket = socket.socket(family, socket.SOCK_DGRAM)
        self._socket.settimeout(patience_s)
        if buffer_bytes:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer_bytes)
        try:
            self._socket.bind(source or ("::1" if family == socket.AF_INET6 else "127.0.0.1", 0))
        except OSError:
            self._socket.close()
            raise
        host, port = self._socket.getsockname()[:2]
        self.address: tuple[str, int] = (host, port)  # as the server sees it

    def __enter__(self) -> DatagramPeer:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._socket.close()

    def send(self, data: bytes) -> None:
        """Send one datagram."""
        self._socket.sendto(data, self._server_address)

    def receive(self, why: str) -> bytes:
        """Return the next datagram; it has to come from the server's address."""
        try:
            data, source = self._socket.recvfrom(MOST_BYTES)
        except TimeoutError as error:
            raise AssertionError(f"{why}: no datagram came for {self._patience_s:g} s") from error
        asked = self._server_address
        assert source[:2] == asked, f"{why}: a reply comes from the address that was asked, {asked}, not {source[:2]}"
        return data

    def expect(self, expected: bytes, why: str) -> None:
        """Receive the next datagram and compare."""
        got = self.receive(why)
        assert got == expected, f"{why}: {difference(got, expected)}"

    def expect_in_any_order(self, expected: Collection[bytes], why: str) -> None:
        """Receive as many datagrams as are expected and compare them as a multiset."""
        got: list[bytes] = []
        while len(got) < len(expected):
            got.append(self.receive(f"{why}: {len(got)} of {len(expected)} came"))
        assert sorted(got) == sorted(expected), f"{why}: other datagrams came than were expected"

    def echo(self, sequence: int, payload: bytes = b"", why: str = "a request is answered") -> None:
        """Send a request and expect its reply as the next datagram."""
        self.send(request(sequence, payload))
        self.expect(response(sequence, payload), why)

    def expect_nothing_more(self, why: str) -> None:
        """Check that nothing has been received that was not looked at. Says all when the server has ended."""
        self._socket.setblocking(False)
        try:
            got, source = self._socket.recvfrom(MOST_BYTES)
        except BlockingIOError:
            return
        finally:
            self._socket.settimeout(self._patience_s)
        raise AssertionError(f"{why}: {len(got)} bytes came from {source[:2]}, {got[:48].hex(' ')!r}")

    def expect_goodbye(self, why: str) -> None:
        """Wait until the server's port is free, and check that nothing came from it."""
        eventually(lambda: port_is_free(self._server_address), self._patience_s, f"{why}: the port becomes free")
        self.expect_nothing_more(why)

    def flood(self, until: Callable[[], bool], why: str) -> None:
        """Send requests as fast as possible, and read what comes, until something is so."""
        self._socket.setblocking(False)

        def send_some() -> bool:
            for number in range(200):
                try:
                    self.send(request(number))
                    self._socket.recvfrom(MOST_BYTES)
                except BlockingIOError:
                    continue
            return until()

        eventually(send_some, self._patience_s, why)

    def close(self) -> None:
        """Close; may be called again."""
        self._socket.close()

    def wait_until_gone(self) -> None:
        """Wait until the closed socket is: a process that is just being started has a copy of it until its exec."""
        eventually(lambda: not sockets_of(self.address), self._patience_s, "a closed socket goes")


def port_is_free(address: tuple[str, int]) -> bool:
    """Tell whether no datagram socket has an address, not even a connected one or one that shares it.

    It may be no for a moment after it was asked before (see `DatagramPeer.wait_until_gone`): ask until it is yes.
    """
    family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind(address)
        except OSError:
            return False
    return True
