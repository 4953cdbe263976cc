"""A tiny correct server of datagrams: one thread, a socket a peer, standard library only.

Like tiny_server.py it is there to be broken. The first request of an unknown address makes a peer: a socket that is
bound to the server's address and connected to the peer's, so that the kernel hands it what comes from there. It ends
when it was silent for `--peer-timeout`, when its address refuses a reply, or for a newer one when there are too many.

The drain answers what waits at every socket and closes it.
"""

from __future__ import annotations

import argparse
import select
import socket
import time
from typing import Any, ClassVar

from tiny_life import TinyLife
from tiny_wire import DatagramEcho

Address = tuple[Any, ...]
BURST = 64


class TinyDatagramServer(TinyLife):
    """A server of datagrams."""

    transport = "udp"
    socket_type = socket.SOCK_DGRAM
    echo_class: ClassVar[type[DatagramEcho]] = DatagramEcho

    def __init__(self, options: argparse.Namespace) -> None:
        super().__init__(options)
        self.echo = self.echo_class(options.max_payload)
        self.peers: dict[Address, socket.socket] = {}
        self.last_s: dict[Address, float] = {}
        self.made = self.served_by_listener = self.undelivered = 0

    def listen(self) -> socket.socket:
        """Return the socket for everybody, whose port no other server has; peers' sockets may share it from now on."""
        listener = super().listen()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setblocking(False)
        self.set_buffer(listener)
        return listener

    def set_buffer(self, bound: socket.socket) -> None:
        """Ask for the receive buffer."""
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, self.options.recv_buffer)

    def config(self) -> dict[str, Any]:
        """Return the effective settings."""
        allowed = self.listener.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) // 2
        return super().config() | {"recv_buffer": allowed}

    # Serving

    def serve_until_stopped(self) -> None:
        """Answer until a signal came."""
        while not self.stopping:
            waits_for, owners = select.poll(), {self.listener.fileno(): self.listener}
            owners |= {peer.fileno(): peer for peer in self.peers.values()}
            for descriptor in (*owners, self.wake_up[0]):
                waits_for.register(descriptor, select.POLLIN)
            for descriptor, _ in waits_for.poll(self.patience_ms()):
                if descriptor in owners and owners[descriptor].fileno() >= 0 and not self.stopping:
                    self.serve(owners[descriptor], BURST)
            self.end_idle_peers()

    def patience_ms(self) -> float | None:
        """Return how long to wait until a peer may have been silent for too long."""
        return 250 * self.options.peer_timeout_s if self.peers and self.options.peer_timeout_s else None

    def serve(self, bound: socket.socket, most: int) -> None:
        """Answer what waits at a socket."""
        for _ in range(most):
            try:
                datagram, address = self.read(bound)
            except BlockingIOError:
                return
            except ConnectionRefusedError:
                self.on_refusal(bound)
                return
            self.answer(bound, datagram, address)

    def read(self, bound: socket.socket) -> tuple[bytes, Address]:
        """Return a datagram, empty when it was longer than --recv-bytes; raises BlockingIOError when none waits."""
        datagram, _, flags, address = bound.recvmsg(self.options.recv_bytes)
        return b"" if flags & socket.MSG_TRUNC else datagram, address

    def answer(self, bound: socket.socket, datagram: bytes, address: Address) -> None:
        """Answer one datagram, or drop it."""
        reply = self.echo.receive(datagram)
        if reply is not None:
            if bound is self.listener:
                self.welcome(address)
            self.note_activity(address)
            self.send(bound, reply, address)

    def note_activity(self, address: Address) -> None:
        """Remember when a peer asked."""
        if address in self.peers:
            self.last_s[address] = time.monotonic()

    def send(self, bound: socket.socket, reply: bytes, address: Address) -> None:
        """Send a reply."""
        try:
            bound.sendto(reply, address)
        except ConnectionRefusedError:
            self.on_refusal(bound)
        except OSError:
            self.on_undelivered()

    def on_undelivered(self) -> None:
        """Count a reply that the kernel does not take."""
        self.echo.messages -= 1
        self.undelivered += 1

    # Peers

    def welcome(self, address: Address) -> None:
        """Make a peer, if there is none and the address can be one."""
        if address in self.peers:
            self.served_by_listener += 1
        elif address[1]:
            if len(self.peers) >= self.options.max_peers:
                self.make_room()
            self.make_peer(address)

    def make_peer(self, address: Address) -> None:
        """Make a socket that receives what comes from an address; without a descriptor the listener goes on."""
        try:
            peer = socket.socket(self.listener.family, socket.SOCK_DGRAM)
        except OSError:
            return
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        peer.setblocking(False)
        self.set_buffer(peer)
        peer.bind(self.listener.getsockname())
        peer.connect(address)
        self.peers[address] = peer
        self.last_s[address] = time.monotonic()
        self.made += 1

    def make_room(self) -> None:
        """End the peer that was silent longest."""
        self.end_peer(min(self.last_s, key=self.last_s.__getitem__))

    def end_idle_peers(self) -> None:
        """End who was silent for too long."""
        now_s = time.monotonic()
        for address, last_s in list(self.last_s.items()):
            if 0 < self.options.peer_timeout_s <= now_s - last_s:
                self.end_peer(address)

    def on_refusal(self, bound: socket.socket) -> None:
        """End a peer whose address takes no reply."""
        for address in [address for address, peer in self.peers.items() if peer is bound]:
            self.end_peer(address)

    def end_peer(self, address: Address) -> None:
        """Close a peer's socket."""
        del self.last_s[address]
        self.peers.pop(address).close()

    # Ending

    def drain(self) -> None:
        """Answer what waits, then let the port go."""
        for bound in self.sockets():
            self.serve_rest(bound)
        for bound in self.sockets():
            bound.close()

    def sockets(self) -> list[socket.socket]:
        """Return all sockets of the port."""
        return [self.listener, *self.peers.values()]

    def serve_rest(self, bound: socket.socket) -> None:
        """Answer what waits at a socket; a peer that goes on sending is not waited for."""
        deadline_s = time.monotonic() + self.drain_timeout_s()
        while select.select([bound], [], [], 0)[0] and time.monotonic() < deadline_s:
            self.serve(bound, BURST)
            if bound.fileno() < 0:
                return

    def counts(self) -> dict[str, int]:
        """Return what was counted."""
        return {
            "connections": self.made,
            "messages": self.echo.messages,
            "protocol_errors": self.echo.protocol_errors,
            "aborted": 0,
            "undelivered": self.undelivered,
            "served_by_listener": self.served_by_listener,
        }
