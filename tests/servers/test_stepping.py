"""The work of requests in a loop: in order, one after the other, others in between, bounded, and dropped when it must.

The loop is made up: it has a clock that stands until it is moved, and its turns are taken when the test says so.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest

from servers import stepping
from servers.contract import COUNTERS, MESSAGES, UNDELIVERED, Octets, Step
from servers.signals import StopSignal
from servers.stepping import Errands, PatientResponder, Stepper, finish_errands, uncounted
from servers.wire.udp import UdpProtocol
from servers.work import Work

WAIT_S = 5.0
ALICE, BOB = ("127.0.0.1", 1001), ("127.0.0.1", 1002)
REQUEST = b"\xeb\x01\x01\x01" + bytes(12)
RESPONSE = b"\xeb\x01\x01\x02" + bytes(12)


class Loop:
    """A loop without a clock of its own."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.waits: list[tuple[float, Callable[[], None]]] = []
        self.turns: list[Callable[[], None]] = []

    def wait(self, then: Callable[[], None]) -> None:
        self.waits.append((self.now_s + WAIT_S, then))

    def soon(self, then: Callable[[], None]) -> None:
        self.turns.append(then)

    def void(self, then: Callable[[], None]) -> None:
        self.waits = [(at_s, each) for at_s, each in self.waits if each != then]

    def turn(self) -> None:
        turns, self.turns = self.turns, []
        for then in turns:
            then()

    def pass_by(self, seconds: float) -> None:
        """Move the clock and do what is due."""
        self.now_s += seconds
        due = [then for at_s, then in self.waits if at_s <= self.now_s]
        self.waits = [(at_s, then) for at_s, then in self.waits if at_s > self.now_s]
        for then in due:
            then()


@dataclass(frozen=True)
class Spinning(Work):
    """Work whose CPU time is written down instead of used."""

    events: list[object] = field(default_factory=list)

    def spin(self) -> None:
        self.events.append("cpu")


@dataclass
class Desk:
    """A loop, what happened in it, and its counts."""

    work: Spinning
    loop: Loop = field(default_factory=Loop)
    tally: list[int] = field(default_factory=lambda: [0] * len(COUNTERS))

    @property
    def events(self) -> list[object]:
        return self.work.events

    def stepper(self, name: str = "") -> Stepper:
        def send(reply: Octets) -> None:
            self.events.append(name + bytes(reply).decode())

        return Stepper(self.work, self.loop, self.tally, send, lambda: self.events.append(f"{name}rested"))

    def steps(self, *replies: str) -> list[Step]:
        """Return steps as a protocol makes them, which counts them; what stands in brackets answers nothing."""
        answers = [Step(reply.encode(), is_answer=not reply.startswith("(")) for reply in replies]
        self.tally[MESSAGES] += sum(step.is_answer for step in answers)
        return answers

    def errands(self) -> Errands:
        def send(reply: Octets, address: tuple[object, ...]) -> None:
            self.events.append((bytes(reply).decode(), address))

        return Errands(self.work, self.loop, self.tally, send)

    def take(self, errands: Errands, reply: str, address: tuple[object, ...]) -> None:
        """Hand over a request as a responder does, whose protocol has counted it."""
        self.tally[MESSAGES] += 1
        errands.take(reply.encode(), address)


@pytest.fixture
def waiting() -> Desk:
    return Desk(Spinning(wait_s=WAIT_S))


@pytest.fixture
def spinning() -> Desk:
    return Desk(Spinning(cpu_ns=1))


@pytest.fixture
def both() -> Desk:
    return Desk(Spinning(cpu_ns=1, wait_s=WAIT_S))


def test_requests_wait_one_after_the_other(waiting: Desk) -> None:
    stepper = waiting.stepper()
    stepper.take(waiting.steps("1", "2", "3"))
    assert (waiting.events, stepper.is_busy) == ([], True)
    waiting.loop.pass_by(WAIT_S)
    assert waiting.events == ["1"]
    waiting.loop.pass_by(WAIT_S - 1)
    assert waiting.events == ["1"]
    waiting.loop.pass_by(1)
    assert waiting.events == ["1", "2"]
    waiting.loop.pass_by(WAIT_S)
    assert (waiting.events, stepper.is_busy) == (["1", "2", "3", "rested"], False)


def test_connections_wait_at_the_same_time(waiting: Desk) -> None:
    for number in range(20):
        waiting.stepper(f"{number} ").take(waiting.steps("reply"))
    waiting.loop.pass_by(WAIT_S)
    assert [event for event in waiting.events if "reply" in str(event)] == [f"{number} reply" for number in range(20)]


def test_cpu_work_is_done_before_the_wait_and_once_a_request(both: Desk) -> None:
    both.stepper().take(both.steps("1", "2"))
    assert both.events == ["cpu"]
    both.loop.pass_by(WAIT_S)
    assert both.events == ["cpu", "1", "cpu"]
    both.loop.pass_by(WAIT_S)
    assert both.events == ["cpu", "1", "cpu", "2", "rested"]


def test_between_two_requests_that_use_the_cpu_the_others_have_a_turn(spinning: Desk) -> None:
    for name in ("a", "b"):
        spinning.stepper(name).take(spinning.steps("1", "2"))
    assert spinning.events == ["cpu", "a1", "cpu", "b1"]
    spinning.loop.turn()
    assert spinning.events[4:] == ["cpu", "a2", "arested", "cpu", "b2", "brested"]


def test_one_request_that_uses_the_cpu_is_answered_at_once_and_nobody_is_told(spinning: Desk) -> None:
    stepper = spinning.stepper()
    stepper.take(spinning.steps("1"))
    assert (spinning.events, stepper.is_busy) == (["cpu", "1"], False)


def test_what_answers_no_request_costs_nothing_and_keeps_its_place(both: Desk) -> None:
    both.stepper().take(both.steps("(hello)", "1", "(pong)", "(error)"))
    assert both.events == ["(hello)", "cpu"]
    both.loop.pass_by(WAIT_S)
    assert both.events == ["(hello)", "cpu", "1", "(pong)", "(error)", "rested"] or both.loop.turns
    both.loop.turn()
    assert both.events == ["(hello)", "cpu", "1", "(pong)", "(error)", "rested"]


def test_further_steps_come_behind_and_do_not_begin_the_first_again(both: Desk) -> None:
    stepper = both.stepper()
    stepper.take(both.steps("1"))
    stepper.take(both.steps("2"))
    assert both.events == ["cpu"]
    both.loop.pass_by(WAIT_S)
    assert both.events == ["cpu", "1", "cpu"]
    both.loop.pass_by(WAIT_S)
    assert both.events[3:] == ["2", "rested"]


def test_what_is_dropped_is_not_sent_and_not_counted(waiting: Desk) -> None:
    stepper = waiting.stepper()
    stepper.take(waiting.steps("1", "2", "3"))
    waiting.loop.pass_by(WAIT_S)
    stepper.drop()
    waiting.loop.pass_by(10 * WAIT_S)
    assert (waiting.events, waiting.tally[MESSAGES], stepper.is_busy) == (["1"], 1, False)


def test_a_connection_that_is_lost_while_a_reply_is_sent_goes_no_further(spinning: Desk) -> None:
    stepper: Stepper

    def lose(reply: Octets) -> None:
        spinning.events.append(bytes(reply).decode())
        stepper.drop()

    stepper = Stepper(spinning.work, spinning.loop, spinning.tally, lose, lambda: None)
    stepper.take(spinning.steps("1", "2"))
    spinning.loop.turn()
    assert spinning.events == ["cpu", "1"]


def test_a_request_is_counted_when_its_work_is_done(waiting: Desk) -> None:
    waiting.stepper().take(waiting.steps("(hello)", "1", "2"))
    counts = [waiting.tally[MESSAGES]]
    for _ in range(2):
        waiting.loop.pass_by(WAIT_S)
        counts.append(waiting.tally[MESSAGES])
    assert counts == [0, 1, 2]


def test_the_count_is_taken_back_for_answers_only(waiting: Desk) -> None:
    steps = waiting.steps("(hello)", "1", "2", "(error)")
    assert uncounted(iter(steps), waiting.tally) == steps
    assert waiting.tally[MESSAGES] == 0


def test_datagrams_of_one_address_wait_in_turn_those_of_others_meanwhile(waiting: Desk) -> None:
    errands = waiting.errands()
    for reply, address in (("a1", ALICE), ("a2", ALICE), ("b1", BOB)):
        waiting.take(errands, reply, address)
    waiting.loop.pass_by(WAIT_S)
    assert waiting.events == [("a1", ALICE), ("b1", BOB)]
    waiting.loop.pass_by(WAIT_S)
    assert waiting.events[2:] == [("a2", ALICE)]
    assert not errands.is_busy


def test_a_datagrams_cpu_work_is_done_when_its_turn_comes(both: Desk) -> None:
    errands = both.errands()
    both.take(errands, "a1", ALICE)
    both.take(errands, "a2", ALICE)
    assert both.events == ["cpu"]
    both.loop.pass_by(WAIT_S)
    assert both.events == ["cpu", ("a1", ALICE), "cpu"]


def test_datagrams_that_only_use_the_cpu_are_answered_at_once(spinning: Desk) -> None:
    errands = spinning.errands()
    spinning.take(errands, "a1", ALICE)
    assert (spinning.events, errands.is_busy, spinning.tally[MESSAGES]) == (["cpu", ("a1", ALICE)], False, 1)


@pytest.mark.parametrize("addresses", [1, 1_000])
def test_what_waits_is_bounded_and_dropped_beyond(
    waiting: Desk, monkeypatch: pytest.MonkeyPatch, addresses: int
) -> None:
    monkeypatch.setattr(stepping, "MOST_WAITING_BYTES", 100_000)
    errands, sent = waiting.errands(), 3_000
    for number in range(sent):
        waiting.take(errands, "x", ("127.0.0.1", number % addresses))
    dropped = waiting.tally[UNDELIVERED]
    assert 100_000 // 2_000 < sent - dropped < 100_000 // 100
    while errands.is_busy:
        waiting.loop.pass_by(WAIT_S)
    waiting.take(errands, "there is room again", ("127.0.0.2", 1))
    waiting.loop.pass_by(WAIT_S)
    assert waiting.tally[UNDELIVERED] == dropped
    assert (waiting.tally[MESSAGES], len(waiting.events)) == (sent - dropped + 1, sent - dropped + 1)


def test_room_is_given_back_to_the_last_byte(waiting: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stepping, "MOST_WAITING_BYTES", 10_000)
    errands = waiting.errands()
    for _ in range(100):
        for address in (ALICE, BOB, BOB):
            waiting.take(errands, "x" * 1_000, address)
        while errands.is_busy:
            waiting.loop.pass_by(WAIT_S)
    assert waiting.tally[UNDELIVERED] == 0


def test_what_is_given_up_is_undelivered_and_not_sent_later(waiting: Desk) -> None:
    errands = waiting.errands()
    for reply, address in (("a1", ALICE), ("a2", ALICE), ("b1", BOB)):
        waiting.take(errands, reply, address)
    errands.give_up()
    waiting.loop.pass_by(WAIT_S)
    assert (waiting.events, errands.is_busy) == ([], False)
    assert (waiting.tally[MESSAGES], waiting.tally[UNDELIVERED]) == (0, 3)


@pytest.fixture
def stop() -> Iterator[StopSignal]:
    signal = StopSignal(drain_timeout_s=0.0)
    yield signal
    signal.close()


def test_a_loop_turns_until_the_errands_are_done(waiting: Desk, stop: StopSignal) -> None:
    errands = waiting.errands()
    waiting.take(errands, "a1", ALICE)
    waiting.take(errands, "a2", ALICE)
    finish_errands(errands, stop, lambda: waiting.loop.pass_by(WAIT_S))
    assert waiting.events == [("a1", ALICE), ("a2", ALICE)]


def test_errands_that_are_left_at_the_drain_deadline_are_given_up(
    waiting: Desk, stop: StopSignal, monkeypatch: pytest.MonkeyPatch
) -> None:
    errands = waiting.errands()
    waiting.take(errands, "a1", ALICE)
    monkeypatch.setattr(stop, "remaining_s", lambda: 0.0)
    finish_errands(errands, stop, lambda: pytest.fail("no time remains"))
    assert waiting.tally[UNDELIVERED] == 1


@pytest.mark.parametrize(("cpu_ns", "answered_a_turn"), [(1, 1), (0, 3)])
def test_a_responder_whose_requests_use_the_cpu_takes_one_a_turn(cpu_ns: int, answered_a_turn: int) -> None:
    desk = Desk(Spinning(cpu_ns=cpu_ns, wait_s=WAIT_S))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as bound:
        bound.bind(("127.0.0.1", 0))
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            for _ in range(3):
                client.sendto(REQUEST, bound.getsockname())
            errands = desk.errands()
            responder = PatientResponder(
                bound, UdpProtocol(desk.tally), memoryview(bytearray(2_000)), desk.tally, errands
            )
            responder.respond()
            errands.give_up()
    assert desk.tally[UNDELIVERED] == answered_a_turn
