"""A connection of the `selectors` model: its states, and what each waits for.

Replies are written at once. What the kernel does not take goes into a backlog; above `WRITE_HIGH_WATER_BYTES` the
connection is not read until it has fallen below `WRITE_LOW_WATER_BYTES`, so a peer that never reads costs a bounded
amount of memory and no one else's time.
"""

from __future__ import annotations

import logging
import selectors
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING

from servers.config import WRITE_HIGH_WATER_BYTES, WRITE_LOW_WATER_BYTES
from servers.contract import CLOSING, OPEN, PARTIAL, RESET, TIMED_OUT, Octets
from servers.stepping import Stepper

if TYPE_CHECKING:
    from servers.models.selectors import Loop

log = logging.getLogger(__name__)

_READ, _WRITE = selectors.EVENT_READ, selectors.EVENT_WRITE


class Connection:
    """One connection's state; its bound methods are what the selector's table holds."""

    __slots__ = (
        *("_backlog", "_ending", "_events", "_loop", "_message", "_protocol", "_receive", "_rest_only", "_socket"),
        *("_stepper", "lingers"),
    )

    def __init__(self, connection: socket.socket, loop: Loop) -> None:
        self._socket = connection
        self._loop = loop
        self._protocol = loop.service.new_protocol(loop.service.tally)
        self._receive: Callable[[Octets], Octets] = self._protocol.receive
        self._stepper: Stepper | None = None  # where requests cost something
        if loop.service.work is not None:
            tally = loop.service.tally
            self._stepper = Stepper(loop.service.work, loop.later, tally, self._send, self._on_rested)
            self._receive = self._work_off
        self._backlog = bytearray()
        self._message = False  # whether the deadline of an unfinished message is set
        self._ending = False  # all replies are made: flush, then shut down the sending side
        self._rest_only = False  # the server drains: what has arrived is the last
        self.lingers = False  # all is sent and the sending side shut down: only the peer's end is waited for
        self._events = 0  # what it is watched for
        self._watch_for(_READ)

    def _on_readable(self, _events: int) -> None:
        """Read a chunk, answer it."""
        try:
            size = self._socket.recv_into(self._loop.buffer)
        except BlockingIOError:
            if self._rest_only:
                self._end(self._protocol.drain())
            return
        except OSError:
            self._lose()
            return
        if not size:
            self._end(self._protocol.receive_eof())
            return
        reply = self._receive(self._loop.buffer[:size])
        if reply:
            self._send(reply)
        if self._protocol.phase is not OPEN or self._message:
            self._mind_phase(self._protocol.begun)

    def read_rest(self) -> None:
        """Answer a chunk of what has arrived, and end when there is no more.

        A connection whose replies are held up leaves the loop's `unread` until they have gone.
        """
        self._rest_only = True
        if self._ending or self._is_working() or len(self._backlog) >= WRITE_HIGH_WATER_BYTES:
            self._loop.unread.discard(self)
        else:
            self._on_readable(_READ)

    def close(self) -> None:
        """Close the socket and forget the connection."""
        self._ending = True
        self._void_message_deadline()
        self._loop.linger_deadlines.void(self.close)
        if self._stepper is not None:
            self._stepper.drop()
        self._loop.forget(self)
        self._watch_for(0)
        self._socket.close()

    def _mind_phase(self, begun: bool) -> None:
        """Close where the protocol wants it; start and stop the clock of an unfinished message."""
        if self._is_working():
            return
        if self._protocol.phase is CLOSING:
            self._end(b"")
        if self._ending:
            return
        if self._protocol.phase is OPEN or begun:
            self._void_message_deadline()
        if self._protocol.phase is PARTIAL and not self._message and self._reads():
            self._message = True
            self._loop.message_deadlines.set(self._on_message_timeout)

    def _reads(self) -> bool:
        """Tell whether the connection is read at present; while it isn't, the peer can't be blamed for being slow."""
        return bool(self._events & _READ)

    def _on_message_timeout(self) -> None:
        self._message = False
        self._loop.service.tally[TIMED_OUT] += 1
        self._end(self._protocol.receive_eof())

    def _void_message_deadline(self) -> None:
        if self._message:
            self._message = False
            self._loop.message_deadlines.void(self._on_message_timeout)

    def _is_working(self) -> bool:
        return self._stepper is not None and self._stepper.is_busy

    def _work_off(self, chunk: Octets) -> Octets:
        """Take the place of the protocol's `receive` where requests cost something: replies come later."""
        assert self._stepper is not None
        self._stepper.take(self._protocol.steps(chunk))
        if self._is_working() and self._loop.holds(self):
            self._watch()
        return b""

    def _on_rested(self) -> None:
        """Read again, or end: all requests that were read have their replies."""
        if not self._loop.holds(self):
            return
        self._watch()
        if self._rest_only:
            self._loop.unread.add(self)

    def _send(self, reply: Octets) -> None:
        """Write a reply, or what the kernel takes of it."""
        if not self._backlog:
            try:
                sent = self._socket.send(reply)
            except BlockingIOError:
                sent = 0
            except OSError:
                self._lose()
                return
            if sent == len(reply):
                return
            reply = memoryview(reply)[sent:]
        self._backlog += reply
        self._watch()

    def _on_either(self, events: int) -> None:
        """Go on with what the socket is ready for; the handler while replies wait."""
        if events & _WRITE:
            self._flush()
        if events & _READ and not self._ending:
            self._on_readable(events)

    def _flush(self) -> None:
        """Write what the kernel takes of the replies that wait."""
        try:
            sent = self._socket.send(self._backlog)
        except BlockingIOError:
            return
        except OSError:
            self._lose()
            return
        del self._backlog[:sent]
        if self._ending and not self._backlog:
            self._shut_down()
            return
        self._watch()
        if self._rest_only and not self._is_working() and len(self._backlog) <= WRITE_LOW_WATER_BYTES:
            self._loop.unread.add(self)

    def _watch(self) -> None:
        """Ask the selector for what this state waits for."""
        if not self._backlog:
            events = _READ
        elif self._ending or len(self._backlog) >= WRITE_HIGH_WATER_BYTES:
            events = _WRITE
        elif len(self._backlog) > WRITE_LOW_WATER_BYTES:
            events = self._events | _WRITE
        else:
            events = _READ | _WRITE
        if self._is_working():
            events &= ~_READ
        self._watch_for(events)
        if not events & _READ:
            self._void_message_deadline()
        elif not self._ending:
            self._mind_phase(begun=False)

    def _watch_for(self, events: int) -> None:
        """Have the selector watch the socket for these events, or for none."""
        before, self._events = self._events, events
        if events == before:
            return
        if not events:
            self._loop.selector.unregister(self._socket)
            return
        handler = self._on_either if events & _WRITE else self._on_readable
        (self._loop.selector.modify if before else self._loop.selector.register)(self._socket, events, handler)

    def _end(self, farewell: Octets) -> None:
        """Nothing more will be answered: flush, shut down, linger, close."""
        if self._ending:
            return
        self._ending = True
        self._void_message_deadline()
        if farewell:
            self._send(farewell)
        if self._backlog:
            self._watch()
        else:
            self._shut_down()

    def _shut_down(self) -> None:
        try:
            self._socket.shutdown(socket.SHUT_WR)
        except OSError:  # the peer went first; all was answered
            self.close()
            return
        self.lingers = True
        self._loop.unread.discard(self)
        self._loop.selector.modify(self._socket, _READ, self._discard)
        self._events = _READ
        self._loop.linger_deadlines.set(self.close)

    def _discard(self, _events: int) -> None:
        try:
            if self._socket.recv_into(self._loop.buffer):
                return
        except BlockingIOError:
            return
        except OSError as error:
            log.debug("the peer went first, everything was sent: %s", error)
        self.close()

    def _lose(self) -> None:
        """Forget a connection that the peer has reset."""
        if self._loop.holds(self):
            self._loop.service.tally[RESET] += 1
            self.close()
