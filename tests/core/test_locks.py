"""Two processes, one lock: the second waits and says for whom, and a process that died keeps none out."""

from __future__ import annotations

import os
import socket
import subprocess
import threading
from pathlib import Path

import pytest

from sequela.core.errors import SequelaError
from sequela.core.locks import (
    HeldElsewhereError,
    check_not_held,
    exclusive_lock,
    holder_file,
    waiting_lock,
)
from sequela.core.progress import SilentProgress
from support.programs import process_that_said

OTHER_PROCESS = """
import sys
from pathlib import Path
from sequela.core.locks import waiting_lock
with waiting_lock(Path(sys.argv[1]), "counting"):
    print("locked", flush=True)
    sys.stdin.readline()
"""


class Said(SilentProgress):
    """Keeps what was said, and tells when something was."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.any = threading.Event()

    def say(self, message: str) -> None:
        self.lines.append(message)
        self.any.set()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / ".lock"


@pytest.fixture
def other(path: Path) -> subprocess.Popen[str]:
    """A process that holds the lock."""
    return process_that_said("locked", OTHER_PROCESS, path)


@pytest.mark.parametrize("ending", ["it ends", "it is killed"])
def test_the_second_process_says_for_whom_it_waits_and_then_works(
    path: Path, other: subprocess.Popen[str], ending: str
) -> None:
    said, found = Said(), list[bool]()

    def work() -> None:
        with waiting_lock(path, "counting", said) as waited:
            found.append(waited)
            assert f'"pid": {os.getpid()}' in holder_file(path).read_text()

    with other:
        waiting = threading.Thread(target=work)
        waiting.start()
        assert said.any.wait(60)
        assert not found
        if ending == "it ends":
            other.communicate("\n")
        else:
            other.kill()
        waiting.join(60)
    assert found == [True]
    (line,) = said.lines
    assert line.startswith(f"Another process (id {other.pid} on {socket.gethostname()}, since 2")
    assert line.endswith(") is counting; this one waits until it has ended.")
    assert not holder_file(path).exists()


def test_a_free_lock_is_taken_without_a_word(path: Path) -> None:
    said = Said()
    for _ in range(2):
        with waiting_lock(path, "counting", said) as waited:
            assert not waited
    assert not said.lines


def test_a_lock_that_refuses_names_who_has_it(path: Path) -> None:
    with waiting_lock(path, "counting"):
        for attempt in (
            lambda: exclusive_lock(path, "counting", "Wait.").__enter__(),
            lambda: check_not_held(path, "counting", "Wait."),
        ):
            with pytest.raises(
                HeldElsewhereError, match=rf"^Another process \(id {os.getpid()} on "
            ) as caught:
                attempt()
            assert caught.value.message.endswith(" is counting.")
            assert caught.value.hint == "Wait."
    check_not_held(path, "counting", "Wait.")


def test_a_file_system_without_locks(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: object) -> None:
        raise OSError(37, "No locks available")

    monkeypatch.setattr("filelock.FileLock.acquire", refuse)
    with pytest.raises(SequelaError, match="No locks available"), waiting_lock(path, "counting"):
        pass
