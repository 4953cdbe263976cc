"""Datagrams at a socket that is open to everybody: received, answered, sent back to where they came from.

A datagram socket has no connections. Whoever owns it reads until it would block and answers each datagram with another.
There is no reader to wait for: a reply leaves at once, unless the machine's own network device is behind. Then the
replies wait in the system up to the send buffer, and the next `sendto` would block. That one reply is held, and nothing
more is read until it has gone; what arrives meanwhile waits in the receive buffer, or is lost there, as datagrams are.

A reply that can't be sent at all (a request from port 0, a host that has gone) is dropped and counted as undelivered.
"""

from __future__ import annotations

import errno
import logging
import select
import socket
from collections.abc import Callable

from servers.config import ServerConfig
from servers.contract import MESSAGES, UNDELIVERED, DatagramProtocol, Octets, Tally
from servers.listener import Address, admit_again, stop_admitting
from servers.work import Work

log = logging.getLogger(__name__)

A_TURN = 64  # datagrams that are answered before the loop looks at what else there is
# What Linux makes of ICMP messages (man 7 ip, man 7 ipv6), and of a path that takes smaller datagrams only.
_TOLD = frozenset(
    getattr(errno, name)
    for name in (
        *("ECONNREFUSED", "EHOSTUNREACH", "ENETUNREACH", "EHOSTDOWN", "ENONET", "ENOPROTOOPT", "EOPNOTSUPP"),
        *("EMSGSIZE", "EACCES", "EPERM", "EPROTO", "ETIMEDOUT"),
    )
    if hasattr(errno, name)
)
_DONT_WAIT = getattr(socket, "MSG_DONTWAIT", 0)


class Mailbox:
    """A datagram socket that is open to everybody."""

    def __init__(self, bound: socket.socket) -> None:
        self.socket = bound
        self.is_shared = False  # other processes receive from it too: it is not this one's to shut

    def fileno(self) -> int:
        """Return the descriptor to wait on."""
        return self.socket.fileno()

    def stop_admitting(self) -> None:
        """Receive nothing more; what was received can still be read."""
        if not self.is_shared:
            stop_admitting(self.socket)

    def admit_again(self, _config: ServerConfig) -> None:
        """Undo `stop_admitting`."""
        admit_again(self.socket)

    def close(self) -> None:
        """Close the socket; the port is free when every process that shares it has done so."""
        self.socket.close()


class Responder:
    """Answers what a datagram socket receives, without ever waiting to receive; what work there is it does itself."""

    def __init__(
        self,
        bound: socket.socket,
        protocol: DatagramProtocol,
        buffer: memoryview,
        tally: Tally,
        work: Work | None = None,
    ) -> None:
        self.was_refused = False  # nobody has the port that this socket is connected to
        self.holds_reply = False  # the system takes no more replies now: nothing is read until the socket is writable
        self._held: tuple[Octets, Address] = (b"", ())
        self._socket = bound
        self._receive = protocol.receive
        self._buffer = buffer
        self._tally = tally
        self._work = work
        self._turn = A_TURN if work is None else 1  # work may take long, and the caller has more to look at

    def respond(self) -> bool:
        """Answer some of the datagrams that wait; tell whether none waits any more."""
        if self.holds_reply and not self._send(*self._held):
            return False
        recvfrom_into, buffer, receive = self._socket.recvfrom_into, self._buffer, self._receive
        for _ in range(self._turn):
            try:
                size, address = recvfrom_into(buffer, 0, _DONT_WAIT)
            except BlockingIOError:
                return True
            except OSError as error:
                raise_unless_told(error)
                self.was_refused |= isinstance(error, ConnectionRefusedError)
                continue
            reply = receive(buffer[:size])
            if reply is not None and not self._answer(reply, address):
                return False
        return False

    def respond_to_rest(self, remaining_s: Callable[[], float]) -> None:
        """Answer all that has been received; nothing more may be admitted to the socket meanwhile."""
        writable = select.poll()
        writable.register(self._socket, select.POLLOUT)
        while not self.respond() and (left_s := remaining_s()):
            if self.holds_reply:
                writable.poll(left_s * 1000)
        if self.holds_reply:
            count_undelivered(self._tally, "the server stops")

    def _answer(self, reply: Octets, address: Address) -> bool:
        """Do with a reply what is to be done; tell whether more can be received."""
        if self._work is not None:
            do_uncounted(self._work, self._tally)
        return self._send(reply, address)

    def _send(self, reply: Octets, address: Address) -> bool:
        try:
            self._socket.sendto(reply, address)
        except BlockingIOError:
            self.holds_reply, self._held = True, (reply, address)
            return False
        except OSError as error:
            count_undelivered(self._tally, error)
        self.holds_reply = False
        return True


def do_uncounted(work: Work, tally: Tally) -> None:
    """Do the work of a request that the protocol has counted, and count it only then."""
    tally[MESSAGES] -= 1
    work.do()
    tally[MESSAGES] += 1


def send_or_count(bound: socket.socket, tally: Tally, reply: Octets, address: Address) -> None:
    """Send a reply now or never."""
    try:
        bound.sendto(reply, address)
    except OSError as error:
        count_undelivered(tally, error)


def raise_unless_told(error: OSError) -> None:
    """Raise an error again, unless it only tells what became of a datagram that was sent before (ICMP).

    A connected socket is told so by the next call on it, whatever that wants; the call can then be made again.
    """
    if error.errno not in _TOLD:
        raise error
    log.info("what became of a reply: %s", error.strerror)


def count_undelivered(tally: Tally, reason: object) -> None:
    """Count a reply that the protocol has made and the system has not taken: the request was not answered."""
    tally[MESSAGES] -= 1
    tally[UNDELIVERED] += 1
    log.info("a reply could not be sent: %s", reason)
