"""The life of a server, whatever it speaks: the ready line, its processes, what it costs, how it stops, what is left.

A stop with requests on their way is another matter: checks_drain.py and checks_datagram_drain.py.
"""

from __future__ import annotations

import platform
import signal
from typing import Any

from .process_tree import TICK_S, cpu_s, descriptor_limits, groups, voluntary_switches
from .server_process import Ended, Server
from .targets import DATAGRAM, STREAM
from .waiting import eventually
from .wire_bytes import payload_of

SCHEMA = "echobench.server/1"
CPU_TO_SPEND_S = 0.1
# The most descriptors that select() can watch.
SELECT_LIMIT = 1_024

# (option, the name in the config, a value, what the config says without the option); backlog: if the system allows it.
SETTINGS: tuple[tuple[str, str, Any, Any], ...] = (
    ("--recv-bytes", "recv_bytes", 4_096, 65_536),
    ("--max-payload", "max_payload", 70_000, 1 << 20),
    ("--drain-timeout", "drain_timeout_s", 3, 5),
)
SETTINGS_OF: dict[str, tuple[tuple[str, str, Any, Any], ...]] = {
    STREAM: (
        ("--backlog", "backlog", 17, 4_096),
        ("--message-timeout", "message_timeout_s", 7.5, 60),
        ("--max-connections", "max_connections", 1_000, 0),
    ),
    DATAGRAM: (
        ("--peer-timeout", "peer_timeout_s", 7.5, 30),
        ("--max-peers", "max_peers", 100, 10_000),
    ),
}


def check_the_ready_line_has_every_key(server: Server) -> None:
    ready = server.ready
    types: dict[str, type | tuple[type, ...]] = {
        "event": str,
        "schema": str,
        "model": str,
        "transport": str,
        "host": str,
        "port": int,
        "pid": int,
        "python": str,
        "gil": bool,
        "code": str,
        "parallelism": (int, type(None)),
        "config": dict,
    }
    for key, kind in types.items():
        assert key in ready, f"the ready line has {key}: {ready}"
        assert isinstance(ready[key], kind), f"{key} in the ready line is a {kind}, not {ready[key]!r}"
    said = {key: ready[key] for key in ("event", "schema", "model", "transport")}
    asked = {"event": "ready", "schema": SCHEMA, "model": server.target.model, "transport": server.target.transport}
    assert said == asked, f"the ready line says {asked}, not {said}"
    assert platform.python_version() in ready["python"], f"python is the version that runs, not {ready['python']!r}"
    assert ready["code"], "the ready line names the code that runs"
    assert ready["parallelism"] is None or ready["parallelism"] > 0, f"parallelism is a count or null: {ready}"


def check_the_pid_of_the_ready_line_is_the_process(server: Server) -> None:
    assert server.ready["pid"] == server.pid, f"the ready line tells pid {server.pid}, not {server.ready['pid']}"


def check_the_ready_line_echoes_the_effective_settings(server: Server) -> None:
    settings = SETTINGS + SETTINGS_OF[server.target.kind]
    options = [word for option, _, value, _ in settings for word in (option, str(value))]
    asked = {name: value for _, name, value, _ in settings}
    default = {name: value for _, name, _, value in settings}
    with server.another(*options) as own:
        for running, expected in ((own, asked), (server, default)):
            config = running.ready["config"]
            found = {name: config.get(name) for name in expected}
            assert found == expected, f"the ready line echoes the settings {expected}, not {found}"


def check_the_descriptor_limit_is_raised_as_far_as_it_goes(server: Server) -> None:
    with Server(server.target.with_few_descriptors(200, hard=False)) as own, own.client() as client:
        client.echo(1, why="a server that is started under a low soft limit of descriptors answers")
        selects = own.ready["config"].get("selector") == "select"
        for soft, hard in descriptor_limits(own.pid):
            useful = min(hard, SELECT_LIMIT) if selects else hard
            assert soft == useful, f"the soft limit of descriptors is raised to {useful}, the most of use, not {soft}"
            told = own.ready["config"].get("descriptor_limit")
            assert told == soft, f"the ready line tells the descriptor limit, {soft}, not {told}"


def check_the_whole_tree_is_in_one_process_group(server: Server) -> None:
    with server.another() as own, own.clients(4) as clients:
        for client in clients:
            client.echo(1)
        outside = {pid: group for pid, group in groups(own.pid).items() if group != own.pid}
        assert not outside, f"every process of the tree is in the root's process group {own.pid}: {outside}"


def check_a_stop_signal_ends_it_with_exit_code_0(server: Server) -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        with server.another() as own:
            _expect_clean_end(own.stop(number), number.name)


def check_a_terminal_may_signal_the_whole_group(server: Server) -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        with server.another() as own, own.clients(4) as clients:
            for client in clients:
                client.echo(1)
            own.send_signal(number, group=True)
            for client in clients:
                client.expect_goodbye(f"service ends in order after {number.name} to the whole group")
            for client in clients:
                client.close()
            _expect_clean_end(own.ended(number.name), f"{number.name} to the whole group")


def check_the_stopped_line_tells_what_the_tree_cost(server: Server) -> None:
    payload = payload_of(50_000)
    with server.another() as own:
        with own.client() as staying:
            while cpu_s(own.pid) < CPU_TO_SPEND_S:
                with own.client() as passing:
                    for number in range(10):
                        passing.echo(number, payload)
                        staying.echo(number, payload)
            spent_s, switches = cpu_s(own.pid), voluntary_switches(own.pid)
        stopped = own.stop().stopped()
    told_s = stopped["cpu_user_s"] + stopped["cpu_system_s"]
    assert told_s >= spent_s - TICK_S, (
        f"the stopped line tells the CPU time of the tree, {spent_s:.2f} s; not {told_s} s"
    )
    told = stopped["voluntary_switches"]
    assert told >= switches > 0, f"the stopped line tells the context switches of the tree, {switches}; not {told}"
    assert stopped["involuntary_switches"] >= 0, f"the stopped line tells involuntary context switches: {stopped}"


def check_nothing_is_left_when_it_has_ended(server: Server) -> None:
    with server.another() as own, own.clients(5) as clients:
        for client in clients:
            client.echo(1)
        own.send_signal(signal.SIGTERM)
        for client in clients:
            client.expect_goodbye("service ends at the drain")
            client.close()
        ended = own.ended()
        assert not ended.left, f"no process is left when the server has ended, found {ended.left}"
        eventually(own.refuses_connections, own.patience_s, "the port is closed when the server has ended")


def check_the_port_can_be_used_again_at_once(server: Server) -> None:
    with server.another() as own, own.clients(3) as clients:
        for client in clients:
            client.echo(1)
        own.send_signal(signal.SIGTERM)
        # The server closes first, so the kernel remembers TCP connections for a minute (TIME_WAIT).
        for client in clients:
            client.expect_goodbye("service ends at the drain")
            client.close()
        own.ended()
        port = own.port
    with server.another("--port", str(port)) as again, again.client() as client:
        assert again.port == port, f"a server started on port {port} listens there, not on {again.port}"
        client.echo(1, why="a server on a port that was used before answers")


def check_a_killed_root_takes_its_tree_along(server: Server) -> None:
    with server.another() as own, own.clients(4) as clients:
        for client in clients:
            client.echo(1)
        own.send_signal(signal.SIGKILL)
        eventually(lambda: not own.marked(), own.patience_s, "a killed root takes its whole tree along")
        # A process that ends loses its memory, and with it its mark, before its sockets.
        eventually(own.refuses_connections, own.patience_s, "the port of a killed root becomes free")


def _expect_clean_end(ended: Ended, cause: str) -> None:
    assert ended.exit_code == 0, f"the exit code after {cause} is 0, not {ended.exit_code}; stderr {ended.stderr!r}"
    assert not ended.left, f"no process is left after {cause}, found {ended.left}"
    assert ended.stderr == "", f"nothing is said on stderr after {cause}: {ended.stderr!r}"
    ended.stopped()
