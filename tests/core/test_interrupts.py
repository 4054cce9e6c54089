"""Work that no signal cuts: signals arrive after it, each once."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator

import pytest

from sequela.core.interrupts import interrupts_deferred


@pytest.fixture(autouse=True)
def plain_handler() -> Iterator[None]:
    """SIGINT raises `KeyboardInterrupt`, even if the tests were started with it ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_a_signal_arrives_when_the_work_is_done() -> None:
    done: list[int] = []

    def work() -> None:
        with interrupts_deferred():
            for step in range(3):
                signal.raise_signal(signal.SIGINT)
                done.append(step)

    with pytest.raises(KeyboardInterrupt):
        work()
    assert done == [0, 1, 2]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_signal_that_asks_for_what_is_being_done_is_dropped() -> None:
    with interrupts_deferred(dropped=True):
        signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_signal_that_is_ignored_or_left_to_the_system_stays_so() -> None:
    before = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        with interrupts_deferred():
            signal.raise_signal(signal.SIGTERM)
            assert signal.getsignal(signal.SIGTERM) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGTERM, before)


def test_other_threads_run_the_work_as_it_is() -> None:
    done: list[bool] = []

    def work() -> None:
        with interrupts_deferred():
            done.append(signal.getsignal(signal.SIGINT) is signal.default_int_handler)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert done == [True]
