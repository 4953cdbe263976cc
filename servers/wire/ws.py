"""The wire over WebSocket (RFC 6455): the same service through HTTP infrastructure and from a browser.

Three parts follow each other on a connection: the opening handshake (`_opening`), frames, the closing handshake. A
client that offers the subprotocol `echobench.v1` speaks the wire protocol: each binary message is one message of it.
Any other gets its text and binary messages back as they came.

What is the `websockets` package's: the handshake, the format of frames, masks, which close codes are legal. What is
ours, because its protocol object answers a close before the messages that came with it are answered, and leaves these
to the caller anyway: the order of replies, fragments, refusing what can't become right before it is whole (a frame's
head, text), and sending nothing after a close.

One generator a connection reads from a buffer that `receive` fills, and appends to a list that `receive` empties. So
the code says in a straight line what comes after what, and a frame that arrives byte by byte costs a step a byte.
Memory is bounded by the longest message, three times for a moment: as it arrived, without its mask, as its reply. A
fragmented message is kept as its bytes, so that a million empty fragments take nothing.

A connection that is refused is told why: by an HTTP status before it is open, by a close frame with a code after that.
Then nothing more is read.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from http import HTTPStatus
from typing import TYPE_CHECKING

from websockets.exceptions import PayloadTooBig, ProtocolError
from websockets.frames import Close, CloseCode, Frame, Opcode

from servers.contract import (
    CLOSING,
    COUNTERS,
    MESSAGES,
    OPEN,
    PARTIAL,
    PROTOCOL_ERRORS,
    TRUNCATED,
    Kind,
    Octets,
    Step,
    StreamFactory,
    Tally,
)
from servers.wire._frames import (
    CONTROL_BIT,
    HEAD_BYTES,
    MOST_CONTROL_BYTES,
    TextReader,
    is_masked_and_short,
    judge_head,
    reader_of,
)
from servers.wire._message import HEADER_BYTES, KIND_OFFSET, REQUEST_START, RESPONSE, START, judge
from servers.wire._opening import EXAMPLE_OPENING, SUBPROTOCOL, answer_opening

if TYPE_CHECKING:
    from servers.config import ServerConfig

SUMMARY = "WebSocket: one message a binary message, or a plain echo without the subprotocol"
KIND = Kind.STREAM

_WHOLE_BINARY = 0x82
_BINARY, _TEXT, _CONT, _PING, _CLOSE = Opcode.BINARY, Opcode.TEXT, Opcode.CONT, Opcode.PING, Opcode.CLOSE


def factory(config: ServerConfig) -> StreamFactory:
    """Return what makes a connection's protocol.

    One handshake is made here: what the first one of a process loads (such as OpenSSL's SHA-1) would take each forked
    child 0.4 MB of its own. (0.9 MB it takes anyhow: pages of the package that are copied when they are used.)
    """
    max_payload = config.max_payload
    WsProtocol([0] * len(COUNTERS)).receive(EXAMPLE_OPENING)
    return lambda tally: WsProtocol(tally, max_payload)


class _Refusal(Exception):  # noqa: N818  # it is no error of ours, and says so
    """The connection is to be closed with a code, for what the peer sent."""

    def __init__(self, code: CloseCode, reason: str) -> None:
        super().__init__(reason)
        self.code = code


class WsProtocol:
    """One connection; see `servers.contract.StreamProtocol`.

    The conversation does not know this object, which holds its generator: so a connection that is lost leaves no circle
    behind, and what had come of a message is given back at once.
    """

    __slots__ = ("_conversation", "_parser", "_tally", "begun", "phase")

    def __init__(self, tally: Tally, max_payload: int = 1 << 20) -> None:
        self.phase = OPEN
        self.begun = False
        self._tally = tally
        self._conversation = _Conversation(tally, max_payload)
        self._parser = self._conversation.run()
        next(self._parser)

    def receive(self, data: Octets) -> Octets:
        """Return what answers `data`: of the handshake, of whole messages, of pings, of a close."""
        replies = self._take(data)
        return replies[0] if len(replies) == 1 else b"".join(replies)

    def steps(self, data: Octets) -> Iterator[Step]:
        """Yield the replies of `receive` one at a time."""
        unasked = self._conversation.unasked
        unasked.clear()
        for number, reply in enumerate(self._take(data)):
            yield Step(reply, is_answer=number not in unasked)

    def receive_eof(self) -> Octets:
        """End the connection; what is unfinished is dropped and counted."""
        if self.phase is PARTIAL:
            self._tally[TRUNCATED] += 1
        self._parser.close()
        self.phase = CLOSING
        self._conversation.end()
        return b""

    def drain(self) -> Octets:
        """End the connection because the server stops, and say so where the handshake is done."""
        farewell = b""
        if self.phase is not CLOSING and self._conversation.is_open:
            farewell = _close_frame(CloseCode.GOING_AWAY, "the server stops")
        self.receive_eof()
        return farewell

    def _take(self, data: Octets) -> list[bytes]:
        if self.phase is CLOSING or not data:
            return []
        conversation, was_open = self._conversation, self.phase is OPEN
        turns = conversation.turns
        conversation.buffer += data
        next(self._parser, None)
        self.phase = conversation.phase
        self.begun = was_open or conversation.turns != turns
        replies, conversation.replies = conversation.replies, []
        return replies


class _Conversation:
    """What has been said on a connection, and what is to be said next."""

    __slots__ = (
        *("_is_wire", "_max_payload", "_message", "_opcode", "_tally", "_text"),
        *("buffer", "phase", "replies", "turns", "unasked"),
    )

    def __init__(self, tally: Tally, max_payload: int) -> None:
        self.buffer = bytearray()  # what has arrived and is not taken yet
        self.replies: list[bytes] = []
        self.unasked: set[int] = set()  # which of these answer no request: the handshake's, pongs, a close
        self.phase = OPEN
        self.turns = 0  # how often nothing was begun: after the handshake, after each message
        self._tally = tally
        self._max_payload = max_payload
        self._is_wire: bool | None = None  # whether the wire protocol is spoken; None before the handshake is done
        self._text: TextReader | None = None
        self._opcode: Opcode | None = None  # of the fragmented message that has begun
        self._message = bytearray()  # what has come of it

    @property
    def is_open(self) -> bool:
        """Whether the handshake is done."""
        return self._is_wire is not None

    def end(self) -> None:
        """Say and take nothing more."""
        self.phase = CLOSING
        self.buffer = bytearray()
        self._message = bytearray()

    def run(self) -> Generator[None, None, None]:
        """Read the connection from its first byte to its last; take a step whenever bytes have come."""
        while not self.buffer:
            yield
        self.phase = PARTIAL
        response, subprotocol = yield from answer_opening(self.buffer)
        self._say(response.serialize())
        if response.status_code != HTTPStatus.SWITCHING_PROTOCOLS:
            self._tally[PROTOCOL_ERRORS] += response.status_code != HTTPStatus.OK
            self.end()
            return
        self._is_wire = subprotocol == SUBPROTOCOL
        self._text = None if self._is_wire else TextReader(self.buffer)
        try:
            yield from self._read_frames()
        except _Refusal as refusal:
            self._refuse(refusal.code, str(refusal))
        except ProtocolError as error:
            self._refuse(CloseCode.PROTOCOL_ERROR, str(error))
        except UnicodeDecodeError:
            self._refuse(CloseCode.INVALID_DATA, "no UTF-8")
        except PayloadTooBig:
            self._refuse(CloseCode.MESSAGE_TOO_BIG, f"longer than {self._longest_bytes} bytes")

    @property
    def _longest_bytes(self) -> int:
        return self._max_payload + (HEADER_BYTES if self._is_wire else 0)

    def _read_frames(self) -> Generator[None, None, None]:
        """Answer frame by frame up to the close."""
        buffer, text, longest_bytes = self.buffer, self._text, self._longest_bytes
        read = reader_of(buffer) if text is None else text.read_exact
        while self.phase is not CLOSING:
            self.turns += self._opcode is None
            while len(buffer) < HEAD_BYTES:
                self.phase = PARTIAL if buffer or self._opcode is not None else OPEN
                yield
            self.phase = PARTIAL
            if buffer[0] != _WHOLE_BINARY or not is_masked_and_short(buffer[1]) or self._opcode is not None:
                yield from judge_head(buffer, self._opcode)
                if self._is_wire and buffer[0] & 0x0F == _TEXT:
                    raise _Refusal(CloseCode.UNSUPPORTED_DATA, f"{SUBPROTOCOL} has no text")
            most_bytes = MOST_CONTROL_BYTES if buffer[0] & CONTROL_BIT else longest_bytes - len(self._message)
            frame = yield from Frame.parse(read, mask=True, max_size=most_bytes)
            if frame.opcode is _BINARY or frame.opcode is _TEXT or frame.opcode is _CONT:
                self._on_data(frame)
            else:
                self._on_control(frame)
            del frame  # it would be held until the next has come

    def _on_control(self, frame: Frame) -> None:
        """Answer a ping with a pong, and a close with a close."""
        if frame.opcode is _PING:
            self._say(_frame(Opcode.PONG, frame.data))
        elif frame.opcode is _CLOSE:
            Close.parse(frame.data)  # raises where the code or the reason is none
            self._say(_frame(Opcode.CLOSE, frame.data))
            self.end()

    def _on_data(self, frame: Frame) -> None:
        """Take a frame of a message: the whole of it, or a fragment."""
        if frame.fin and self._opcode is None:
            self._on_message(frame.opcode, frame.data)
            return
        opcode = self._opcode or frame.opcode
        self._message += frame.data
        self._remember(None if frame.fin else opcode)
        if frame.fin:
            message, self._message = self._message, bytearray()
            self._on_message(opcode, message)

    def _remember(self, opcode: Opcode | None) -> None:
        self._opcode = opcode
        if self._text is not None:
            self._text.message = opcode

    def _on_message(self, opcode: Opcode, message: Octets) -> None:
        """Echo a whole message."""
        if self._is_wire:
            message = self._respond(message)
        elif opcode is _TEXT and self._text is not None:
            self._text.end_of_text()
        self.replies.append(_frame(opcode, message))
        self._tally[MESSAGES] += 1

    def _respond(self, request: Octets) -> bytearray:
        """Return the RESPONSE to a message of the wire protocol; raises _Refusal when it is no REQUEST."""
        start, length = START.unpack_from(request) if len(request) >= HEADER_BYTES else (0, 0)
        if start != REQUEST_START or length != len(request) - HEADER_BYTES:
            whole = len(request) >= HEADER_BYTES
            reason = judge(start, length, self._max_payload) if whole else "no whole header"
            raise _Refusal(CloseCode.PROTOCOL_ERROR, reason or "bad length")
        response = bytearray(request)
        response[KIND_OFFSET] = RESPONSE
        return response

    def _say(self, data: bytes) -> None:
        """Reply what answers no request."""
        self.unasked.add(len(self.replies))
        self.replies.append(data)

    def _refuse(self, code: CloseCode, reason: str) -> None:
        self._tally[PROTOCOL_ERRORS] += 1
        self._say(_close_frame(code, reason))
        self.end()


def _frame(opcode: Opcode, data: Octets) -> bytes:
    return Frame(opcode, data).serialize(mask=False)


def _close_frame(code: CloseCode, reason: str) -> bytes:
    return _frame(Opcode.CLOSE, Close(code, reason).serialize())
