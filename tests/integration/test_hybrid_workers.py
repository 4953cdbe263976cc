"""hybrid's workers: what is inside, who accepts, what each has done, and that none loses what another could serve."""

import contextlib
import os
import signal
import socket
from collections.abc import Callable
from functools import partial

import psutil
import pytest

from tests.conformance.kernel import listeners
from tests.conformance.kernel_datagrams import sockets_of
from tests.integration.dialects import DIALECTS
from tests.integration.network import alone
from tests.integration.running import MODELS, Running, command, eventually, started
from tests.integration.test_drain_under_load import (
    CONNECTIONS,
    NEWCOMERS,
    check_counts,
    check_nothing_was_lost,
    stop_stream,
    stop_udp,
)
from tests.integration.working import begun, clients, knockers

VARIANTS: list[tuple[str, ...]] = [
    ("--inner", "selectors"),
    ("--inner", "thread"),
    ("--accept", "shared"),
    ("--accept", "shared", "--inner", "selectors"),
    ("--accept", "shared", "--inner", "thread"),
]
# What is inside and who accepts don't know of each other: all of them, and both at once, are for the long run.
USUAL = [(), ("--accept", "shared"), ("--inner", "thread")]
every_variant = pytest.mark.parametrize(
    "options",
    [pytest.param(options, marks=[] if options in USUAL else [pytest.mark.long]) for options in [(), *VARIANTS]],
    ids=lambda options: "".join(options) or "plain",
)


def workers(server: Running) -> list[psutil.Process]:
    return psutil.Process(server.pid).children()


def worker_of(server: Running, connection: socket.socket) -> psutil.Process:
    """Return the worker that holds the server's side of a connection."""
    for worker in workers(server):
        if any(each.raddr == connection.getsockname() for each in worker.net_connections(kind="tcp")):
            return worker
    raise AssertionError("a worker holds the connection")


@every_variant
def test_the_stopped_line_says_what_each_worker_has_done(options: tuple[str, ...]) -> None:
    with started(command("hybrid", "tcp", "--workers", "2", *options)) as server, clients(server, "tcp", 6) as many:
        expected: dict[int, list[int]] = {worker.pid: [0, 0] for worker in workers(server)}
        for number, client in enumerate(many):
            client.ask(*range(number))
            client.expect(*range(number))
            begun(client)
            eventually(lambda client=client: has_worker(server, client.connection), "a worker has accepted it")  # type: ignore[misc]  # bound now
            counts = expected[worker_of(server, client.connection).pid]
            counts[0] += 1
            counts[1] += number
        for client in many:
            client.connection.close()
        stopped = server.stop()
        found = [[counts["connections"], counts["messages"]] for counts in stopped["workers"]]
        assert sorted(found) == sorted(expected.values())
        assert all(counts.keys() == {"connections", "messages"} for counts in stopped["workers"])


def has_worker(server: Running, connection: socket.socket) -> bool:
    with contextlib.suppress(AssertionError):
        return worker_of(server, connection).is_running()
    return False


@pytest.mark.parametrize("options", [(), ("--inner", "selectors"), ("--accept", "shared")], ids="".join)
def test_over_udp_workers_have_messages_and_no_connections(options: tuple[str, ...]) -> None:
    with started(command("hybrid", "udp", "--workers", "3", *options)) as server, knockers(server, 12) as many:
        for knocker in many:
            knocker.send(b"\xeb\x01\x01\x01" + bytes(12))
            assert knocker.recv(100) == b"\xeb\x01\x01\x02" + bytes(12)
        stopped = server.stop()
        assert [counts["connections"] for counts in stopped["workers"]] == [None] * 3
        assert sum(counts["messages"] for counts in stopped["workers"]) == 12


@pytest.mark.parametrize("model", [model for model in MODELS if model != "hybrid"])
def test_other_models_have_no_workers(model: str) -> None:
    with started(command(model, "tcp")) as server:
        assert server.stop()["workers"] is None


@pytest.mark.parametrize(("options", "sockets"), [((), 3), (("--accept", "shared"), 1)])
def test_workers_listen_at_a_socket_each_or_at_one(options: tuple[str, ...], sockets: int) -> None:
    with started(command("hybrid", "tcp", "--workers", "3", *options)) as server:
        assert listeners(server.port) == sockets
    with started(command("hybrid", "udp", "--workers", "3", *options)) as server:
        assert len(sockets_of(("127.0.0.1", server.port))) == sockets


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
@every_variant
def test_what_a_worker_has_done_counts_when_it_has_ended_and_its_successor_counts_on(
    options: tuple[str, ...], number: signal.Signals
) -> None:
    with started(command("hybrid", "tcp", "--workers", "1", "--max-connections", "3", *options)) as server:
        for _ in range(2):
            with clients(server, "tcp", 3) as many:
                for client in many:
                    client.ask(1, 2)
                    client.expect(1, 2)
                (victim,) = workers(server)
                victim.send_signal(number)
                eventually(lambda victim=victim: not victim.is_running(), "the worker ends")  # type: ignore[misc]  # bound now
        with clients(server, "tcp", 3) as many:  # as many as may be: those of the dead are held no more
            for client in many:
                client.ask(1)
                client.expect(1)
                client.connection.close()
        stopped = server.stop()
        assert stopped["workers"] == [{"connections": 9, "messages": 15}]
        assert (stopped["connections"], stopped["messages"], stopped["refused"]) == (9, 15, 0)


@pytest.mark.parametrize("inner", ["asyncio", "selectors", "thread"])
def test_a_worker_that_ends_does_not_shut_a_shared_socket_for_the_others(inner: str) -> None:
    """It drains for as long as its client does not read, far beyond the test's patience."""
    options = ("--workers", "2", "--accept", "shared", "--inner", inner, "--drain-timeout", "600")
    with started(command("hybrid", "tcp", *options)) as server, clients(server, "tcp", 1) as (stuck,):
        make_stuck(stuck.connection, stuck.is_stuck)
        draining = worker_of(server, stuck.connection)
        os.kill(draining.pid, signal.SIGTERM)
        eventually(lambda: listens_no_more(draining, server.port), "the worker has left the shared socket")
        with clients(server, "tcp", 10) as newcomers:
            for client in newcomers:
                client.ask(1)
                client.expect(1)
        assert draining.is_running()


@pytest.mark.parametrize("inner", ["asyncio", "selectors", "thread"])
def test_what_comes_to_a_shared_socket_that_all_workers_have_left_is_served_in_the_drain(inner: str) -> None:
    """As when a signal to the group reaches the workers before the arbiter, which here stands still meanwhile."""
    options = ("--workers", "2", "--accept", "shared", "--inner", inner)
    with started(command("hybrid", "tcp", *options)) as server:
        leaving = workers(server)
        server.process.send_signal(signal.SIGSTOP)
        for worker in leaving:
            worker.terminate()
        for worker in leaving:
            eventually(lambda worker=worker: worker.status() == psutil.STATUS_ZOMBIE, "the worker ends")  # type: ignore[misc]  # bound now
        with clients(server, "tcp", 3) as many:
            for client in many:
                client.ask(1, 2)
            server.terminate()
            server.process.send_signal(signal.SIGCONT)
            for client in many:
                client.expect(1, 2)
                assert client.rest() == b""
                client.connection.close()
            stopped = server.stopped_line()
        assert (stopped["connections"], stopped["messages"], stopped["aborted"]) == (3, 6, 0)


def make_stuck(connection: socket.socket, is_stuck: Callable[[], bool]) -> None:
    """Send requests and read no reply until the server can neither read nor write."""
    message = b"\xeb\x01\x01\x01" + (60_000).to_bytes(4, "big") + bytes(8 + 60_000)
    connection.settimeout(0.1)
    while not is_stuck():
        with contextlib.suppress(TimeoutError):
            while connection.send(message) == len(message):
                pass


def listens_no_more(worker: psutil.Process, port: int) -> bool:
    found = worker.net_connections(kind="tcp")
    return not any(each.status == psutil.CONN_LISTEN and each.laddr.port == port for each in found)


def drain_once(options: tuple[str, ...], transport: str, round_number: int) -> None:
    with started(command("hybrid", transport, *options)) as server:
        replies_before = 500 + 531 * round_number
        if transport in DIALECTS:
            outcome = stop_stream(server, replies_before, transport)
            assert outcome.must_be_answered >= CONNECTIONS // 2 + NEWCOMERS
        else:
            outcome = stop_udp(server, replies_before, frozen=round_number % 2 == 0)
    check_nothing_was_lost(outcome)
    check_counts(outcome.stopped, "hybrid", transport)
    per_worker = outcome.stopped["workers"]
    assert sum(counts["messages"] for counts in per_worker) == outcome.stopped["messages"]


def drain_often(options: tuple[str, ...], transport: str, rounds: int) -> None:
    for round_number in range(rounds):
        alone(partial(drain_once, options, transport, round_number))


DRAINS = [(options, "tcp") for options in VARIANTS] + [
    (options, "udp") for options in VARIANTS if "thread" not in options
]
every_drain = pytest.mark.parametrize(
    ("options", "transport"), DRAINS, ids=[f"{''.join(options)}-{transport}" for options, transport in DRAINS]
)


@pytest.mark.parametrize(("options", "transport"), [drain for drain in DRAINS if drain[0] in USUAL])
def test_no_request_is_lost_when_a_server_is_stopped_under_load(options: tuple[str, ...], transport: str) -> None:
    drain_often(options, transport, rounds=2)


@pytest.mark.long
@every_drain
def test_no_request_is_lost_in_thirty_stops_under_load(options: tuple[str, ...], transport: str) -> None:
    drain_often(options, transport, rounds=30)
