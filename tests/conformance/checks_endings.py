"""How connections end: the client shuts down its sending side, breaks the protocol, or announces what never comes.

The end is always an orderly one. A server that closes a socket with unread bytes in it makes the kernel send a reset,
and a reset throws away replies that were already on their way; so "the end" below is an end of file, never a reset.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable

from .process_tree import memory_bytes
from .server_process import Server
from .waiting import eventually
from .wire_bytes import payload_of

GIBIBYTE = 1 << 30
MEBIBYTE = 1 << 20
HALF_SENT_CONNECTIONS = 50


def check_after_a_half_close_all_replies_come_and_then_the_end(server: Server) -> None:
    wire = server.wire
    rule = "after a half-close all requests are answered, then the connection ends"
    for count in (1, 3, 300):
        with server.connect() as peer:
            peer.send(b"".join(wire.request(number, b"before") for number in range(count)))
            peer.shut_sending()
            peer.expect(b"".join(wire.response(number, b"before") for number in range(count)), rule)
            peer.expect_end(rule)


def check_after_a_half_close_large_replies_come_whole(server: Server) -> None:
    wire = server.wire
    rule = "replies that no socket buffer can hold come whole after a half-close, then the connection ends"
    payloads = [payload_of(300_000, number) for number in range(33)]
    sent = b"".join(wire.request(number, payload) for number, payload in enumerate(payloads))
    expected = b"".join(wire.response(number, payload) for number, payload in enumerate(payloads))
    with server.connect() as peer:
        got = peer.pump(sent, rule, reads_only_when_stuck=True)
        peer.shut_sending()
        got += peer.read(len(expected) - len(got), rule)
        assert got == expected, f"{rule}: the replies differ from what was sent"
        peer.expect_end(rule)


def check_a_half_close_without_a_request_ends_the_connection(server: Server) -> None:
    with server.connect() as peer:
        peer.shut_sending()
        peer.expect_end("a half-close without any request ends the connection")


def check_a_half_close_inside_a_message_drops_that_message(server: Server) -> None:
    wire = server.wire
    for part in (wire.request(9)[:1], wire.request(9)[:15], wire.header(9, 5), wire.request(9, b"12345")[:-1]):
        rule = f"a message of which only {len(part)} bytes came before a half-close is not answered"
        with server.connect() as peer:
            peer.send(wire.request(8, b"whole") + part)
            peer.shut_sending()
            peer.expect(wire.response(8, b"whole"), rule)
            peer.expect_end(rule)


def check_a_header_is_judged_only_when_it_is_whole(server: Server) -> None:
    for bad in server.wire.bad_headers:
        rule = f"a header with {bad.name} that lacks its last byte is not judged yet"
        with server.connect() as peer:
            peer.send(bad.sent[:-1])
            peer.shut_sending()
            peer.expect_end(rule)


def check_a_bad_header_is_refused_and_ends_the_connection(server: Server) -> None:
    for bad in server.wire.bad_headers:
        with server.connect() as peer:
            peer.send(bad.sent)
            bad.judge(peer.read_to_end(f"after {bad.name} come the refusal and the end"))


def check_a_length_over_the_limit_is_refused_and_ends_the_connection(server: Server) -> None:
    wire = server.wire
    length = server.setting("max_payload") + 1
    with server.connect() as peer:
        refused = wire.over_the_limit(77, length)
        peer.send(refused.sent)
        refused.judge(peer.read_to_end(f"after a length of {length} come the refusal and the end"))


def check_requests_before_a_bad_header_are_answered(server: Server) -> None:
    wire = server.wire
    before = b"".join(wire.request(number, b"good") for number in range(50))
    replies = b"".join(wire.response(number, b"good") for number in range(50))
    for bad in wire.bad_headers:
        rule = f"the requests before {bad.name} are answered"
        with server.connect() as peer:
            peer.send(before + bad.sent)
            peer.expect(replies, rule)
            bad.judge(peer.read_to_end(f"after {bad.name} come the refusal and the end"))


def check_requests_behind_a_bad_header_are_not_answered(server: Server) -> None:
    wire = server.wire
    for bad in wire.bad_headers:
        with server.connect() as peer:
            peer.send(bad.sent + b"".join(wire.request(number, b"late") for number in range(10)))
            rule = f"after {bad.name} come one refusal, no reply to what is behind it, and the end"
            bad.judge(peer.read_to_end(rule))


def check_a_response_or_an_error_ends_the_connection_without_a_reply(server: Server) -> None:
    wire = server.wire
    for foreign in wire.foreign_replies:
        rule = f"{foreign.name} sent to a server ends the connection without a reply to it"
        with server.connect() as peer:
            peer.send(wire.request(1, b"before") + foreign.sent + wire.request(2, b"behind"))
            peer.expect(wire.response(1, b"before"), f"the request before {foreign.name} is answered")
            foreign.judge(peer.read_to_end(rule))


def check_a_peer_that_goes_on_sending_garbage_loses_no_reply(server: Server) -> None:
    wire = server.wire
    rule = "a peer that goes on sending after a bad header still gets every reply, the refusal and an orderly end"
    payload = payload_of(40_000)
    for bad in wire.bad_headers[:5]:
        with server.connect() as peer:
            sent = b"".join(wire.request(number, payload) for number in range(10)) + bad.sent + payload_of(MEBIBYTE)
            got = peer.pump(sent, rule, reads_only_when_stuck=True) + peer.read_to_end(rule)
            replies = b"".join(wire.response(number, payload) for number in range(10))
            assert got.startswith(replies), f"{rule}: only {len(got)} bytes came, or other ones"
            bad.judge(got[len(replies) :])


def check_a_refused_peer_that_does_not_go_is_let_go(server: Server) -> None:
    with server.connect() as peer:
        peer.send(server.wire.bad_headers[0].sent)
        peer.read_to_end("a bad header ends the connection")
        rule = "a refused peer that neither closes nor stops sending is let go after a moment"
        eventually(peer.was_let_go, server.patience_s, rule)


def check_the_server_goes_on_after_garbage(server: Server) -> None:
    wire = server.wire
    with server.connected(10) as vandals, server.connect() as peer:
        for number, vandal in enumerate(vandals):
            vandal.send(payload_of(3_000, number))
        for vandal in vandals:
            vandal.read_to_end("garbage ends the connection")
        peer.send(wire.request(3, b"unharmed"))
        peer.expect(wire.response(3, b"unharmed"), "a connection beside others that sent garbage is answered")
    with server.connect() as peer:
        peer.send(wire.request(4, b"afterwards"))
        peer.expect(wire.response(4, b"afterwards"), "a connection after others that sent garbage is answered")


def check_an_announced_length_takes_no_memory(server: Server) -> None:
    wire = server.wire
    with server.another("--max-payload", str(GIBIBYTE)) as own, contextlib.ExitStack() as connections:
        resident_bytes, mapped_bytes = memory_bytes(own.pid)
        for count in range(1, HALF_SENT_CONNECTIONS + 1):
            peer = connections.enter_context(own.connect())
            peer.send(wire.header(1, GIBIBYTE) + b"a beginning")
            peer.wait_until_taken("a server reads the beginning of a long message")
            # Looking at all processes takes time; and a server that does take the memory must not get far.
            if count in {1, 10, HALF_SENT_CONNECTIONS}:
                rule = f"{count} announcements of 1 GiB take no memory"
                resident_now_bytes, mapped_now_bytes = memory_bytes(own.pid)
                resident, mapped = resident_now_bytes - resident_bytes, mapped_now_bytes - mapped_bytes
                assert resident < (count + 8) * 4 * MEBIBYTE, f"{rule}: {resident / MEBIBYTE:.0f} MiB were taken"
                assert mapped < count * GIBIBYTE / 2, f"{rule}: {mapped / MEBIBYTE:.0f} MiB were mapped"


def check_a_message_that_takes_too_long_ends_its_connection(server: Server) -> None:
    wire = server.wire
    rule = "a peer that dribbles a message beyond --message-timeout is cut off"
    with server.another("--message-timeout", "0.3") as own, own.connect() as idle, own.connect() as dribbler:
        idle.send(wire.request(1, b"whole"))
        idle.expect(wire.response(1, b"whole"), "a whole message is answered")
        dribbler.send(wire.request(2, b"whole") + wire.header(3, 1_000_000))
        dribbler.expect(wire.response(2, b"whole"), "a whole message is answered")
        eventually(dribbler.has_ended_while_dribbling, own.patience_s, rule)
        dribbler.expect_end("a message that took too long gets no answer")
        idle.send(wire.request(4, b"idle"))
        idle.expect(wire.response(4, b"idle"), "a connection that is idle between messages outlives --message-timeout")


def check_a_stream_of_whole_messages_is_never_timed_out(server: Server) -> None:
    wire = server.wire
    rule = "a peer whose reads always end inside another message is not cut off by --message-timeout"
    payload = b"always followed by a part of the next"
    message = wire.request(1, payload)
    with server.another("--message-timeout", "0.6") as own, own.connect() as busy:

        def send_the_rest_and_a_part() -> None:
            busy.send(message[20:] + message[:20], rule)
            busy.expect(wire.response(1, payload), rule)

        busy.send(message[:20])
        _dribble_until_cut_off(own, send_the_rest_and_a_part)
        _dribble_until_cut_off(own, send_the_rest_and_a_part)


def check_a_message_that_the_server_itself_holds_up_is_not_timed_out(server: Server) -> None:
    wire = server.wire
    rule = "a message that came whole but waits for its reader's own replies is not cut off by --message-timeout"
    payload = payload_of(30_000)
    with server.another("--message-timeout", "0.6") as own, own.connect() as late:
        begun, rest = late.fill(lambda number: wire.request(number, payload), rule)
        _dribble_until_cut_off(own)
        _dribble_until_cut_off(own)
        got = late.pump(rest, rule)
        expected = b"".join(wire.response(number, payload) for number in range(begun))
        got += late.read(len(expected) - len(got), rule)
        assert got == expected, f"{rule}: the replies differ from what was sent"


def _dribble_until_cut_off(server: Server, meanwhile: Callable[[], None] = lambda: None) -> None:
    """Let --message-timeout pass by the server's own clock. Do it twice to be sure for something that began before."""
    wire = server.wire
    with server.connect() as dribbler:
        dribbler.send(wire.header(2, 1_000_000))

        def was_cut_off() -> bool:
            meanwhile()
            return dribbler.has_ended_while_dribbling()

        eventually(was_cut_off, server.patience_s, "a peer that dribbles a message is cut off")
