"""Datagrams with a source address that is not the sender's, as anybody on a network can make them.

A raw socket takes the UDP header from its owner, with any source port. It takes a privilege: without it the checks that
need a forged datagram are skipped, and say so.
"""

from __future__ import annotations

import socket
import struct

import pytest

_UDP_HEADER = struct.Struct(">HHHH")


def forge(source: tuple[str, int], target: tuple[str, int], data: bytes) -> None:
    """Send one IPv4 datagram that claims to come from `source`, whose host has to be this machine's."""
    try:
        raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_UDP)
    except PermissionError:
        pytest.skip("forging a source address takes a raw socket, which takes a privilege")
    with raw:
        raw.bind((source[0], 0))
        # A checksum of 0 says that there is none (RFC 768).
        header = _UDP_HEADER.pack(source[1], target[1], _UDP_HEADER.size + len(data), 0)
        raw.sendto(header + data, (target[0], 0))
