"""Locks of the operating system, with real processes."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path

import pytest

from sequela.core.progress import SilentProgress
from sequela.store import Address, Kind, Store
from sequela.store.locks import FileLock, waiting_lock
from support.programs import Started, start
from support.stores import local_store, put

ADDRESS = Address(Kind.STATISTICS, "0123456789abcdef")


class Lines(SilentProgress):
    """A progress that keeps the lines that it is given."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, message: str) -> None:
        self.lines.append(message)


HOLDING = """
import sys, time
from pathlib import Path
from sequela.store import Address, Kind, open_store
address = Address(Kind.STATISTICS, "0123456789abcdef")
with open_store(sys.argv[1]).locked(address, "the statistics of layer 3"):
    print("held", flush=True)
    sys.stdin.readline()
"""


def test_a_lock_is_held_once_and_its_file_goes_with_it(tmp_path: Path) -> None:
    first, second = FileLock(tmp_path / "x.lock"), FileLock(tmp_path / "x.lock")
    assert first.acquire()
    assert not second.acquire()
    first.release()
    assert second.acquire()
    first.release()  # not held any more: does nothing
    assert (tmp_path / "x.lock").exists()
    second.release()
    assert not list(tmp_path.iterdir())


def test_a_lock_of_a_removed_file_counts_for_nothing(tmp_path: Path) -> None:
    """A process may open the file just before its holder removes it."""
    path = tmp_path / "x.lock"
    holder, late = FileLock(path), FileLock(path)
    assert holder.acquire()
    opened = os.open

    def open_late(name: object, *arguments: int) -> int:
        descriptor = opened(name, *arguments)  # type: ignore[arg-type]
        holder.release()
        return descriptor

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "open", open_late)
        assert late.acquire()
    assert not FileLock(path).acquire()


def test_one_process_works_and_the_other_waits_and_says_for_whom(tmp_path: Path) -> None:
    progress = Lines()
    with start(HOLDING, tmp_path / "store") as other:
        other.wait_for("held")
        ended = _lets_go_when(progress, other)
        with local_store(tmp_path / "store").locked(ADDRESS, "the statistics of layer 3", progress):
            ended.join()
            assert other.wait() == 0
    (line,) = progress.lines
    assert line.startswith("Waiting for the statistics of layer 3, made by process ")
    assert f"process {other.pid} on " in line
    assert line.endswith(" UTC.")


def test_the_lock_of_a_killed_process_is_free_at_once(tmp_path: Path) -> None:
    store, progress = local_store(tmp_path / "store"), Lines()
    with start(HOLDING, tmp_path / "store") as other:
        other.wait_for("held")
        os.kill(other.pid, signal.SIGKILL)
        other.wait()
        with store.locked(ADDRESS, "the statistics of layer 3", progress):
            pass
    assert not progress.lines
    assert not list((tmp_path / "store" / "locks").iterdir())


def test_a_lock_is_given_up_after_an_exception(store: Store) -> None:
    for _ in range(2):
        with pytest.raises(ValueError, match="x"), store.locked(ADDRESS, "it"):
            raise ValueError("x")


def test_other_addresses_are_not_locked(store: Store) -> None:
    with store.locked(ADDRESS, "it"), store.locked(Address(Kind.NETWORK, ADDRESS.key), "it"):
        put(store, edits=1)


def test_many_threads_make_an_object_once(tmp_path: Path) -> None:
    """A lease can't promise this (test_leases.py), only that one of the objects stays."""
    store = local_store(tmp_path / "store")
    made: list[int] = []

    def make(number: int) -> None:
        address = Address.of(Kind.CHECKPOINT, {"edits": 1})
        with store.locked(address, "it"):
            if not store.has(address):
                made.append(number)
                put(store, edits=1)

    threads = [threading.Thread(target=make, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 1


def test_a_waiting_process_names_the_next_holder_too(tmp_path: Path) -> None:
    """The holder in the file changes while the process waits."""
    path, progress = tmp_path / "x.lock", Lines()
    lock = FileLock(path)
    assert lock.acquire()
    documents = [
        b'{"host": "a", "pid": 1, "since": "now"}',
        b"{half",
        b'{"host": "b", "pid": 2, "since": "later"}',
    ]

    def sleep(seconds: float) -> None:
        if documents:
            lock.describe(documents.pop(0))
        else:
            lock.release()

    with waiting_lock(path, "it", progress, sleep):
        pass
    assert progress.lines == [
        "Waiting for it, made by another process.",
        "Waiting for it, made by process 1 on a, since now.",
        "Waiting for it, made by process 2 on b, since later.",
    ]


def _lets_go_when(progress: Lines, other: Started) -> threading.Thread:
    """Starts a thread that lets another process go once this one has said that it waits."""

    def let_go() -> None:
        while not progress.lines:
            threading.Event().wait(0.01)
        other.send("\n")

    thread = threading.Thread(target=let_go)
    thread.start()
    return thread
