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
    FileLock,
    HeldElsewhereError,
    check_not_held,
    exclusive_lock,
    is_held,
    wait_for,
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
            assert f'"pid": {os.getpid()}' in path.read_text()

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
    assert not path.exists()


def test_a_free_lock_is_taken_without_a_word(path: Path) -> None:
    said = Said()
    for _ in range(2):
        with waiting_lock(path, "counting", said) as waited:
            assert not waited
    assert not said.lines
    assert not path.exists()


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
    def refuse(*_: object) -> None:
        raise OSError(37, "No locks available")

    monkeypatch.setattr("fcntl.flock", refuse)
    with pytest.raises(SequelaError, match="No locks available"), waiting_lock(path, "counting"):
        pass


def test_a_lock_is_held_once_and_its_file_goes_with_it(path: Path) -> None:
    first, second = FileLock(path), FileLock(path)
    assert first.acquire()
    assert not second.acquire()
    first.release()
    assert second.acquire()
    first.release()  # not held any more: does nothing
    assert path.exists()
    second.release()
    assert not path.exists()


def test_a_lock_of_a_removed_file_counts_for_nothing(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process may open the file just before its holder removes it."""
    holder, late = FileLock(path), FileLock(path)
    assert holder.acquire()
    opened = os.open

    def open_late(name: object, *arguments: int) -> int:
        descriptor = opened(name, *arguments)  # type: ignore[arg-type]
        holder.release()
        return descriptor

    monkeypatch.setattr(os, "open", open_late)
    assert late.acquire()
    assert not FileLock(path).acquire()


def test_a_waiting_process_names_the_next_holder_too(path: Path) -> None:
    """The holder in the file changes while the process waits."""
    said, lock = Said(), FileLock(path)
    assert lock.acquire()
    documents = [
        b'{"host": "a", "pid": 1, "since": "2026-01-02T03:04:05+00:00"}',
        b"{half",
        b'{"host": "b", "pid": 2, "since": "2026-01-02T03:04:05+00:00"}',
    ]

    def sleep(seconds: float) -> None:
        if documents:
            lock.describe(documents.pop(0))
        else:
            lock.release()

    second = FileLock(path)
    lock.describe(b"")
    assert wait_for(second, "counting", said, sleep)
    assert [line.partition(", since")[0] for line in said.lines] == [
        "Another process (id 1 on a",
        "Another process (id 2 on b",
    ]


def test_a_process_that_does_not_say_who_it_is_is_waited_for_too(path: Path) -> None:
    said, lock, left = Said(), FileLock(path), [0.0] * 20
    assert lock.acquire()
    lock.describe(b"{half")

    def sleep(seconds: float) -> None:
        if left:
            left.pop()
        else:
            lock.release()

    assert wait_for(FileLock(path), "counting", said, sleep)
    assert said.lines == ["Another process is counting; this one waits until it has ended."]


def test_looking_whether_a_lock_is_held_takes_it_from_nobody(path: Path) -> None:
    assert not is_held(path)
    assert not path.exists()
    path.write_text("what a killed process left")
    assert not is_held(path)
    with exclusive_lock(path, "counting", ""):
        assert is_held(path)
    assert not is_held(path)


def test_who_looks_does_not_make_a_lock_refuse(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    looking = FileLock(path)
    assert looking.acquire()
    monkeypatch.setattr("time.sleep", lambda seconds: looking.release())
    with exclusive_lock(path, "counting", ""):
        pass
