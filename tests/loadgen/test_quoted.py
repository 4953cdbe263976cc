"""A server's words in a sentence of ours: they say what they say, and do nothing to a terminal or a line."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadgen.wire._echo import MOST_QUOTED, quoted


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("", ""),
        ("payload too long", "payload too long"),
        ("Grüße, 世界", "Grüße, 世界"),
        ("\x1b[31mred\x07", "\\x1b[31mred\\x07"),
        ("one\r\ntwo\tthree\0", "one\\r\\ntwo\\tthree\\x00"),
        ("\x7f\x9b2J\u2028\u202e\ufeff", "\\x7f\\x9b2J\\u2028\\u202e\\ufeff"),
        ('it\'s "said" in C:\\', 'it\'s "said" in C:\\'),
    ],
)
def test_what_is_no_letter_is_written_as_its_number(said: str, shown: str) -> None:
    assert quoted(said) == shown


@pytest.mark.parametrize(("length", "dots"), [(79, ""), (80, ""), (81, "..."), (8192, "...")])
def test_more_than_80_letters_are_cut(length: int, dots: str) -> None:
    assert MOST_QUOTED == 80
    assert quoted("x" * length) == "x" * min(length, 80) + dots


def test_what_is_cut_is_what_was_said_and_not_how_it_is_written() -> None:
    assert quoted("\n" * 81) == "\\n" * 80 + "..."


@given(st.text(max_size=100))
def test_whatever_a_server_says_is_one_short_printable_line(said: str) -> None:
    shown = quoted(said)
    assert shown.isprintable()
    assert len(shown) <= 10 * MOST_QUOTED + len("...")
