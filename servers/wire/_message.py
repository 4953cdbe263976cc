"""The message codec: one format for every model and every transport.

A message is a 16-byte header in network byte order and then the payload:

    offset  size  field      value
    0       2     magic      0xEB01
    2       1     version    1
    3       1     kind       1 REQUEST, 2 RESPONSE, 3 ERROR
    4       4     length     payload bytes that follow
    8       8     sequence   chosen by the client, returned unchanged

A RESPONSE differs from its REQUEST in one byte, the kind. That is what makes an echo cheap: the reply to a chunk of
whole requests is the same chunk with one byte set in each header.
"""

from struct import Struct

MAGIC = 0xEB01
VERSION = 1
REQUEST = 1
RESPONSE = 2
ERROR = 3

HEADER = Struct(">HBBIQ")
HEADER_BYTES = 16
KIND_OFFSET = 3

# Magic, version and kind are judged with one comparison; the length comes with the same unpack.
START = Struct(">II")
REQUEST_START = (MAGIC << 16) | (VERSION << 8) | REQUEST
RESPONSE_START = (MAGIC << 16) | (VERSION << 8) | RESPONSE


def encode(kind: int, sequence: int, payload: bytes = b"") -> bytes:
    """Return a message as bytes; raises `struct.error` when a field does not fit its size."""
    return HEADER.pack(MAGIC, VERSION, kind, len(payload), sequence) + payload


def judge(start: int, length: int, max_payload: int) -> str | None:
    """Return why a header that is not an acceptable REQUEST is refused, or None when it is one.

    `start` holds the header's first four bytes as one number. The reason is short ASCII: it goes into an ERROR.
    """
    if start >> 16 != MAGIC:
        return "bad magic"
    if (start >> 8) & 0xFF != VERSION:
        return "bad version"
    if start & 0xFF != REQUEST:
        return "bad kind"
    return "payload too long" if length > max_payload else None


def is_reply(start: int) -> bool:
    """Tell whether a header is a RESPONSE or an ERROR of this protocol, which no server ever answers."""
    return start in (REQUEST_START + 1, REQUEST_START + 2)
