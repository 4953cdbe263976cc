"""All knobs of a server, in one frozen record: every model gets the same, the ready line shows them, results keep them.

Differences between servers that hide here are the classic confound of a comparison (other buffer sizes, another
backlog), so nothing about a connection is set anywhere else.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import NoReturn

from servers.work import parse_work

LOG_LEVELS = ("debug", "info", "warning", "error")
SELECTORS = ("select", "poll", "epoll", "kqueue")
LOOPS = ("asyncio", "uvloop")
APIS = ("buffered", "protocol", "streams")
INNERS = ("asyncio", "selectors", "thread")
ACCEPTS = ("own", "shared")

# Write backlog of an event-driven connection: above the high mark reading stops, below the low one it goes on.
WRITE_HIGH_WATER_BYTES = 65_536
WRITE_LOW_WATER_BYTES = 16_384
# How long a closing connection is read and discarded, so that late bytes don't turn queued replies into a reset.
LINGER_S = 1.0


class UsageError(Exception):
    """A server that can't be started as asked; the message is one sentence for the user."""


@dataclass(frozen=True)
class ServerConfig:
    """Every setting of a server; sizes in bytes, times in seconds; None leaves the choice to the model."""

    model: str
    transport: str = "tcp"
    host: str = "127.0.0.1"
    port: int = 0
    workers: int | None = None
    inner: str | None = None
    accept: str | None = None
    backlog: int = 4096
    recv_bytes: int = 65_536
    recv_buffer: int = 4 << 20
    max_payload: int = 1 << 20
    work: str = "echo"
    message_timeout_s: float = 60.0  # 0: never
    peer_timeout_s: float = 30.0  # 0: never
    max_peers: int = 10_000
    max_connections: int = 0  # 0: as many as the system can
    drain_timeout_s: float = 5.0
    selector: str | None = None
    loop: str | None = None
    api: str | None = None
    log_level: str = "warning"


class OneSentenceParser(argparse.ArgumentParser):
    """An argument parser whose errors are one sentence on stderr and exit code 2; make it with `allow_abbrev=False`."""

    def error(self, message: str) -> NoReturn:
        """Print the sentence and exit."""
        self.exit(2, f"{self.prog}: {message}; see {self.prog} --help\n")


def _number(kind: type[int] | type[float], least: float, most: float, meaning: str) -> Callable[[str], float]:
    def parse(text: str) -> float:
        try:
            value = kind(text)
        except ValueError:
            value = kind(-1)
        if not least <= value <= most:
            raise argparse.ArgumentTypeError(f"{text!r} is not {meaning} from {least} to {most}")
        return value

    return parse


def _work(text: str) -> str:
    try:
        parse_work(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
    return text


_COUNT = _number(int, 1, 65_535, "a whole number")
_LIMIT = _number(int, 0, 10_000_000, "a whole number")
_BYTES = _number(int, 1, 1 << 30, "a number of bytes")
_SECONDS = _number(float, 0, 86_400, "a number of seconds")
_PORT = _number(int, 0, 65_535, "a port")
_DEFAULTS = {field.name: field.default for field in fields(ServerConfig)}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of a server to a parser; their destinations are the fields of `ServerConfig`."""
    parser.set_defaults(**{name: value for name, value in _DEFAULTS.items() if name not in ("model", "transport")})
    add = parser.add_argument
    add("--host", metavar="ADDRESS", help="address to listen on, IPv4 or IPv6 (%(default)s)")
    add("--port", type=_PORT, metavar="N", help="port, 0 picks a free one (%(default)s)")
    add("--recv-bytes", type=_BYTES, metavar="N", help="size of a read (%(default)s)")
    add("--max-payload", type=_BYTES, metavar="N", help="longest payload accepted (%(default)s)")
    work = "what each request costs: echo, cpu:100us, wait:5ms, cpu:100us+wait:5ms (%(default)s)"
    add("--work", type=_work, metavar="WORK", help=work)
    drain = "seconds that connections have to end after SIGTERM, then they are cut off (%(default)g)"
    add("--drain-timeout", dest="drain_timeout_s", type=_SECONDS, metavar="S", help=drain)
    add("--log-level", choices=LOG_LEVELS, help="what goes to stderr (%(default)s)")
    _add_stream_arguments(parser.add_argument_group("stream transports"))
    _add_datagram_arguments(parser.add_argument_group("datagram transports"))
    _add_model_arguments(parser.add_argument_group("models"))


def _add_stream_arguments(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add("--backlog", type=_COUNT, metavar="N", help="length of the listen queue (%(default)s)")
    timeout = "seconds from a message's first byte to its last, 0 is never (%(default)g)"
    add("--message-timeout", dest="message_timeout_s", type=_SECONDS, metavar="S", help=timeout)
    limit = "connections at the same time, further ones are closed at once; 0 is no limit (%(default)s)"
    add("--max-connections", type=_LIMIT, metavar="N", help=limit)


def _add_datagram_arguments(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    buffer = "size of the receive buffer to ask the system for, which may allow less (%(default)s)"
    add("--recv-buffer", type=_BYTES, metavar="N", help=buffer)
    idle = "seconds after which the process or thread of a silent peer ends, 0 is never (%(default)g)"
    add("--peer-timeout", dest="peer_timeout_s", type=_SECONDS, metavar="S", help=idle)
    peers = "processes or threads of peers at the same time; a new peer ends the longest silent (%(default)s)"
    add("--max-peers", type=_COUNT, metavar="N", help=peers)


def _add_model_arguments(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add("--workers", type=_COUNT, metavar="N", help="hybrid: worker processes (default: its CPUs, at least 2)")
    add("--inner", choices=INNERS, help="hybrid: the model that each worker runs (default: asyncio)")
    add("--accept", choices=ACCEPTS, help="hybrid: whether workers have a socket each, or one (default: own)")
    add("--selector", choices=SELECTORS, help="selectors: what waits for the sockets (default: the platform's best)")
    add("--loop", choices=LOOPS, help="asyncio, hybrid: whose event loop (default: asyncio)")
    add("--api", choices=APIS, help="asyncio, hybrid: how a connection is programmed, over streams (default: buffered)")
