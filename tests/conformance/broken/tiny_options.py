"""The command line of the tiny server: the options of the servers under test, as far as the checks use them."""

from __future__ import annotations

import argparse
from typing import NoReturn

# (what only streams mind), (what only datagrams mind): the option, and its name in the config.
STREAM_OPTIONS = {
    "--backlog": "backlog",
    "--message-timeout": "message_timeout_s",
    "--max-connections": "max_connections",
}
DATAGRAM_OPTIONS = {"--recv-buffer": "recv_buffer", "--peer-timeout": "peer_timeout_s", "--max-peers": "max_peers"}
# What other models have.
LACKS = {"--workers": "workers", "--loop": "loop", "--api": "api"}
NO_KQUEUE = "there is no kqueue here"


def option_parser(transport: str) -> argparse.ArgumentParser:
    """Return a parser of the options that the checks use."""
    parser = Parser()
    parser.add_argument("--model", choices=["tiny"], default="tiny")
    parser.add_argument("--transport", choices=[transport], default=transport)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=port, default=0)
    parser.add_argument("--recv-bytes", type=int, default=65_536)
    parser.add_argument("--max-payload", type=size, default=1 << 20)
    parser.add_argument("--drain-timeout", dest="drain_timeout_s", type=float, default=5)
    parser.add_argument("--backlog", type=int, default=4_096)
    parser.add_argument("--message-timeout", dest="message_timeout_s", type=float, default=60)
    parser.add_argument("--max-connections", type=int, default=0)
    parser.add_argument("--recv-buffer", type=int, default=4 << 20)
    parser.add_argument("--peer-timeout", dest="peer_timeout_s", type=float, default=30)
    parser.add_argument("--max-peers", type=int, default=10_000)
    parser.add_argument("--selector", choices=["poll", "kqueue"])
    for option in LACKS:
        parser.add_argument(option)
    return parser


def contradiction(options: argparse.Namespace) -> str | None:
    """Return why the options can't be had together, None when they can."""
    default = vars(option_parser(options.transport).parse_args([]))
    foreign = STREAM_OPTIONS if options.transport == "udp" else DATAGRAM_OPTIONS
    for option, name in (foreign | LACKS).items():
        if getattr(options, name) != default[name]:
            return f"{option} does nothing for {options.model} over {options.transport}"
    return NO_KQUEUE if options.selector == "kqueue" else None


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
