"""What the checks of streams say and expect, in the words of a transport: the same messages, each framed its own way.

A check asks for a request, its reply, a bad header, and gets literal bytes. Over TCP they are the messages as they are
(wire_bytes.py), over WebSocket each is a frame (ws_bytes.py). So one check covers both, split at every byte of either.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from . import wire_bytes


@dataclass(frozen=True)
class Greeting:
    """What a client says first, and who judges the head of what is said back; nothing at all where `hello` is empty."""

    hello: bytes
    judge: Callable[[bytes], None]


@dataclass(frozen=True)
class Refused:
    """Bytes that a server refuses, and who judges what it says about them until it has ended the connection."""

    name: str
    sent: bytes
    judge: Callable[[bytes], None]


class Wire(Protocol):
    """The words of a transport; `judge_goodbye` judges what a server says last when it drains."""

    greeting: Greeting
    corpus: tuple[tuple[str, bytes, bytes], ...]
    bad_headers: tuple[Refused, ...]
    foreign_replies: tuple[Refused, ...]

    def request(self, sequence: int, payload: bytes = b"") -> bytes: ...
    def response(self, sequence: int, payload: bytes = b"") -> bytes: ...
    def header(self, sequence: int, length: int) -> bytes: ...
    def over_the_limit(self, sequence: int, length: int) -> Refused: ...
    def judge_goodbye(self, found: bytes) -> None: ...


class PlainWire:
    """Messages as they are, back to back: TCP, and each alone UDP."""

    def __init__(self) -> None:
        self.greeting = Greeting(b"", lambda _head: None)
        self.corpus = wire_bytes.CORPUS
        self.bad_headers = tuple(
            Refused(name, bad, _judge_error(name, int.from_bytes(bad[8:], "big"), known))
            for name, bad, known in wire_bytes.BAD_HEADERS
        )
        self.foreign_replies = tuple(
            Refused(name, foreign, partial(_judge_silence, name)) for name, foreign in wire_bytes.FOREIGN_REPLIES
        )

    def request(self, sequence: int, payload: bytes = b"") -> bytes:
        """Return a REQUEST."""
        return wire_bytes.request(sequence, payload)

    def response(self, sequence: int, payload: bytes = b"") -> bytes:
        """Return its RESPONSE."""
        return wire_bytes.response(sequence, payload)

    def header(self, sequence: int, length: int) -> bytes:
        """Return the header of a REQUEST without the payload that it announces."""
        return wire_bytes.header(sequence, length)

    def over_the_limit(self, sequence: int, length: int) -> Refused:
        """Return the header of a REQUEST that is longer than the server takes."""
        name = f"a length of {length}"
        return Refused(name, self.header(sequence, length), _judge_error(name, sequence, sequence_known=True))

    def judge_goodbye(self, found: bytes) -> None:
        """Check that nothing is said: there are no words for it."""
        assert not found, f"{len(found)} unexpected bytes came before the end: {found[:48].hex(' ')!r}"


def _judge_error(name: str, sequence: int, sequence_known: bool) -> Callable[[bytes], None]:
    return lambda found: wire_bytes.assert_refusal(found, sequence, sequence_known, name)


def _judge_silence(name: str, found: bytes) -> None:
    assert not found, f"{name} sent to a server is never answered, found unexpected bytes: {found[:48].hex(' ')!r}"


PLAIN = PlainWire()
