"""The messages of the integration tests, byte by byte: what an independent client says, and what it wants to hear."""

PAYLOAD_BYTES = 32
MESSAGE_BYTES = 16 + PAYLOAD_BYTES
_REQUEST, _RESPONSE = 1, 2


def request(sequence: int) -> bytes:
    """Return a request whose payload depends on its number."""
    return _message(_REQUEST, sequence)


def response(sequence: int) -> bytes:
    """Return the only right answer to it."""
    return _message(_RESPONSE, sequence)


def sequence_of(message: bytes) -> int:
    """Return the number that a message bears."""
    return int.from_bytes(message[8:16], "big")


def header(kind: int, length: int, sequence: int) -> bytes:
    """Return sixteen bytes."""
    return b"\xeb\x01\x01" + bytes([kind]) + length.to_bytes(4, "big") + sequence.to_bytes(8, "big")


def _message(kind: int, sequence: int) -> bytes:
    return header(kind, PAYLOAD_BYTES, sequence) + sequence.to_bytes(PAYLOAD_BYTES, "little")
