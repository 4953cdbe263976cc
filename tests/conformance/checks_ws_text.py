"""Text is UTF-8 (RFC 3629), and what is not closes the connection with 1007 as soon as that is certain.

The sequences stand here as code points and as rules, at their boundaries: the first and last of each length, what has
been encoded too long, surrogates, what lies beyond the last code point, bytes that never occur.
"""

from __future__ import annotations

from .peer import Peer
from .server_process import Server
from .wire_bytes import payload_of
from .ws_bytes import (
    BAD_DATA,
    BINARY,
    CONTINUATION,
    PING,
    PLAIN_ECHO,
    PONG,
    TEXT,
    fragments,
    frame,
    judge_close,
    mask_of,
    masked,
    refused,
    reply,
)
from .ws_bytes import frame_head as head_of
from .ws_refusals import expect_closed, expect_closed_between_others

# The first and the last code point of every length and around the surrogates, the noncharacters, some text.
CODE_POINTS = (
    0,
    0x7F,
    0x80,
    0x7FF,
    0x800,
    0xD7FF,
    0xE000,
    0xFDD0,
    0xFFFD,
    0xFFFE,
    0xFFFF,
    0x1_0000,
    0x1_FFFF,
    0x10_FFFF,
)
VALID = (
    "κόσμε".encode(),
    "Hello-µ@ßöäüàá-UTF-8!! 語 🙂".encode(),
    *(f"a{chr(point)}z".encode() for point in CODE_POINTS),
    "".join(chr(point) for point in CODE_POINTS).encode(),
)
# Bytes after which no byte makes it valid again.
INVALID = tuple(
    bytes.fromhex(text)
    for text in (
        *("80", "bf", "80bf", "ff", "fe", "fefeffff"),  # what no character begins with
        *("c0", "c1", "f5", "f7bfbfbf", "f888808080", "fbbfbfbfbf", "fc8480808080", "fdbfbfbfbfbf"),  # nor with these
        *("c080", "c0af", "c1bf", "e08080", "e080af", "e09fbf", "f0808080", "f08080af", "f08fbfbf"),  # too long
        *("eda080", "edadbf", "edae80", "edbfbf", "eda080edb080", "edafbfedbfbf"),  # surrogates, single and in pairs
        *("f4908080", "f4bfbfbf"),  # beyond U+10FFFF
        *("c220", "e28220", "f09f9820", "c2c2", "e282e282ac", "dfe08080"),  # a character that is not continued
    )
)
# The beginnings of characters: valid so far, and not at the end of a message.
CUT = tuple(bytes.fromhex(text) for text in ("c2", "df", "e2", "e282", "ed9f", "f0", "f09f", "f09f98", "f48fbf"))
GREEK = VALID[0]


def check_valid_utf_8_comes_back(server: Server) -> None:
    with server.connect(PLAIN_ECHO) as peer:
        for text in VALID:
            rule = f"the text {text.hex(' ')!r} comes back"
            peer.send(frame(TEXT, text))
            peer.expect(reply(TEXT, text), rule)


def check_characters_may_be_split_among_fragments_and_reads(server: Server) -> None:
    with server.connect(PLAIN_ECHO) as peer:
        for text in VALID:
            rule = f"the text {text.hex(' ')!r} in fragments of one byte comes back"
            peer.send(b"".join(fragments(TEXT, *(text[at : at + 1] for at in range(len(text))))))
            peer.expect(reply(TEXT, text), rule)
        for text in VALID[:4]:
            rule = f"the text {text.hex(' ')!r} comes back also when it arrives octet by octet"
            sent = frame(TEXT, text)
            peer.send_apart([sent[at : at + 1] for at in range(len(sent))], rule)
            peer.expect(reply(TEXT, text), rule)


def check_invalid_utf_8_is_refused(server: Server) -> None:
    cases = [
        refused(f"the text {text.hex(' ')!r}", frame(TEXT, text), BAD_DATA)
        for bad in INVALID
        for text in (bad, b"before " + bad + b" behind")
    ]
    expect_closed(server, cases)
    expect_closed_between_others(server, cases[:4])
    in_fragments = [b"".join(fragments(TEXT, *(bytes([byte]) for byte in GREEK + bad))) for bad in INVALID]
    expect_closed(server, [refused("invalid text in fragments of one byte", sent, BAD_DATA) for sent in in_fragments])


def check_a_text_that_ends_inside_a_character_is_refused(server: Server) -> None:
    cases = [refused(f"a text that ends with {cut.hex(' ')!r}", frame(TEXT, GREEK + cut), BAD_DATA) for cut in CUT]
    expect_closed(server, cases)
    ends = [b"".join(fragments(TEXT, GREEK, cut, b"")) for cut in CUT]
    expect_closed(
        server, [refused("a text whose last fragment ends inside a character", end, BAD_DATA) for end in ends]
    )


def check_invalid_utf_8_in_a_fragment_is_refused_before_the_last(server: Server) -> None:
    rule = "invalid UTF-8 in a fragment is refused before the last fragment comes"
    for bad in INVALID:
        with server.connect(PLAIN_ECHO) as peer:
            peer.send(frame(TEXT, GREEK, is_last=False) + frame(PING))
            peer.expect(reply(PONG), "a fragment of valid text is accepted")
            peer.send(frame(CONTINUATION, bad + b"x", is_last=False))
            judge_close(BAD_DATA, f"a fragment {bad.hex(' ')!r}", peer.read_to_end(rule))
    # A character that began in one fragment is judged by the first byte of the next that can't continue it.
    with server.connect(PLAIN_ECHO) as peer:
        peer.send(frame(TEXT, GREEK + b"\xf4", is_last=False) + frame(PING))
        peer.expect(reply(PONG), "a fragment that ends inside a character is accepted")
        peer.send(frame(CONTINUATION, b"\x90", is_last=False))
        judge_close(BAD_DATA, "a byte that makes a character impossible", peer.read_to_end(rule))


def check_invalid_utf_8_is_refused_before_its_frame_is_whole(server: Server) -> None:
    rule = "invalid UTF-8 is refused before its frame has arrived"
    for bad in (b"\xf4\x90", b"\xed\xa0", b"\xff", b"\xc0"):
        with server.connect(PLAIN_ECHO) as peer:
            beginning = _begin(peer, GREEK + bad + b" and more that never comes" * 40)
            peer.send_apart([beginning[: len(GREEK)], beginning[len(GREEK) : len(GREEK) + len(bad) - 1]], rule)
            peer.send(beginning[len(GREEK) + len(bad) - 1 : len(GREEK) + len(bad)])
            judge_close(BAD_DATA, f"the beginning of a frame with {bad.hex(' ')!r}", peer.read_to_end(rule))


def check_binary_may_be_any_bytes(server: Server) -> None:
    with server.connect(PLAIN_ECHO) as peer:
        for payload in (*INVALID, *CUT, payload_of(5_000)):
            peer.send(frame(BINARY, payload) + b"".join(fragments(BINARY, payload, payload)))
            peer.expect(reply(BINARY, payload) + reply(BINARY, 2 * payload), "binary that is no UTF-8 comes back")


def _begin(peer: Peer, text: bytes) -> bytes:
    """Send the head of a frame with a text, and return the payload as it would follow."""
    mask = mask_of(text)
    peer.send(head_of(TEXT, len(text), mask))
    return masked(text, mask)
