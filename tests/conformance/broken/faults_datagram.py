"""Faults of a server of datagrams: its peers, its buffers, its drain."""

from __future__ import annotations

import argparse
import os
import select
import signal
import socket
import sys
import time
from typing import Any

from tiny_datagram_server import Address, TinyDatagramServer

# Replies and datagrams


class AnswersTwice(TinyDatagramServer):
    def send(self, bound: socket.socket, reply: bytes, address: Address) -> None:
        super().send(bound, reply, address)
        super().send(bound, reply, address)


class AnswersFromAnotherPort(TinyDatagramServer):
    def send(self, bound: socket.socket, reply: bytes, address: Address) -> None:
        with socket.socket(bound.family, socket.SOCK_DGRAM) as other:
            super().send(other, reply, address)


class AnswersFromAnotherHost(TinyDatagramServer):
    def listen(self) -> socket.socket:
        host, self.options.host = self.options.host, ""
        listener = super().listen()
        self.options.host = host
        return listener

    def ready(self) -> dict[str, Any]:
        return super().ready() | {"host": self.options.host}


class TellsPeersByTheirPort(TinyDatagramServer):
    def __init__(self, options: argparse.Namespace) -> None:
        super().__init__(options)
        self.by_port: dict[int, Address] = {}

    def send(self, bound: socket.socket, reply: bytes, address: Address) -> None:
        super().send(self.listener, reply, self.by_port.setdefault(address[1], address))


class AnswersTheNewestPeer(TinyDatagramServer):
    newest: Address = ()

    def welcome(self, address: Address) -> None:
        super().welcome(address)
        self.newest = address

    def send(self, bound: socket.socket, reply: bytes, address: Address) -> None:
        super().send(self.listener, reply, self.newest)


class TakesWhatIsLeftOfACutDatagram(TinyDatagramServer):
    def read(self, bound: socket.socket) -> tuple[bytes, Address]:
        return bound.recvfrom(self.options.recv_bytes)


class IgnoresTheReceiveSize(TinyDatagramServer):
    def read(self, bound: socket.socket) -> tuple[bytes, Address]:
        return bound.recvfrom(65_536)


class AnswersAKnownPeerAnything(TinyDatagramServer):
    def answer(self, bound: socket.socket, datagram: bytes, address: Address) -> None:
        messages = self.echo.messages
        super().answer(bound, datagram, address)
        if self.echo.messages == messages and bound is not self.listener:
            self.send(bound, b"?", address)


class DiesOfAnEmptyDatagram(TinyDatagramServer):
    def answer(self, bound: socket.socket, datagram: bytes, address: Address) -> None:
        super().answer(bound, datagram, address)
        if not datagram:
            os._exit(1)


class DiesOfPort0(TinyDatagramServer):
    def on_undelivered(self) -> None:
        os._exit(1)


class CountsTheUndeliverableAsAnswered(TinyDatagramServer):
    def on_undelivered(self) -> None:
        pass


# Buffers


class KeepsTheSystemsBuffer(TinyDatagramServer):
    def set_buffer(self, bound: socket.socket) -> None:
        pass


class TellsTheBufferThatWasAskedFor(TinyDatagramServer):
    def config(self) -> dict[str, Any]:
        return super().config() | {"recv_buffer": self.options.recv_buffer}


class GivesPeersTheSystemsBuffer(TinyDatagramServer):
    def set_buffer(self, bound: socket.socket) -> None:
        if not hasattr(self, "listener"):
            super().set_buffer(bound)


class DropsWhatCameTogether(TinyDatagramServer):
    def serve(self, bound: socket.socket, most: int) -> None:
        super().serve(bound, most)
        try:
            while bound.recv(65_536):
                pass
        except OSError:
            return


class LogsEveryDrop(TinyDatagramServer):
    def answer(self, bound: socket.socket, datagram: bytes, address: Address) -> None:
        errors = self.echo.protocol_errors
        super().answer(bound, datagram, address)
        if self.echo.protocol_errors > errors:
            print("dropped", file=sys.stderr)


class LosesADescriptorADatagram(TinyDatagramServer):
    def answer(self, bound: socket.socket, datagram: bytes, address: Address) -> None:
        super().answer(bound, datagram, address)
        os.open(os.devnull, os.O_RDONLY)


# Peers


class KeepsNoPeers(TinyDatagramServer):
    def make_peer(self, address: Address) -> None:
        self.made += 1


class MakesPeersOfGarbage(TinyDatagramServer):
    def answer(self, bound: socket.socket, datagram: bytes, address: Address) -> None:
        if bound is self.listener:
            self.welcome(address)
        super().answer(bound, datagram, address)


class CountsEveryDatagramAsAPeer(TinyDatagramServer):
    def note_activity(self, address: Address) -> None:
        super().note_activity(address)
        self.made += 1


class KeepsIdlePeers(TinyDatagramServer):
    def end_idle_peers(self) -> None:
        pass


class KeepsTheSocketOfAnEndedPeer(TinyDatagramServer):
    def end_peer(self, address: Address) -> None:
        del self.last_s[address]
        self.kept = [*getattr(self, "kept", []), self.peers.pop(address).dup()]


class LosesADescriptorAPeer(TinyDatagramServer):
    def end_peer(self, address: Address) -> None:
        super().end_peer(address)
        os.open(os.devnull, os.O_RDONLY)


class TurnsAwayWhoComesBack(TinyDatagramServer):
    def __init__(self, options: argparse.Namespace) -> None:
        super().__init__(options)
        self.ended: set[Address] = set()

    def end_peer(self, address: Address) -> None:
        super().end_peer(address)
        self.ended.add(address)

    def send(self, bound: socket.socket, reply: bytes, address: Address) -> None:
        if address not in self.ended:
            super().send(bound, reply, address)


class EndsBusyPeers(TinyDatagramServer):
    def note_activity(self, address: Address) -> None:
        pass


class HasNoLimitOfPeers(TinyDatagramServer):
    def make_room(self) -> None:
        pass


class TurnsNewPeersAway(TinyDatagramServer):
    def send(self, bound: socket.socket, reply: bytes, address: Address) -> None:
        if address in self.peers:
            super().send(bound, reply, address)

    def welcome(self, address: Address) -> None:
        if len(self.peers) < self.options.max_peers:
            super().welcome(address)


class EndsTheFirstPeerForANewOne(TinyDatagramServer):
    def make_room(self) -> None:
        self.end_peer(next(iter(self.peers)))


class KeepsAPeerThatHasGone(TinyDatagramServer):
    def on_refusal(self, bound: socket.socket) -> None:
        pass


class DiesOfAPeerThatHasGone(TinyDatagramServer):
    def on_refusal(self, bound: socket.socket) -> None:
        os._exit(1)


class DiesWithoutDescriptorsForPeers(TinyDatagramServer):
    def make_peer(self, address: Address) -> None:
        super().make_peer(address)
        if address not in self.peers:
            os._exit(1)


class EndsAPeerForLackOfDescriptors(TinyDatagramServer):
    def make_peer(self, address: Address) -> None:
        super().make_peer(address)
        if address not in self.peers:
            for descriptor in [peer.fileno() for peer in self.sockets()]:
                os.close(descriptor)


# Life and drain


class ForgetsKnownPeersInTheDrain(TinyDatagramServer):
    def drain(self) -> None:
        for address in list(self.peers):
            self.end_peer(address)
        super().drain()


class ForgetsNewPeersInTheDrain(TinyDatagramServer):
    def serve_rest(self, bound: socket.socket) -> None:
        if bound is not self.listener:
            super().serve_rest(bound)


class AnswersAFewInTheDrain(TinyDatagramServer):
    def serve_rest(self, bound: socket.socket) -> None:
        self.serve(bound, 20)


class IsCutOffByATerminal(TinyDatagramServer):
    def watch_signals(self) -> None:
        super().watch_signals()
        signal.signal(signal.SIGINT, lambda _number, _frame: self.cut_off())

    def cut_off(self) -> None:
        self.peers.clear()
        self.listener.close()
        self.say(self.stopped())
        os._exit(0)


class WaitsForSilence(TinyDatagramServer):
    def serve_rest(self, bound: socket.socket) -> None:
        while select.select([bound], [], [], 0.5)[0]:
            self.serve(bound, 64)


class DrainsAtASecondSignal(TinyDatagramServer):
    def on_signal(self) -> None:
        self.stopping = True


class KeepsThePortOpen(TinyDatagramServer):
    def drain(self) -> None:
        super().drain()
        if os.fork() == 0:
            self.listen()
            time.sleep(60)
            os._exit(0)


class SharesItsPortWithAnyServer(TinyDatagramServer):
    def configure_listener(self, listener: socket.socket) -> None:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
