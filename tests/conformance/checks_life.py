"""The life of a server without its drain: the ready line, what it costs and leaves while it runs, the stopped line."""

from __future__ import annotations

import platform
import signal

from .kernel import listeners
from .peer import enter_listen_queue
from .process_tree import TICK_S, cpu_s, descriptor_limits, groups, held, voluntary_switches, zombies
from .server_process import Ended, Server, decoded
from .waiting import eventually
from .wire_bytes import BAD_HEADERS, FOREIGN_REPLIES, header, payload_of, request, response

SCHEMA = "echobench.server/1"
COUNTS = ("connections", "messages", "protocol_errors", "aborted")
CPU_TO_SPEND_S = 0.1


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
    asked = {"event": "ready", "schema": SCHEMA, "model": server.target.model, "transport": "tcp"}
    assert said == asked, f"the ready line says {asked}, not {said}"
    assert platform.python_version() in ready["python"], f"python is the version that runs, not {ready['python']!r}"
    assert ready["code"], "the ready line names the code that runs"
    assert ready["parallelism"] is None or ready["parallelism"] > 0, f"parallelism is a count or null: {ready}"


def check_the_pid_of_the_ready_line_is_the_process(server: Server) -> None:
    assert server.ready["pid"] == server.pid, f"the ready line tells pid {server.pid}, not {server.ready['pid']}"


def check_the_ready_line_echoes_the_effective_settings(server: Server) -> None:
    asked = {"backlog": 17, "recv_bytes": 4_096, "max_payload": 70_000, "message_timeout_s": 7.5, "drain_timeout_s": 3}
    options = (
        *("--backlog", "17", "--recv-bytes", "4096", "--max-payload", "70000"),
        *("--message-timeout", "7.5", "--drain-timeout", "3"),
    )
    default = {"backlog": 4_096, "recv_bytes": 65_536, "max_payload": 1 << 20}
    default |= {"message_timeout_s": 60, "drain_timeout_s": 5}
    with server.another(*options) as own:
        for running, expected in ((own, asked), (server, default)):
            config = running.ready["config"]
            found = {name: config.get(name) for name in expected}
            assert found == expected, f"the ready line echoes the settings {expected}, not {found}"


def check_the_listen_queue_is_as_long_as_the_backlog(server: Server) -> None:
    backlog = 3
    with server.another("--backlog", str(backlog)) as own:
        own.freeze()
        # The kernel lets one more in than the backlog says; every listener of the port has a queue of its own.
        room = (backlog + 1) * listeners(own.port)
        entered = enter_listen_queue(own.address, 8 * room, room, own.patience_s)
        own.thaw()
        assert entered == room, f"with --backlog {backlog} the listen queues hold {room} connections, not {entered}"


def check_the_descriptor_limit_is_raised_as_far_as_it_goes(server: Server) -> None:
    with Server(server.target.with_few_descriptors(200)) as own, own.connect() as peer:
        peer.send(request(1))
        peer.expect(response(1), "a server that is started under a low soft limit of descriptors answers")
        limits = descriptor_limits(own.pid)
        raised = all(soft == hard for soft, hard in limits)
        assert raised, f"the soft limit of descriptors is raised to the hard one, found (soft, hard) {limits}"


def check_connections_are_served_from_the_ready_line_on(server: Server) -> None:
    with server.another() as own, own.connect() as peer:
        assert listeners(own.port) > 0, "at the ready line the port listens"
        peer.send(request(1, b"first"))
        peer.expect(response(1, b"first"), "the first connection after the ready line is served")


def check_the_whole_tree_is_in_one_process_group(server: Server) -> None:
    with server.another() as own, own.connected(4) as peers:
        for peer in peers:
            peer.send(request(1))
            peer.expect(response(1), "a request is answered")
        outside = {pid: group for pid, group in groups(own.pid).items() if group != own.pid}
        assert not outside, f"every process of the tree is in the root's process group {own.pid}: {outside}"


def check_nothing_is_said_in_a_normal_life(server: Server) -> None:
    with server.another() as own:
        before = held(own.pid)
        with own.connected(4) as peers:
            peers[0].send(BAD_HEADERS[0][1])
            peers[0].read_to_end("a bad header ends the connection")
            peers[1].send(header(1, 10))
            peers[1].wait_until_taken("a header is read")
            peers[1].reset()
            peers[2].send(header(1, 10))
            peers[2].reset()
            peers[3].send(request(1, payload_of(1_000)))
            peers[3].expect(response(1, payload_of(1_000)), "a request is answered")
        eventually(lambda: not held(own.pid).exceeds(before), own.patience_s, "ended connections leave nothing behind")
        ended = own.stop()
        assert ended.stderr == "", f"at the default level nothing is logged per connection or message: {ended.stderr!r}"
        lines = ended.stdout.splitlines()
        assert len(lines) == 2, f"stdout has the ready line and the stopped line, not {len(lines)} lines: {lines}"
        assert decoded(lines[0])["event"] == "ready", f"the first line on stdout is the ready line, not {lines[0]!r}"


def check_a_stop_signal_ends_it_with_exit_code_0(server: Server) -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        with server.another() as own:
            _expect_clean_end(own.stop(number), number.name)


def check_a_terminal_may_signal_the_whole_group(server: Server) -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        with server.another() as own, own.connected(4) as peers:
            for peer in peers:
                peer.send(request(1))
                peer.expect(response(1), "a request is answered")
            own.send_signal(number, group=True)
            for peer in peers:
                peer.expect_end(f"a connection ends in order after {number.name} to the whole group")
            for peer in peers:
                peer.close()
            _expect_clean_end(own.ended(number.name), f"{number.name} to the whole group")


def check_the_stopped_line_counts_exactly(server: Server) -> None:
    with server.another() as own:
        with own.connected(7) as peers:
            for peer in peers[:4]:
                peer.send(b"".join(request(number, b"counted") for number in range(5)))
                peer.expect(b"".join(response(number, b"counted") for number in range(5)), "a request is answered")
            peers[0].send(request(9) + BAD_HEADERS[0][1])
            peers[0].read_to_end("a bad header ends the connection")
            peers[4].send(request(9) + FOREIGN_REPLIES[0][1])
            peers[4].read_to_end("a RESPONSE ends the connection")
            peers[5].send(header(1, own.setting("max_payload") + 1))
            peers[5].read_to_end("a length over the limit ends the connection")
            peers[6].send(FOREIGN_REPLIES[2][1])
            peers[6].read_to_end("an ERROR ends the connection")
        with own.connected(2) as peers:
            peers[0].send(request(1) + request(2, b"half")[:-1])
            peers[0].shut_sending()
            peers[0].read_to_end("a half-close ends the connection")
            peers[1].send(request(1))
            peers[1].expect(response(1), "a request is answered")
            own.send_signal(signal.SIGTERM)
            peers[1].expect_end("an idle connection ends at the drain")
        stopped = own.ended().stopped()
    expected = {"connections": 9, "messages": 24, "protocol_errors": 4, "aborted": 0}
    found = {name: stopped.get(name) for name in COUNTS}
    assert found == expected, f"the stopped line counts {expected}, not {found}"
    assert "served_by_listener" in stopped, f"the stopped line has served_by_listener: {stopped}"
    assert not stopped["served_by_listener"], f"over TCP nothing is served by a listener: {stopped}"


def check_the_stopped_line_tells_what_the_tree_cost(server: Server) -> None:
    payload = payload_of(50_000)
    with server.another() as own:
        with own.connect() as staying:
            while cpu_s(own.pid) < CPU_TO_SPEND_S:
                with own.connect() as passing:
                    for peer in (passing, staying):
                        expected = response(1, payload) * 10
                        got = peer.pump(request(1, payload) * 10, "requests are answered")
                        peer.expect(expected[len(got) :], "requests are answered")
            spent_s, switches = cpu_s(own.pid), voluntary_switches(own.pid)
        stopped = own.stop().stopped()
    told_s = stopped["cpu_user_s"] + stopped["cpu_system_s"]
    assert told_s >= spent_s - TICK_S, (
        f"the stopped line tells the CPU time of the tree, {spent_s:.2f} s; not {told_s} s"
    )
    told = stopped["voluntary_switches"]
    assert told >= switches > 0, f"the stopped line tells the context switches of the tree, {switches}; not {told}"
    assert stopped["involuntary_switches"] >= 0, f"the stopped line tells involuntary context switches: {stopped}"


def check_ended_connections_leave_no_process_thread_or_descriptor(server: Server) -> None:
    with server.another() as own:
        before = held(own.pid)
        for _ in range(4):
            with own.connected(25) as peers:
                for peer in peers:
                    peer.send(request(1))
                    peer.expect(response(1), "a request is answered")
        rule = "after 100 connections have come and gone the server holds what it held before"
        eventually(lambda: not held(own.pid).exceeds(before), own.patience_s, f"{rule}, {before}")


def check_ended_connections_leave_no_zombie(server: Server) -> None:
    with server.another() as own:
        with own.connected(10) as peers:
            for peer in peers:
                peer.send(request(1))
                peer.expect(response(1), "a request is answered")

        rule = "children that have ended are reaped without another connection to wake the server"
        eventually(lambda: not zombies(own.pid), own.patience_s, rule)


def check_nothing_is_left_when_it_has_ended(server: Server) -> None:
    with server.another() as own, own.connected(5) as peers:
        for peer in peers:
            peer.send(request(1))
            peer.expect(response(1), "a request is answered")
        own.send_signal(signal.SIGTERM)
        for peer in peers:
            peer.expect_end("an idle connection ends at the drain")
            peer.close()
        ended = own.ended()
        assert not ended.left, f"no process is left when the server has ended, found {ended.left}"
        assert own.refuses_connections(), "the port is closed when the server has ended"


def check_the_port_can_be_used_again_at_once(server: Server) -> None:
    with server.another() as own, own.connected(3) as peers:
        for peer in peers:
            peer.send(request(1))
            peer.expect(response(1), "a request is answered")
        own.send_signal(signal.SIGTERM)
        # The server closes first, so the kernel remembers its connections for a minute (TIME_WAIT).
        for peer in peers:
            peer.expect_end("an idle connection ends at the drain")
            peer.close()
        own.ended()
        port = own.port
    with server.another("--port", str(port)) as again, again.connect() as peer:
        assert again.port == port, f"a server started on port {port} listens there, not on {again.port}"
        peer.send(request(1))
        peer.expect(response(1), "a server on a port that was used before answers")


def check_a_killed_root_takes_its_tree_along(server: Server) -> None:
    with server.another() as own, own.connected(4) as peers:
        for peer in peers:
            peer.send(request(1))
            peer.expect(response(1), "a request is answered")
        own.send_signal(signal.SIGKILL)
        eventually(lambda: not own.marked(), own.patience_s, "a killed root takes its whole tree along")


def _expect_clean_end(ended: Ended, cause: str) -> None:
    assert ended.exit_code == 0, f"the exit code after {cause} is 0, not {ended.exit_code}; stderr {ended.stderr!r}"
    assert not ended.left, f"no process is left after {cause}, found {ended.left}"
    assert ended.stderr == "", f"nothing is said on stderr after {cause}: {ended.stderr!r}"
    ended.stopped()
