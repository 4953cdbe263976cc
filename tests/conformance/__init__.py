"""One conformance suite for every model, transport and variant, and the broken servers that test the suite itself.

**Checks** are plain functions `check_*(server)` in the modules `checks_*.py`: they take a running server, talk to it as
strangers do, and fail with a sentence that says the rule. They know nothing of models: `test_models.py` runs each check
on each target that `python -m servers --list --json` offers (targets.py), so a new model or variant is covered by being
there. A check is about some transports (catalogue.py). Those of streams ask for requests and replies in the words of
the transport (wire.py): over TCP messages as they are, over WebSocket a frame each, so that one check splits, glues and
hurries both; those of streams and datagrams use only what both kinds of peers can do (client.py). What is particular to
WebSocket, its frames, text, closing and handshake, is in checks_ws_*.py. One server a target is shared by all checks;
those that need another life start their own (`server.another("--backlog", "3")`).

**Peers** are raw sockets with literal bytes (connection.py, peer.py, datagram_peer.py, forging.py, wire_bytes.py,
ws_bytes.py); no code of the servers is imported here. Over WebSocket the client of the `websockets` package comes on
top (checks_ws_client.py).

**Nothing depends on luck.** Every wait is for an event and has a deadline, the patience of the server that is checked.
Bytes are sent apart by asking the kernel whether the server has read the ones before (kernel.py). What has arrived
"before the signal" is made exact by stopping the server's processes (SIGSTOP) while it arrives, and over UDP by asking
the kernel whether it has (kernel_datagrams.py). That something is not answered is told by the next reply being that to
something later, by exact counts, and by what is there when the server has ended. Times are compared with nothing but
the times that a server was told.

**The checks are checked.** `broken/` holds a tiny correct server of each transport, and one subclass for each fault.
`test_broken_servers.py` shows that the correct ones pass every check, that each broken one fails the check that is
there for its fault, with the sentence that is about it (faults_and_checks*.py), and that no check lacks such a fault.

To add a rule: write the check, a fault, and their row. One target alone: `pytest tests/conformance -k asyncio-udp`.
"""
