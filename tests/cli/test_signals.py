"""Ctrl-C ends the program with the exit status 130 and without a traceback, whenever it comes."""

from __future__ import annotations

import signal
import subprocess
import sys
from types import FrameType

import pytest

from sequela.cli import signals
from sequela.cli.signals import (
    STOPPED,
    exit_when_interrupted,
    interrupts_raised,
)

PROGRAM = """
import atexit, signal, sys

signal.signal(signal.SIGINT, signal.{handler})
places = {places}

def interrupt(place):
    for _ in range(places.count(place)):
        signal.raise_signal(signal.{number})

class Imports:
    def find_spec(self, name, path=None, target=None):
        interrupt(name)

sys.meta_path.insert(0, Imports())
atexit.register(interrupt, "exit")
sys.argv = ["sequela", "methods"]
from sequela.__main__ import main
main()
"""

BEFORE_THE_COMMAND = "typer"
WITHIN_THE_COMMAND = "sequela.editors.listing"
AT_EXIT = "exit"


def interrupted(
    *places: str, handler: str = "default_int_handler", number: str = "SIGINT"
) -> subprocess.CompletedProcess[str]:
    """Runs a listing that is interrupted when it imports a module, or when it exits."""
    program = PROGRAM.format(places=places, handler=handler, number=number)
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    "places",
    [
        (BEFORE_THE_COMMAND,),
        (WITHIN_THE_COMMAND,),
        (WITHIN_THE_COMMAND, WITHIN_THE_COMMAND),
        (WITHIN_THE_COMMAND, AT_EXIT),
        ("pydantic", "pydantic_core", AT_EXIT, AT_EXIT),
    ],
    ids=" ".join,
)
def test_an_interrupted_command_says_so_and_exits_with_130(places: tuple[str, ...]) -> None:
    ended = interrupted(*places)
    assert ended.returncode == STOPPED, ended.stderr
    assert set(ended.stderr.splitlines()) == {"Stopped."}


@pytest.mark.parametrize("place", [BEFORE_THE_COMMAND, WITHIN_THE_COMMAND])
def test_sigterm_is_treated_like_an_interrupt(place: str) -> None:
    ended = interrupted(place, number="SIGTERM")
    assert (ended.returncode, ended.stderr) == (STOPPED, "Stopped.\n")


def test_an_interrupt_that_is_ignored_stays_ignored() -> None:
    ended = interrupted(BEFORE_THE_COMMAND, WITHIN_THE_COMMAND, AT_EXIT, handler="SIG_IGN")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert "alphaedit" in ended.stdout


def test_an_error_that_takes_the_place_of_the_interrupt_is_not_shown() -> None:
    """Pydantic's compiled code raises an error of its own when it is interrupted."""
    program = PROGRAM.format(places=(), handler="default_int_handler", number="SIGINT").replace(
        "main()\n",
        """
import sequela.editors.listing as listing

def describe_editors():
    try:
        signal.raise_signal(signal.SIGINT)
    except KeyboardInterrupt:
        raise ValueError("the schema can't be built: KeyboardInterrupt")

listing.describe_editors = describe_editors
main()
""",
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (STOPPED, "Stopped.\n")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_repeated_signal_does_not_disturb_a_command_that_stops(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    cleaned_up: list[bool] = []

    def command() -> None:
        with interrupts_raised() as interrupted_now:
            cleaned_up.append(interrupted_now())
            try:
                signal.raise_signal(number)
            finally:
                signal.raise_signal(number)
                cleaned_up.append(interrupted_now())

    with pytest.raises(KeyboardInterrupt):
        command()
    assert cleaned_up == [False, True]
    assert signal.getsignal(number) is before


def test_a_command_that_does_not_stop_is_interrupted_again_and_then_ended(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    exits: list[int] = []
    monkeypatch.setattr(signals, "_exit", lambda number, frame: exits.append(number))
    monkeypatch.setattr(signals, "SECONDS_TO_STOP", -1.0)
    with interrupts_raised():
        for _ in range(2):  # the first may be lost, as where an object is deleted
            with pytest.raises(KeyboardInterrupt):
                signal.raise_signal(signal.SIGINT)
        assert not exits
        signal.raise_signal(signal.SIGINT)
    assert exits == [signal.SIGINT]


def test_a_handler_of_another_program_is_kept() -> None:
    def others(number: int, frame: FrameType | None) -> None: ...

    before = signal.signal(signal.SIGINT, others)
    try:
        exit_when_interrupted()
        assert signal.getsignal(signal.SIGINT) is others
    finally:
        signal.signal(signal.SIGINT, before)


def test_sigterm_interrupts_only_within_the_block() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(KeyboardInterrupt), interrupts_raised():
        signal.raise_signal(signal.SIGTERM)
    assert signal.getsignal(signal.SIGTERM) == before
