"""An independent client as users have it: that of the `websockets` package, over its own blocking front end."""

from __future__ import annotations

import socket

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from .server_process import Server
from .wire_bytes import CORPUS, payload_of
from .ws_bytes import GOING_AWAY, NORMAL, SUBPROTOCOL


def check_the_websockets_client_gets_everything_back(server: Server) -> None:
    with _client(server) as client:
        assert client.subprotocol is None, f"no subprotocol is selected where none is offered, not {client.subprotocol}"
        for message in ("", "Hello", "Grüße, 语, 🙂", "x" * 100_000, b"", b"\0\xff", payload_of(100_000)):
            client.send(message)
            assert client.recv(timeout=server.patience_s) == message, f"{message[:20]!r} comes back, of the same kind"
        client.send(["frag", "ment", "s"])
        assert client.recv(timeout=server.patience_s) == "fragments", "a message in fragments comes back whole"
        client.send(iter([b"frag", b"", b"ments"]))
        assert client.recv(timeout=server.patience_s) == b"fragments", "a message in fragments comes back whole"
        assert client.ping(b"are you there?").wait(server.patience_s), "a ping of the websockets client is answered"
        _expect_clean_close(client)


def check_the_websockets_client_speaks_the_subprotocol(server: Server) -> None:
    with _client(server, SUBPROTOCOL) as client:
        assert client.subprotocol == SUBPROTOCOL, f"{SUBPROTOCOL} is selected, not {client.subprotocol}"
        for name, sent, expected in CORPUS:
            client.send(sent)
            assert client.recv(timeout=server.patience_s) == expected, f"{name} comes back as its RESPONSE"
        _expect_clean_close(client)


def check_the_websockets_client_is_told_of_the_drain(server: Server) -> None:
    with server.another() as own, _client(own) as client:
        client.send("before")
        assert client.recv(timeout=own.patience_s) == "before", "a message comes back"
        own.process.terminate()
        try:
            client.recv(timeout=own.patience_s)
        except ConnectionClosed as closed:
            code = closed.rcvd.code if closed.rcvd else None
            assert code == GOING_AWAY, f"the websockets client is told 1001 at the drain, not {code}"
        own.ended()


def _client(server: Server, *subprotocols: str) -> ClientConnection:
    host, port = server.address
    connection = socket.create_connection((host, port), server.patience_s)
    return connect(
        f"ws://{host}:{port}/echo",
        sock=connection,
        subprotocols=list(subprotocols) or None,
        open_timeout=server.patience_s,
        close_timeout=server.patience_s,
        ping_interval=None,
    )


def _expect_clean_close(client: ClientConnection) -> None:
    client.close(NORMAL)
    received = client.protocol.close_rcvd
    assert received is not None, "a close of the websockets client is answered"
    assert client.close_code == NORMAL, (
        f"a close of the websockets client is answered with 1000, not {client.close_code}"
    )
