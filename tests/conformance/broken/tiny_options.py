"""The command line of the tiny server: the options of the servers under test, as far as the checks use them."""

from __future__ import annotations

import argparse
from typing import NoReturn


def option_parser() -> argparse.ArgumentParser:
    """Return a parser of the options that the checks use."""
    parser = Parser()
    parser.add_argument("--model", choices=["tiny"], default="tiny")
    parser.add_argument("--transport", choices=["tcp"], default="tcp")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=port, default=0)
    parser.add_argument("--backlog", type=int, default=4_096)
    parser.add_argument("--recv-bytes", type=int, default=65_536)
    parser.add_argument("--max-payload", type=size, default=1 << 20)
    parser.add_argument("--message-timeout", dest="message_timeout_s", type=float, default=60)
    parser.add_argument("--drain-timeout", dest="drain_timeout_s", type=float, default=5)
    return parser


class Parser(argparse.ArgumentParser):
    """A parser whose errors are one sentence."""

    def error(self, message: str) -> NoReturn:
        """Print the sentence and exit."""
        self.exit(2, f"tiny: {message}\n")


def port(text: str) -> int:
    """Return a port; raises ValueError when the text is none."""
    if not 0 <= int(text) <= 65_535:
        raise ValueError(text)
    return int(text)


def size(text: str) -> int:
    """Return a number of bytes; raises ValueError when the text is none."""
    if int(text) < 0:
        raise ValueError(text)
    return int(text)
