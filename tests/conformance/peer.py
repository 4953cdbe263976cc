"""A client of a server of streams: one connection, and the words of the transport (wire.py) to ask and answer in."""

from __future__ import annotations

import contextlib
import select
from collections.abc import Callable

from .connection import CHUNK_BYTES, HEAD_END, Connection
from .waiting import Deadline
from .wire import PLAIN, Greeting, Wire
from .wire_bytes import difference

# A peer counts as stuck when the server has read nothing for so long, with bytes to read and replies not taken.
STUCK_S = 0.15


class Peer(Connection):
    """One connection to a server, in the words of its transport."""

    def __init__(
        self,
        address: tuple[str, int],
        patience_s: float,
        server_sleeps: Callable[[], bool] = lambda: True,
        wire: Wire = PLAIN,
    ) -> None:
        super().__init__(address, patience_s)
        self._server_sleeps = server_sleeps
        self._wire = wire
        self._greeting: Greeting | None = wire.greeting if wire.greeting.hello else None  # while it is still due

    def greet(self, greeting: Greeting, why: str = "a connection is welcomed") -> None:
        """Say what a client says first and expect the answer."""
        self.send(greeting.hello, why)
        self._greeting = greeting if greeting.hello else None
        self.expect_welcome(why)

    def expect_welcome(self, why: str) -> None:
        """Expect the answer to what a client says first, byte by byte up to its end."""
        if self._greeting is not None:
            self._greeting.judge(self.read_head(f"{why}: an opening handshake is answered"))
            self._greeting = None

    def echo(self, sequence: int, payload: bytes = b"", why: str = "a request is answered") -> None:
        """Send a request and expect its reply, reading while it is being sent."""
        expected = self._wire.response(sequence, payload)
        got = self.pump(self._wire.request(sequence, payload), why)
        got += self.read(len(expected) - len(got), why)
        assert got == expected, f"{why}: {difference(got, expected)}"

    def is_answered(self, sequence: int, why: str) -> bool:
        """Send a request, behind the greeting if that is due, and tell whether its reply came, or but the end."""
        hello = self._greeting.hello if self._greeting else b""
        return self.gets_back(hello + self._wire.request(sequence), self._wire.response(sequence), why)

    def gets_back(self, sent: bytes, expected: bytes, why: str) -> bool:
        """Send something short and tell whether what is expected came, or but the end, in order or by a reset."""
        got, deadline = bytearray(), Deadline(self._patience_s)
        self._socket.setblocking(False)
        with contextlib.suppress(ConnectionError):  # a refusal shows when reading
            self._socket.send(sent)
        while self._greeting is not None or len(got) < len(expected):
            ready = self._wait(select.POLLIN, deadline.remaining_s())[0]
            assert ready, f"{why}: {len(got)} bytes came and no end"
            try:
                chunk = self._socket.recv(CHUNK_BYTES)
            except ConnectionError:
                chunk = b""
            if not chunk:
                assert not got, f"{why}: {len(got)} bytes came before the end"
                return False
            got = self._without_welcome(got + chunk)
        assert got == expected, f"{why}: {difference(bytes(got), expected)}"
        return True

    def expect_goodbye(self, why: str) -> None:
        """Check that the server says its goodbye, as it does when it drains, and ends the connection in order."""
        found = self.read_to_end(why)
        try:
            self._wire.judge_goodbye(found)
        except AssertionError as error:
            raise AssertionError(f"{why}: {error}") from error

    def flood(self, data: bytes, why: str, keep_bytes: int = 0) -> bytes:
        """Send the data again and again and read what comes, until the server has ended the connection, in any way.

        Returns the first `keep_bytes` that came.
        """
        deadline, rest, got = Deadline(self._patience_s), memoryview(data), bytearray()
        self._socket.setblocking(False)
        while True:
            assert deadline.remaining_s() > 0, f"{why}: the connection did not end in {self._patience_s:g} s"
            readable, writable = self._wait(select.POLLIN | select.POLLOUT, deadline.remaining_s())
            try:
                if writable:
                    rest = rest[self._socket.send(rest[:CHUNK_BYTES]) :] or memoryview(data)
                chunk = self._socket.recv(CHUNK_BYTES) if readable else None
            except BlockingIOError:
                continue
            except OSError:  # a reset, or a pipe that is broken: what came before it can still be read
                return bytes(got) + self._left_to_read()[: keep_bytes - len(got)]
            if chunk == b"":
                return bytes(got)
            got += (chunk or b"")[: keep_bytes - len(got)]

    def fill(
        self, message: Callable[[int], bytes], why: str, most_bytes: int = 1 << 26, least_unread_bytes: int = 1
    ) -> tuple[int, bytes]:
        """Send message 0, 1, ... and read nothing until the server takes no more and has so much left to read.

        Returns how many messages were begun and the unsent rest of the last; a server that takes `most_bytes` fails.
        """
        self._socket.setblocking(False)
        deadline, begun, sent, rest = Deadline(self._patience_s), 0, 0, memoryview(b"")
        while True:
            if not rest:
                rest, begun = memoryview(message(begun)), begun + 1
            if self._wait(select.POLLOUT, STUCK_S)[1]:
                size = self._send_some(rest, why)
                deadline, rest, sent = Deadline(self._patience_s), rest[size:], sent + size
                assert sent <= most_bytes, f"{why}: it took {sent} bytes from a peer that reads nothing"
            elif self._is_held_up(least_unread_bytes):
                return begun, bytes(rest)
            else:
                assert deadline.remaining_s() > 0, f"{why}: it neither reads nor answers"

    def send_what_is_taken(self, data: bytes) -> None:
        """Send as much as is taken at once, and no more."""
        self._socket.setblocking(False)
        while data and self._wait(select.POLLOUT, 0)[1]:
            data = data[self._send_some(memoryview(data), "the server takes what it is sent") :]

    def trade(self, data: memoryview, *, reads: bool) -> memoryview | None:
        """Send what is taken at once, drop what has come; return what is left to send, None where all is over."""
        self._socket.setblocking(False)
        try:
            with contextlib.suppress(BlockingIOError):
                data = data[self._socket.send(data[:CHUNK_BYTES]) :]
            with contextlib.suppress(BlockingIOError):
                if reads and not self._socket.recv(CHUNK_BYTES):
                    return None
        except OSError:
            return None
        return data

    def has_ended_while_dribbling(self) -> bool:
        """Send one more byte and tell whether something has come from the server, such as the end."""
        self._socket.setblocking(False)
        with contextlib.suppress(OSError):  # a reset shows when reading
            self._socket.send(b"\0")
        return self._wait(select.POLLIN, 0)[0]

    def was_let_go(self) -> bool:
        """Send a byte and tell whether the server has closed the connection for good (it then answers with a reset)."""
        self._socket.setblocking(False)
        try:
            self._socket.send(b"\0")
        except BlockingIOError:
            return False
        except OSError:
            return True
        return False

    def _without_welcome(self, got: bytearray) -> bytearray:
        if self._greeting is None or HEAD_END not in got:
            return got
        size = got.index(HEAD_END) + len(HEAD_END)
        self._greeting.judge(bytes(got[:size]))
        self._greeting = None
        return got[size:]

    def _is_held_up(self, least_unread_bytes: int) -> bool:
        """Tell whether the server has something to read and something that it can't get rid of, and just waits."""
        found = self._server_queues()
        held_up = found is not None and found.unread_bytes >= least_unread_bytes and found.unsent_bytes > 0
        return held_up and self._server_sleeps()

    def _left_to_read(self) -> bytes:
        left = bytearray()
        with contextlib.suppress(OSError):
            while chunk := self._socket.recv(CHUNK_BYTES):
                left += chunk
        return bytes(left)
