"""One TCP connection to a server, as a raw socket with a deadline for everything, independent of all code under test.

A server that does not answer, closes too early or resets the connection fails the check with a sentence
(AssertionError), and nothing hangs. `why` is the rule that is checked; it opens the sentence.

Sending and reading at the same time (`pump`) is what keeps a test from blocking itself: a server may stop reading a
peer whose replies it can't get rid of, and then both sides of a naive test wait for each other.
"""

from __future__ import annotations

import fcntl
import select
import socket
import struct
import termios
from collections.abc import Iterable
from types import TracebackType
from typing import Self

from .kernel import Queues, queues
from .waiting import Deadline, eventually
from .wire_bytes import difference

CHUNK_BYTES = 262_144
RESET_ON_CLOSE = struct.pack("ii", 1, 0)
HEAD_END, MOST_HEAD_BYTES = b"\r\n\r\n", 16_384


class Connection:
    """One connection to a server."""

    def __init__(self, address: tuple[str, int], patience_s: float) -> None:
        self._patience_s = patience_s
        self._server_address = address
        self._socket = socket.socket(socket.AF_INET6 if ":" in address[0] else socket.AF_INET, socket.SOCK_STREAM)
        self._socket.settimeout(patience_s)
        try:
            self._socket.connect(address)
        except OSError as error:
            self._socket.close()
            raise AssertionError(f"the server accepts connections at {address}: {error}") from error
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._address: tuple[str, int] = self._socket.getsockname()[:2]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._socket.close()

    def send(self, data: bytes, why: str = "the server takes what it is sent") -> None:
        """Send everything."""
        self._socket.settimeout(self._patience_s)
        try:
            self._socket.sendall(data)
        except TimeoutError as error:
            raise AssertionError(f"{why}: it took no more bytes for {self._patience_s:g} s") from error
        except OSError as error:
            raise AssertionError(f"{why}: it ended the connection instead ({error.strerror})") from error

    def send_apart(self, chunks: Iterable[bytes], why: str) -> None:
        """Send chunk by chunk, each only after the server has read the one before."""
        for chunk in chunks:
            self.send(chunk, why)
            self.wait_until_taken(why)

    def wait_until_taken(self, why: str) -> None:
        """Wait until the server has read everything that was sent."""

        def taken() -> bool:
            found = self._server_queues()
            return found is None or found.unread_bytes == 0

        eventually(taken, self._patience_s, f"{why}: the server reads what arrived")

    def read(self, size: int, why: str) -> bytes:
        """Return exactly `size` bytes."""
        deadline, got = Deadline(self._patience_s), bytearray()
        while len(got) < size:
            chunk = self._receive(
                min(CHUNK_BYTES, size - len(got)), deadline, f"{why}: {len(got)} of {size} bytes came"
            )
            assert chunk, f"{why}: {len(got)} of {size} bytes came, then the end of the connection"
            got += chunk
        return bytes(got)

    def read_head(self, why: str) -> bytes:
        """Return all bytes up to the first empty line, as HTTP ends its headers, and none behind it."""
        deadline, got = Deadline(self._patience_s), bytearray()
        while HEAD_END not in got:
            ahead = self._receive(MOST_HEAD_BYTES, deadline, f"{why}: {len(got)} bytes came", socket.MSG_PEEK)
            assert ahead, f"{why}: {bytes(got)!r} came, then the end of the connection"
            before, end, _ = (bytes(got) + ahead).partition(HEAD_END)
            got += self._receive(len(before + end) - len(got), deadline, why)
            assert len(got) <= MOST_HEAD_BYTES, f"{why}, with an empty line at some point: {len(got)} bytes came"
        return bytes(got)

    def expect(self, expected: bytes, why: str) -> None:
        """Read as many bytes as are expected and compare."""
        got = self.read(len(expected), why)
        assert got == expected, f"{why}: {difference(got, expected)}"

    def expect_end(self, why: str) -> None:
        """Check that the connection ends, in order and with nothing more before."""
        rest = self.read_to_end(why)
        assert not rest, f"{why}: {len(rest)} unexpected bytes came before the end: {rest[:48].hex(' ')!r}"

    def read_to_end(self, why: str, most_bytes: int = 1 << 24) -> bytes:
        """Return all bytes until the server ends the connection in order (a reset is a failure)."""
        deadline, got = Deadline(self._patience_s), bytearray()
        while chunk := self._receive(CHUNK_BYTES, deadline, f"{why}: {len(got)} bytes came and no end"):
            got += chunk
            assert len(got) <= most_bytes, f"{why}: more than {most_bytes} bytes came"
        return bytes(got)

    def pump(self, data: bytes, why: str, *, reads_only_when_stuck: bool = False) -> bytes:
        """Send everything and read what arrives meanwhile, and return that."""
        deadline, rest, got = Deadline(self._patience_s), memoryview(data), bytearray()
        self._socket.setblocking(False)
        while rest:
            readable, writable = self._wait(select.POLLIN | select.POLLOUT, deadline.remaining_s())
            assert readable or writable, f"{why}: {len(rest)} bytes were not taken, {len(got)} came, then nothing"
            if writable:
                rest = rest[self._send_some(rest, why) :]
            if readable and not (reads_only_when_stuck and writable):
                chunk = self._receive(CHUNK_BYTES, deadline, why)
                assert chunk, f"{why}: the connection ended with {len(rest)} bytes to go"
                got += chunk
        return bytes(got)

    def read_what_comes(self, why: str, most_bytes: int = 1 << 27) -> bytes:
        """Return all bytes until the connection is over, in order or by a reset."""
        deadline, got = Deadline(self._patience_s), bytearray()
        while len(got) <= most_bytes:
            ended = self._wait(select.POLLIN, deadline.remaining_s())[0]
            assert ended, f"{why}: {len(got)} bytes came, then neither more nor the end"
            try:
                chunk = self._socket.recv(CHUNK_BYTES)
            except ConnectionError:
                chunk = b""
            if not chunk:
                return bytes(got)
            got += chunk
        raise AssertionError(f"{why}: more than {most_bytes} bytes came")

    def shut_sending(self) -> None:
        """Tell the server that nothing more will come; reading goes on."""
        self._socket.shutdown(socket.SHUT_WR)

    def reset(self) -> None:
        """Close with a reset."""
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
        self._socket.close()

    def close(self) -> None:
        """Close in order; may be called again."""
        self._socket.close()

    def bytes_on_their_way(self) -> int:
        """Return how many bytes that were sent have not reached the server's kernel yet."""
        return int(struct.unpack("i", fcntl.ioctl(self._socket, termios.TIOCOUTQ, bytes(4)))[0])

    def fileno(self) -> int:
        """Return the socket's descriptor, to wait on several."""
        return self._socket.fileno()

    def _server_queues(self) -> Queues | None:
        return queues(self._socket.family, self._server_address, self._address)

    def _wait(self, events: int, patience_s: float) -> tuple[bool, bool]:
        poll = select.poll()
        poll.register(self._socket, events)
        found = dict(poll.poll(patience_s * 1_000)).get(self._socket.fileno(), 0)
        ended = found & (select.POLLERR | select.POLLHUP)
        return bool(found & select.POLLIN or ended), bool(found & select.POLLOUT or ended)

    def _send_some(self, data: memoryview, why: str) -> int:
        try:
            return self._socket.send(data[:CHUNK_BYTES])
        except BlockingIOError:
            return 0
        except OSError as error:
            raise AssertionError(f"{why}: the server ended the connection instead ({error.strerror})") from error

    def _receive(self, size: int, deadline: Deadline, why: str, flags: int = 0) -> bytes:
        self._socket.settimeout(deadline.remaining_s() or 0.001)
        try:
            return self._socket.recv(size, flags)
        except TimeoutError as error:
            raise AssertionError(f"{why}, then nothing for {self._patience_s:g} s") from error
        except OSError as error:
            raise AssertionError(f"{why}, then the connection was cut: {error.strerror}") from error
        finally:
            self._socket.setblocking(False)
