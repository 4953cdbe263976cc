"""Faults in what a server refuses to start with and warns of."""

from __future__ import annotations

import argparse
import socket
import sys
from collections.abc import Iterable
from typing import ClassVar

from tiny_datagram_server import TinyDatagramServer
from tiny_life import TinyLife
from tiny_options import DATAGRAM_OPTIONS, LACKS, STREAM_OPTIONS, option_parser
from tiny_server import TinyServer


class ShowsATraceback(TinyServer):
    @classmethod
    def main(cls, arguments: list[str]) -> int:
        return cls(cls.parse(arguments)).run()


class TakesAnotherPort(TinyServer):
    def listen(self) -> socket.socket:
        try:
            return super().listen()
        except OSError:
            self.options.port = 0
            return super().listen()


class SharesItsPort(TinyServer):
    def configure_listener(self, listener: socket.socket) -> None:
        super().configure_listener(listener)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)


class TakesAnyModel(TinyServer):
    @classmethod
    def parse(cls, arguments: list[str]) -> argparse.Namespace:
        return super().parse([argument.replace("no-such-model", "tiny") for argument in arguments])


class TakesAnyOption(TinyServer):
    @classmethod
    def parse(cls, arguments: list[str]) -> argparse.Namespace:
        return cls.parser().parse_known_args(arguments)[0]


class ExitsWithOneAtBadUsage(TinyServer):
    @classmethod
    def parse(cls, arguments: list[str]) -> argparse.Namespace:
        try:
            return super().parse(arguments)
        except SystemExit as end:
            raise SystemExit(1) from end


class ShowsItsWholeUsage(TinyServer):
    @classmethod
    def parser(cls) -> argparse.ArgumentParser:
        parser = super().parser()
        parser.error = lambda message: argparse.ArgumentParser.error(parser, message)  # type: ignore[method-assign]
        return parser


class _Ignores(TinyLife):
    """Ignores one kind of contradiction; the options are set to their defaults."""

    @classmethod
    def contradiction(cls, options: argparse.Namespace) -> str | None:
        default = vars(option_parser(cls.transport).parse_args([]))
        for name in cls.ignored:
            setattr(options, name, default[name])
        return super().contradiction(options)

    ignored: ClassVar[Iterable[str]]


class TakesOptionsOfDatagrams(_Ignores, TinyServer):
    ignored = DATAGRAM_OPTIONS.values()


class TakesOptionsOfStreams(_Ignores, TinyDatagramServer):
    ignored = STREAM_OPTIONS.values()


class TakesOptionsOfOtherModels(_Ignores, TinyServer):
    ignored = LACKS.values()


class TakesAVariantThatIsNotThere(_Ignores, TinyServer):
    ignored = ("selector",)


class FallsBackToIpv4(TinyServer):
    def listen(self) -> socket.socket:
        self.options.host = "127.0.0.1"
        return super().listen()


class FallsBackToLoopback(TinyServer):
    def listen(self) -> socket.socket:
        try:
            return super().listen()
        except OSError:
            self.options.host = "127.0.0.1"
            return super().listen()


class WarnsOfNothing(TinyServer):
    def warn(self) -> None:
        pass


class TakesIpv6ForTheWorld(TinyServer):
    def warn(self) -> None:
        if self.options.host == "::1":
            print("warning: anyone who can reach ::1 can use it", file=sys.stderr)
        else:
            super().warn()
