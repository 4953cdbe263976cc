"""The fastest server over WebSocket: literal frames in every split, and the `websockets` client as another peer."""

from __future__ import annotations

import random
import select
import socket
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from websockets.exceptions import ConnectionClosedError
from websockets.sync.client import connect
from websockets.typing import Subprotocol

from harness.procfs import read_proc
from tests.harness.reference import REQUEST, RESPONSE, Served, needs_a_compiler, request, response_to, serving

pytestmark = needs_a_compiler

LARGEST_BYTES = 1 << 18  # of a message
HEADERS_MOST_BYTES = 8192
MASK = b"\x37\xfa\x21\x3d"
# The key and the answer of RFC 6455, section 1.3.
OPENING = (
    b"GET /chat?room=1 HTTP/1.1\r\nHost: localhost\r\nupgrade: WebSocket\r\nCONNECTION: keep-alive, Upgrade\r\n"
    b"sec-websocket-KEY:  dGhlIHNhbXBsZSBub25jZQ== \r\nSec-WebSocket-Version: 13\r\n"
)
OFFER = b"sec-WebSocket-protocol: soap, echobench.v1\r\n"
AGREED = (
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
)
SELECTED = b"Sec-WebSocket-Protocol: echobench.v1\r\n"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Run one server for all tests of this file."""
    with serving("ws", tmp_path_factory.mktemp("built")) as served:
        yield served


def frame(data: bytes, first: int = 0x82, mask: bytes = MASK) -> bytes:
    """Return a client's frame."""
    masked = bytes(byte ^ mask[index % 4] for index, byte in enumerate(data))
    if len(data) < 126:
        return struct.pack(">BB", first, 0x80 | len(data)) + mask + masked
    if len(data) < 1 << 16:
        return struct.pack(">BBH", first, 0xFE, len(data)) + mask + masked
    return struct.pack(">BBQ", first, 0xFF, len(data)) + mask + masked


def answer(data: bytes, first: int = 0x82) -> bytes:
    """Return a server's frame."""
    assert len(data) < 126
    return struct.pack(">BB", first, len(data)) + data


@contextmanager
def dialled(server: Served) -> Iterator[socket.socket]:
    """Connect, and no more."""
    with socket.create_connection(server.address, timeout=10) as peer:
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        yield peer


def exactly(peer: socket.socket, size: int) -> bytes:
    """Receive so many bytes; fail when they do not come."""
    data = bytearray()
    while len(data) < size:
        part = peer.recv(size - len(data))
        assert part, f"the server closed after {bytes(data)!r}"
        data += part
    return bytes(data)


def to_the_end(peer: socket.socket) -> bytes:
    """Receive all until the server ends."""
    data = b""
    while part := peer.recv(65536):
        data += part
    return data


@contextmanager
def opened(server: Served) -> Iterator[socket.socket]:
    """Connect and make the handshake."""
    with dialled(server) as peer:
        peer.sendall(OPENING + OFFER + b"\r\n")
        reply = AGREED + SELECTED + b"\r\n"
        assert exactly(peer, len(reply)) == reply
        yield peer


def test_a_handshake_in_odd_case_split_in_bytes_and_glued_to_a_request_is_answered(server: Served) -> None:
    with dialled(server) as peer:
        opening = OPENING + OFFER + b"\r\n"
        for place in range(len(opening) - 1):
            peer.send(opening[place : place + 1])
        peer.sendall(opening[-1:] + frame(REQUEST))
        expected = AGREED + SELECTED + b"\r\n" + answer(RESPONSE)
        assert exactly(peer, len(expected)) == expected


@pytest.mark.parametrize(
    ("offer", "selected"),
    [
        (b"", False),
        (b"Sec-WebSocket-Protocol: echobench.v1\r\n", True),
        (b"Sec-WebSocket-Protocol: a\r\nSec-WebSocket-Protocol:b,echobench.v1,c\r\n", True),
        (b"Sec-WebSocket-Protocol: echobench.v1\r\nSec-WebSocket-Protocol: a\r\n", True),
        (b"Sec-WebSocket-Protocol: echobench.v10, echobench, xechobench.v1, Echobench.v1\r\n", False),
        (b"X-Sec-WebSocket-Protocol: echobench.v1\r\n", False),
    ],
)
def test_the_subprotocol_is_selected_where_it_was_offered_only(server: Served, offer: bytes, selected: bool) -> None:
    with dialled(server) as peer:
        peer.sendall(OPENING + offer + b"\r\n")
        expected = AGREED + (SELECTED if selected else b"") + b"\r\n"
        assert exactly(peer, len(expected)) == expected


@pytest.mark.parametrize(
    "opening",
    [
        pytest.param(b"\r\n\r\n", id="nothing"),
        pytest.param(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", id="no key"),
        pytest.param(OPENING.replace(b"GET", b"PUT") + b"\r\n", id="another method"),
        pytest.param(OPENING.replace(b"HTTP/1.1", b"HTTP/1.0") + b"\r\n", id="an older HTTP"),
        pytest.param(OPENING.replace(b"dGhlIHNh", b"dGhl") + b"\r\n", id="a short key"),
        pytest.param(OPENING + b"A: " + b"a" * HEADERS_MOST_BYTES, id="headers without end"),
        pytest.param(OPENING + b"A: " + b"a" * HEADERS_MOST_BYTES + b"\r\n\r\n", id="long headers"),
        pytest.param(OPENING + bytes(HEADERS_MOST_BYTES), id="zeros"),
    ],
)
def test_what_is_no_handshake_gets_a_400_and_is_closed(server: Served, opening: bytes) -> None:
    with dialled(server) as peer:
        peer.sendall(opening)
        assert to_the_end(peer) == b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"


def test_requests_of_every_length_come_back_to_the_websockets_client(server: Served) -> None:
    url = "ws://{}:{}/".format(*server.address)
    offered = [Subprotocol("echobench.v1")]
    with connect(url, subprotocols=offered, compression=None, max_size=None, proxy=None, open_timeout=10) as client:
        assert client.subprotocol == "echobench.v1"
        for size in (16, 17, 125, 126, 127, 65_535, 65_536, LARGEST_BYTES):
            message = request(random.Random(size).randbytes(size - 16))
            client.send(message)
            assert client.recv(timeout=10) == response_to(message)
        assert client.ping(b"there?").wait(10)
        client.send(request(bytes(LARGEST_BYTES - 15)))
        with pytest.raises(ConnectionClosedError) as closed:
            client.recv(timeout=10)
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1009


def test_frames_split_anywhere_and_glued_are_answered_in_order(server: Served) -> None:
    chance = random.Random(1)
    messages = [request(chance.randbytes(size % 110), size) for size in range(600)]
    masks = [chance.randbytes(4) for _ in messages]
    sent = b"".join(frame(message, mask=mask) for message, mask in zip(messages, masks, strict=True))
    expected = b"".join(answer(response_to(message)) for message in messages)
    with opened(server) as peer:
        place = 0
        while place < len(sent):
            size = chance.choice((1, 2, 5, 100, 5000))
            peer.send(sent[place : place + size])
            place += size
        assert exactly(peer, len(expected)) == expected


def test_a_frame_that_comes_byte_by_byte_is_answered(server: Served) -> None:
    with opened(server) as peer:
        long = request(b"x" * 200)
        for byte in frame(REQUEST) + frame(long):
            peer.send(bytes([byte]))
        expected = answer(RESPONSE) + b"\x82\x7e\x00\xd8" + response_to(long)
        assert exactly(peer, len(expected)) == expected


def test_pings_are_answered_and_pongs_ignored(server: Served) -> None:
    with opened(server) as peer:
        peer.sendall(frame(b"unasked", 0x8A) + frame(b"p" * 125, 0x89) + frame(REQUEST) + frame(b"", 0x89))
        expected = answer(b"p" * 125, 0x8A) + answer(RESPONSE) + answer(b"", 0x8A)
        assert exactly(peer, len(expected)) == expected


@pytest.mark.parametrize("reason", [b"", b"\x03\xe8", b"\x0f\xa0enough"])
def test_a_close_is_answered_alike_after_what_came_before_it_and_nothing_after_it(
    server: Served, reason: bytes
) -> None:
    with opened(server) as peer:
        peer.sendall(frame(REQUEST) + frame(reason, 0x88) + frame(REQUEST))
        assert to_the_end(peer) == answer(RESPONSE) + answer(reason, 0x88)


def test_what_is_sent_after_the_close_is_read_and_not_looked_at(server: Served) -> None:
    with opened(server) as peer:
        peer.sendall(frame(b"", 0x88))
        assert to_the_end(peer) == answer(b"", 0x88)
        for _ in range(64):
            peer.sendall(frame(REQUEST) + bytes(LARGEST_BYTES))
        peer.shutdown(socket.SHUT_WR)
        assert peer.recv(1) == b""


@pytest.mark.parametrize(
    ("bad", "code"),
    [
        pytest.param(frame(b"text", 0x81), 1003, id="text"),
        pytest.param(frame(REQUEST, 0x02), 1002, id="a fragment"),
        pytest.param(frame(REQUEST, 0x80), 1002, id="a continuation of nothing"),
        pytest.param(frame(REQUEST, 0xC2), 1002, id="compressed"),
        pytest.param(frame(REQUEST, 0x83), 1002, id="an unknown opcode"),
        pytest.param(frame(b"", 0x8B), 1002, id="an unknown control frame"),
        pytest.param(answer(REQUEST), 1002, id="unmasked"),
        pytest.param(b"\x82\x00", 1002, id="unmasked and empty"),
        pytest.param(frame(bytes(126), 0x89), 1002, id="a long ping"),
        pytest.param(b"\x82\xfe\x00\x14" + frame(REQUEST)[2:], 1002, id="a length of 16 bits that fits into 7"),
        pytest.param(b"\x82\xff" + bytes(6) + b"\x00\x14", 1002, id="a length of 64 bits that fits into 7"),
        pytest.param(b"\x82\xff" + struct.pack(">Q", LARGEST_BYTES + 1), 1009, id="one byte too long"),
        pytest.param(b"\x82\xff" + b"\xff" * 8, 1009, id="longer than anything"),
        pytest.param(frame(b""), 1002, id="an empty message"),
        pytest.param(frame(REQUEST[:15]), 1002, id="less than a header"),
        pytest.param(frame(REQUEST[:4] + b"\xff\xff\xff\xf8"), 1002, id="less than a header, its length negative"),
        pytest.param(frame(REQUEST + b"x"), 1002, id="more than a message"),
        pytest.param(frame(REQUEST[:-1]), 1002, id="less than a message"),
        pytest.param(frame(RESPONSE), 1002, id="a response"),
        pytest.param(frame(b"\xeb\x01\x02" + REQUEST[3:]), 1002, id="another version"),
    ],
)
def test_what_is_refused_gets_its_close_code_after_what_came_before_it(server: Served, bad: bytes, code: int) -> None:
    with opened(server) as peer:
        peer.sendall(frame(REQUEST) + bad)
        assert to_the_end(peer) == answer(RESPONSE) + answer(struct.pack(">H", code), 0x88)


def resident_bytes(pid: int) -> int:
    """Return what a process holds in memory."""
    pages = (read_proc(f"/proc/{pid}/statm") or b"").split()[1]
    return int(pages) * 4096


def test_a_peer_that_does_not_read_costs_one_buffer_and_gets_all_its_answers_in_the_end(server: Served) -> None:
    with opened(server) as silent, opened(server) as other:
        before, message = resident_bytes(server.pid), request(b"x" * 4000)
        sent, blocked, deadline = 0, 0, time.monotonic() + 30
        many = frame(message) * 64
        silent.setblocking(False)
        while blocked < 3:  # a turn of the other's lies between them: the server has had its chance to read
            assert time.monotonic() < deadline, "the server reads without end"
            try:
                sent += silent.send(many[sent % len(many) :])
                blocked = 0
            except BlockingIOError:
                blocked += 1
            other.sendall(frame(REQUEST))
            assert exactly(other, len(answer(RESPONSE))) == answer(RESPONSE)
        assert resident_bytes(server.pid) - before < 2 * LARGEST_BYTES
        expected = b"\x82\x7e" + struct.pack(">H", len(message)) + response_to(message)
        answered = b""
        while len(answered) < sent // len(frame(message)) * len(expected):
            assert select.select([silent], [], [], 10)[0], "answers are missing"
            answered += silent.recv(1 << 20)
        assert answered == expected * (sent // len(frame(message)))


def test_a_peer_that_goes_away_in_the_middle_leaves_the_others_served(server: Served) -> None:
    with opened(server) as other:
        for _ in range(20):
            with opened(server) as gone:
                gone.sendall(frame(request(bytes(60_000))) * 20 + frame(REQUEST)[:9])
                gone.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        other.sendall(frame(REQUEST))
        assert exactly(other, len(answer(RESPONSE))) == answer(RESPONSE)
