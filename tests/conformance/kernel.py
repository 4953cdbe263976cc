"""What the kernel knows about the sockets of a server and a peer can't see from its own side.

The kernel tells how many received bytes the owner of a TCP socket has not read yet. When that is 0 the server has taken
everything that was sent: so a test can hand over a message in pieces and know that each piece was read by itself,
without sleeping and without hoping.

The question goes to the kernel as a `sock_diag` message (man 7 sock_diag; what `ss` does): one socket, one answer.
/proc/net/tcp says the same, but is a list of all sockets, and after some hundred connections most of the machine's time
would go into reading it.
"""

from __future__ import annotations

import socket
import struct
from dataclasses import dataclass
from pathlib import Path

_NETLINK_SOCK_DIAG = 4
_SOCK_DIAG_BY_FAMILY = 20
_NLM_F_REQUEST = 1
_ANY_STATE = 0xFFFF_FFFF
_LISTEN = 10
_NO_COOKIE = 0xFFFF_FFFF
_MESSAGE_HEADER = struct.Struct("=IHHII")
_REQUEST = struct.Struct("=BBBxI")
_SOCKET_ID = struct.Struct(">HH16s16s")
_ANSWER = struct.Struct("=BBBB48xIIIII")
_LISTENING = "0A"


@dataclass(frozen=True)
class Queues:
    """Bytes that a socket has received and not handed over, and bytes written to it that its peer has not taken."""

    unread_bytes: int
    unsent_bytes: int


def queues(family: socket.AddressFamily, local: tuple[str, int], remote: tuple[str, int]) -> Queues | None:
    """Return the queues of the TCP socket that is bound to `local` and connected to `remote`, None without one."""
    addresses = [socket.inet_pton(family, host).ljust(16, b"\0") for host, _ in (local, remote)]
    identity = _SOCKET_ID.pack(local[1], remote[1], *addresses) + struct.pack("=III", 0, _NO_COOKIE, _NO_COOKIE)
    request = _REQUEST.pack(family, socket.IPPROTO_TCP, 0, _ANY_STATE) + identity
    size = _MESSAGE_HEADER.size + len(request)
    with socket.socket(socket.AF_NETLINK, socket.SOCK_DGRAM, _NETLINK_SOCK_DIAG) as kernel:
        kernel.send(_MESSAGE_HEADER.pack(size, _SOCK_DIAG_BY_FAMILY, _NLM_F_REQUEST, 0, 0) + request)
        answer = kernel.recv(4_096)
    _, kind, _, _, _ = _MESSAGE_HEADER.unpack_from(answer)
    if kind != _SOCK_DIAG_BY_FAMILY:
        return None
    _, state, _, _, _, unread, unsent, _, _ = _ANSWER.unpack_from(answer, _MESSAGE_HEADER.size)
    # A connection that has gone is looked up like a new one would be, and that finds the listener.
    return None if state == _LISTEN else Queues(unread_bytes=unread, unsent_bytes=unsent)


def listeners(port: int) -> int:
    """Return how many sockets listen on a port."""
    found = 0
    for table in (Path("/proc/net/tcp"), Path("/proc/net/tcp6")):
        rows = table.read_text(encoding="ascii").splitlines()[1:] if table.exists() else []
        for _, local, _, state, *_ in map(str.split, rows):
            found += state == _LISTENING and int(local.rpartition(":")[2], 16) == port
    return found
