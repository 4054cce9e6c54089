"""Short work that Ctrl-C must not cut, such as the last record of a run that is being stopped."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def interrupts_deferred(dropped: bool = False) -> Iterator[None]:
    """Lets SIGINT and SIGTERM wait during a `with` block; they arrive at its end.

    Only in the main thread, where Python handles signals; in others nothing changes.

    Args:
        dropped: True if they don't arrive at all: what they ask for is being done already.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    arrived: list[signal.Signals] = []

    def note(number: int, _frame: FrameType | None) -> None:
        arrived.append(signal.Signals(number))

    before = {}
    try:
        for number in (signal.SIGINT, signal.SIGTERM):
            handler = signal.getsignal(number)
            if callable(handler):  # not ignored, nor left to the system
                before[number] = handler
                signal.signal(number, note)
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        for one in () if dropped else dict.fromkeys(arrived):
            signal.raise_signal(one)
