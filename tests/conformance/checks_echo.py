"""The echo itself, whatever carries it: what goes in comes out, as a RESPONSE, by IPv4 and by IPv6."""

from __future__ import annotations

from .server_process import Server
from .wire_bytes import HIGHEST_SEQUENCE


def check_each_message_of_the_corpus_comes_back_as_its_response(server: Server) -> None:
    with server.client() as client:
        for name, sent, expected in server.wire.corpus:
            client.send(sent)
            client.expect(expected, f"{name} comes back as its RESPONSE")


def check_each_message_of_the_corpus_comes_back_over_ipv6(server: Server) -> None:
    with server.another("--host", "::1") as own, own.clients(2) as clients:
        assert own.ready["host"] == "::1", f"the ready line tells the host ::1, not {own.ready['host']}"
        for client in clients:
            for name, sent, expected in server.wire.corpus:
                client.send(sent)
                client.expect(expected, f"{name} comes back as its RESPONSE over IPv6")


def check_sequences_come_back_unchanged(server: Server) -> None:
    wire = server.wire
    sequences = (0, 1, 0xFF, 0x1_0000, 0xFFFF_FFFF, 0x1_0000_0000, 1 << 63, HIGHEST_SEQUENCE - 1, HIGHEST_SEQUENCE)
    with server.client() as client:
        for sequence in sequences:
            client.send(wire.request(sequence, b"x"))
            client.expect(wire.response(sequence, b"x"), f"sequence {sequence:#x} comes back unchanged")
