"""What a server refuses to start with: exit code 2 and one sentence on stderr. And what it warns of."""

from __future__ import annotations

import socket

from .server_process import Ended, Server
from .targets import DATAGRAM, STREAM

# Options that would do nothing, each away from its default.
OF_ANOTHER_KIND = {
    STREAM: (("--recv-buffer", "65536"), ("--peer-timeout", "5"), ("--max-peers", "5")),
    DATAGRAM: (("--backlog", "5"), ("--message-timeout", "5"), ("--max-connections", "5")),
}
OF_SOME_MODELS = (("--workers", "2"), ("--selector", "poll"), ("--loop", "uvloop"), ("--api", "streams"))


def check_a_port_in_use_is_refused(server: Server) -> None:
    kind = socket.SOCK_DGRAM if server.target.kind == DATAGRAM else socket.SOCK_STREAM
    # Also a program that would share its port must not get a server beside it, unnoticed by both.
    for sharing in (None, socket.SO_REUSEADDR, socket.SO_REUSEPORT):
        with socket.socket(socket.AF_INET, kind) as other:
            if sharing:
                other.setsockopt(socket.SOL_SOCKET, sharing, 1)
            other.bind(("127.0.0.1", 0))
            if kind == socket.SOCK_STREAM:
                other.listen()
            port = str(other.getsockname()[1])
            _expect_refusal(server.refused("--port", port), f"a port in use ({port})", port)


def check_a_port_of_another_server_is_refused(server: Server) -> None:
    # A server that shares its port among workers or peers must not share it with a second server.
    with server.another() as own, own.clients(4) as clients:
        for client in clients:
            client.echo(1)
        port = str(own.port)
        _expect_refusal(server.refused("--port", port), f"the port of another server ({port})", port)
        for client in clients:
            client.echo(2, why="the server that has the port goes on")


def check_an_unknown_model_or_transport_is_refused(server: Server) -> None:
    _expect_refusal(server.refused("--model", "no-such-model"), "an unknown model", "no-such-model")
    _expect_refusal(server.refused("--transport", "pigeon"), "an unknown transport", "pigeon")


def check_a_bad_option_is_refused(server: Server) -> None:
    for options, place in (
        (("--frobnicate",), "frobnicate"),
        (("--port", "70000"), "70000"),
        (("--recv-bytes", "many"), "many"),
        (("--max-payload", "-1"), "-1"),
        (("--drain-timeout", "soon"), "soon"),
    ):
        _expect_refusal(server.refused(*options), f"the bad option {' '.join(options)}", place)


def check_an_address_of_another_machine_is_refused(server: Server) -> None:
    # TEST-NET-1 of RFC 5737: nobody's.
    _expect_refusal(server.refused("--host", "192.0.2.1"), "an address of another machine", "192.0.2.1")


def check_options_of_another_kind_of_transport_are_refused(server: Server) -> None:
    for options in OF_ANOTHER_KIND[server.target.kind]:
        cause = f"{' '.join(options)} over {server.target.transport}"
        _expect_refusal(server.refused(*options), cause, options[0])


def check_options_that_the_model_does_not_have_are_refused(server: Server) -> None:
    has = set(server.target.choices)
    config = server.ready["config"]
    has |= {f"--{name}" for name in ("workers", "selector", "loop", "api") if config.get(name) is not None}
    for options in OF_SOME_MODELS:
        if options[0] not in has:
            cause = f"{' '.join(options)} for {server.target.model} over {server.target.transport}"
            _expect_refusal(server.refused(*options), cause, options[0])


def check_a_variant_that_the_machine_lacks_is_refused(server: Server) -> None:
    for options, reason in server.target.lacks:
        _expect_refusal(server.refused(*options), f"the unavailable {' '.join(options)}", reason)


def check_listening_beyond_loopback_is_warned_of(server: Server) -> None:
    with server.another("--host", "0.0.0.0") as own, own.client() as client:
        client.echo(1, why="a server on 0.0.0.0 answers")
        assert own.ready["host"] == "0.0.0.0", f"the ready line tells the host 0.0.0.0, not {own.ready['host']}"
        client.close()
        warning = own.stop().stderr
        assert len(warning.splitlines()) == 1, f"listening beyond loopback is warned of in one line: {warning!r}"


def check_ipv6_loopback_is_served_without_a_warning(server: Server) -> None:
    with server.another("--host", "::1") as own, own.client() as client:
        client.echo(1, why="a server on ::1 answers")
        client.close()
        said = own.stop().stderr
        assert said == "", f"a server on ::1 warns of nothing: {said!r}"


def _expect_refusal(ended: Ended, cause: str, place: str) -> None:
    said = ended.stderr
    assert ended.exit_code == 2, f"the exit code for {cause} is 2, not {ended.exit_code}; stderr {said!r}"
    assert "Traceback" not in said, f"{cause} is no reason for a traceback: {said!r}"
    assert len(said.splitlines()) == 1, f"{cause} is answered with one sentence on stderr: {said!r}"
    assert place in said, f"the sentence about {cause} names {place!r}: {said!r}"
    assert ended.stdout == "", f"nothing is said on stdout for {cause}: {ended.stdout!r}"
    assert not ended.left, f"no process is left after {cause}, found {ended.left}"
