"""Handling of the signals that stop the program: SIGINT (Ctrl-C) and SIGTERM.

While a command runs, the first one raises `KeyboardInterrupt`, so that the command stores what it has.
Before and after a command, while Python imports and exits, it ends the program at once: an exception at such
a moment would only print a traceback. This module is imported before everything else, so it imports little.
"""

from __future__ import annotations

import atexit
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType

STOPPED = 130
"""The exit status of a program that was stopped: 128 and the number of SIGINT, as in shells."""

STOPPING = (signal.SIGINT, signal.SIGTERM)
"""The signals that stop the program."""

SECONDS_TO_STOP = 1.0
"""The time, in seconds, in which a command stops undisturbed: signals in it don't count."""

SIGNALS_TO_STOP = 2
"""The number of signals that interrupt a command; a later one ends the program at once."""


def exit_when_interrupted() -> None:
    """Makes Ctrl-C and SIGTERM end the program at once, with its exit status and without a traceback.

    A program that was started with SIGINT ignored, as by `nohup`, still ignores it.
    """
    for number in STOPPING:
        if signal.getsignal(number) in (signal.default_int_handler, signal.SIG_DFL):
            signal.signal(number, _exit)


@contextmanager
def interrupts_raised() -> Iterator[Callable[[], bool]]:
    """Makes the first of the signals that stop the program raise `KeyboardInterrupt` within a block.

    SIGTERM, which `kill` and job schedulers send, is treated like Ctrl-C.

    Repeated signals, as of a key pressed twice, don't disturb the command while it stops. If it doesn't stop,
    a second one interrupts it again, since the first may have come where Python drops errors, such as while
    an object is deleted; the third ends the program. In other threads than the main one nothing changes, nor
    for an ignored signal.

    Yields:
        A function that returns whether a signal came. Compiled code may raise an error of its own instead
        of the `KeyboardInterrupt`.
    """
    if threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return
    before = {number: signal.getsignal(number) for number in STOPPING}
    before = {number: handler for number, handler in before.items() if handler not in (signal.SIG_IGN, None)}
    raised: list[float] = []

    def interrupt(received: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        if raised and now - raised[-1] <= SECONDS_TO_STOP:
            return
        if len(raised) == SIGNALS_TO_STOP:
            _exit(received, frame)
            return
        raised.append(now)
        raise KeyboardInterrupt

    try:
        for number in before:
            signal.signal(number, interrupt)
        yield lambda: bool(raised)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def quick_exit_if_stopped() -> Iterator[None]:
    """Ends the program without Python's own shutdown if a block exits with the status of a stopped program.

    During its shutdown, Python handles SIGINT by its default action again, which would replace the status. It
    would also do so by itself if the interrupt had passed through code that was compiled from text, as that
    of dataclasses is.
    """
    try:
        yield
    except SystemExit as end:
        if end.code == STOPPED:
            atexit._run_exitfuncs()  # removes temporary files
            for stream in (sys.stdout, sys.stderr):
                with suppress(OSError, ValueError):  # closed, or nobody reads it
                    stream.flush()
            os._exit(STOPPED)
        raise


def _exit(number: int, frame: FrameType | None) -> None:
    os.write(sys.__stderr__.fileno() if sys.__stderr__ else 2, b"Stopped.\n")
    os._exit(STOPPED)
