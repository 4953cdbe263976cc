"""Signals as events."""

from __future__ import annotations

import os
import select
import signal
from collections.abc import Iterator

import pytest

from harness.interrupts import Interrupted, Interrupts


@pytest.fixture(autouse=True)
def signals_as_in_a_terminal() -> Iterator[None]:
    """Let signals do what they do there: a background job of a shell ignores SIGINT, one under nohup SIGHUP."""
    before = {
        signal.SIGINT: signal.signal(signal.SIGINT, signal.default_int_handler),
        signal.SIGHUP: signal.signal(signal.SIGHUP, signal.SIG_DFL),
    }
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_wakes_who_waits_and_is_told_once(interrupts: Interrupts, number: signal.Signals) -> None:
    interrupts.check()
    os.kill(os.getpid(), number)
    assert select.select([interrupts], [], [], 10)[0]
    with pytest.raises(Interrupted):
        interrupts.check()
    interrupts.check()
    assert not select.select([interrupts], [], [], 0)[0]


def test_a_second_signal_is_told_again(interrupts: Interrupts) -> None:
    for count in (1, 2):
        os.kill(os.getpid(), signal.SIGINT)
        with pytest.raises(Interrupted):
            interrupts.check()
        assert interrupts.count == count


def test_afterwards_the_signals_are_as_they_were() -> None:
    before = signal.getsignal(signal.SIGINT)
    with Interrupts():
        assert signal.getsignal(signal.SIGINT) is not before
    assert signal.getsignal(signal.SIGINT) is before
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)


def test_a_hang_up_that_the_caller_ignores_stays_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with Interrupts() as interrupts:
            os.kill(os.getpid(), signal.SIGHUP)
            interrupts.check()
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_shell_that_starts_it_in_the_background_does_not_make_it_deaf() -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with Interrupts() as interrupts:
            os.kill(os.getpid(), signal.SIGINT)
            with pytest.raises(Interrupted):
                interrupts.check()
    finally:
        signal.signal(signal.SIGINT, before)
