"""What a connection has to write besides new requests: the rest of one, and what its protocol owes the other side.

A frame must not begin in the middle of another: what is owed is written when nothing is left of a request, and then
itself waits as such a rest if the socket takes a part of it. Errors of a write are left to the reading side.
"""

from __future__ import annotations

import os
import select

from loadgen.connection import Connection


def write(connection: Connection, data: bytes | memoryview) -> int:
    """Write to a connection, and return how many bytes its socket took: none if it is full or broken."""
    try:
        return os.write(connection.fd, data)
    except OSError as error:
        note_failure(connection, error)
        return 0


def note_failure(connection: Connection, error: OSError) -> None:
    """Remember that a write said that the connection was reset: reading will only tell of an end."""
    if isinstance(error, ConnectionResetError):
        connection.was_reset = True


def write_rest(connection: Connection) -> None:
    """Write what the socket did not take before, then what is owed, as far as it takes it now."""
    if connection.unsent:
        connection.unsent = connection.unsent[write(connection, connection.unsent) :]
    wire = connection.wire
    if wire.owed and not connection.unsent:
        owed, wire.owed = memoryview(wire.owed), b""
        connection.unsent = owed[write(connection, owed) :]


def watch_writing(connection: Connection, epoll: select.epoll) -> None:
    """Have epoll tell when a connection's socket is writable, as long as something waits for that."""
    wanted = bool(connection.backlog or connection.unsent)
    if wanted != connection.watches_writing:
        connection.watches_writing = wanted
        epoll.modify(connection.fd, select.EPOLLIN | (select.EPOLLOUT if wanted else 0))
