"""What the kernel knows about the UDP sockets of a port: to whom each is connected, its buffer, and what waits in it.

Like kernel.py this asks by `sock_diag` (man 7 sock_diag), here for all UDP sockets of a family. A model that serves
each peer with a socket of its own shows its peers in this list, from outside and with nothing said by the server.

How many datagrams wait in a socket is told as memory, which is the same for datagrams of the same size. `waiting` so
measures first, with a socket of its own, what one of them takes.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

_NETLINK_SOCK_DIAG = 4
_SOCK_DIAG_BY_FAMILY = 20
_NLM_F_REQUEST_DUMP = 0x301
_NLMSG_ERROR, _NLMSG_DONE = 2, 3
_ANY_STATE = 0xFFFF_FFFF
_SKMEMINFO = 7
_MESSAGE_HEADER = struct.Struct("=IHHII")
_REQUEST = struct.Struct("=BBBxI48x")
_ANSWER_BYTES = 72
_PORTS = struct.Struct(">HH")
_ATTRIBUTE = struct.Struct("=HH")


@dataclass(frozen=True)
class DatagramSocket:
    """One UDP socket; `remote` is None unless it is connected.

    `buffer_bytes` is what the kernel accounts with: twice what an owner asked for (man 7 socket, SO_RCVBUF).
    """

    local: tuple[str, int]
    remote: tuple[str, int] | None
    waiting_bytes: int
    buffer_bytes: int


def sockets_of(address: tuple[str, int]) -> list[DatagramSocket]:
    """Return the UDP sockets that are bound to an address, the connected ones too."""
    family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
    return [found for found in (_parsed(family, body) for body in _dump(family)) if found.local == address]


def peers_of(address: tuple[str, int]) -> set[tuple[str, int]]:
    """Return the addresses that have a socket of their own at a server."""
    return {found.remote for found in sockets_of(address) if found.remote is not None}


def waiting(address: tuple[str, int], payload_bytes: int) -> int:
    """Return how many datagrams of a size wait unread at an address, if all that wait are of that size."""
    return sum(found.waiting_bytes for found in sockets_of(address)) // memory_bytes(payload_bytes)


@cache
def memory_bytes(payload_bytes: int) -> int:
    """Return how much of a receive buffer a datagram of a size takes."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        probe.sendto(bytes(payload_bytes), probe.getsockname())
        probe.settimeout(10)
        probe.recv(1, socket.MSG_PEEK)  # it has arrived
        return sockets_of(probe.getsockname())[0].waiting_bytes


def _dump(family: socket.AddressFamily) -> Iterator[bytes]:
    request = _REQUEST.pack(family, socket.IPPROTO_UDP, 1 << (_SKMEMINFO - 1), _ANY_STATE)
    size = _MESSAGE_HEADER.size + len(request)
    with socket.socket(socket.AF_NETLINK, socket.SOCK_DGRAM, _NETLINK_SOCK_DIAG) as kernel:
        kernel.send(_MESSAGE_HEADER.pack(size, _SOCK_DIAG_BY_FAMILY, _NLM_F_REQUEST_DUMP, 0, 0) + request)
        while True:
            answers = kernel.recv(1 << 17)
            while answers:
                length, kind, *_ = _MESSAGE_HEADER.unpack_from(answers)
                assert kind != _NLMSG_ERROR, "this kernel lists its UDP sockets (CONFIG_INET_UDP_DIAG)"
                if kind == _NLMSG_DONE:
                    return
                yield answers[_MESSAGE_HEADER.size : length]
                answers = answers[_aligned(length) :]


def _parsed(family: socket.AddressFamily, body: bytes) -> DatagramSocket:
    local_port, remote_port = _PORTS.unpack_from(body, 4)
    size = 16 if family == socket.AF_INET6 else 4
    local, remote = (socket.inet_ntop(family, body[start : start + size]) for start in (8, 24))
    memory = _memory(body[_ANSWER_BYTES:])
    return DatagramSocket(
        (local, local_port),
        (remote, remote_port) if remote_port else None,
        waiting_bytes=memory[0],
        buffer_bytes=memory[1],
    )


def _memory(attributes: bytes) -> tuple[int, int]:
    """Return the memory that is waiting to be read and the room there is."""
    while attributes:
        length, kind = _ATTRIBUTE.unpack_from(attributes)
        if kind == _SKMEMINFO:
            waiting_bytes, buffer_bytes = struct.unpack_from("=II", attributes, _ATTRIBUTE.size)
            return waiting_bytes, buffer_bytes
        attributes = attributes[_aligned(length) :]
    raise AssertionError("the kernel tells what memory a socket takes")


def _aligned(length: int) -> int:
    return (length + 3) & ~3
