"""The message codec against bytes written out by hand."""

import pytest

from servers.wire import _message as message


def test_a_message_is_header_and_payload_in_network_byte_order() -> None:
    encoded = message.encode(message.ERROR, 0x0102030405060708, b"no")
    assert encoded == bytes.fromhex("eb01 01 03 00000002 0102030405060708") + b"no"


@pytest.mark.parametrize(
    ("start", "length", "reason"),
    [
        (0xEB010101, 100, None),
        (0xEB010101, 101, "payload too long"),
        (0xEB020101, 0, "bad magic"),
        (0x00000000, 0, "bad magic"),
        (0xEB010201, 0, "bad version"),
        (0xEB010100, 0, "bad kind"),
        (0xEB010102, 0, "bad kind"),
    ],
)
def test_a_header_is_judged_by_magic_version_kind_and_length(start: int, length: int, reason: str | None) -> None:
    assert message.judge(start, length, max_payload=100) == reason


def test_replies_are_told_from_requests() -> None:
    assert [message.is_reply(0xEB010100 + kind) for kind in range(5)] == [False, False, True, True, False]
