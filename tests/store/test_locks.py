"""Locks of addresses in a local store, with real processes."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path

import pytest

from sequela.core.locks import HeldElsewhereError
from sequela.core.progress import SilentProgress
from sequela.store import Address, Kind, Store
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


def test_one_process_works_and_the_other_waits_and_says_for_whom(tmp_path: Path) -> None:
    progress = Lines()
    with start(HOLDING, tmp_path / "store") as other:
        other.wait_for("held")
        ended = _lets_go_when(progress, other)
        with local_store(tmp_path / "store").locked(ADDRESS, "the statistics of layer 3", progress):
            ended.join()
            assert other.wait() == 0
    (line,) = progress.lines
    assert line.startswith(f"Another process (id {other.pid} on ")
    assert line.endswith(") is making the statistics of layer 3; this one waits until it has ended.")


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


def test_a_claim_names_the_process_that_has_it_and_never_waits(tmp_path: Path) -> None:
    store = local_store(tmp_path / "store")
    with start(HOLDING, tmp_path / "store") as other:
        other.wait_for("held")
        with pytest.raises(HeldElsewhereError, match=rf"\(id {other.pid} on .*\) is making the") as caught:
            store.claimed(ADDRESS, "the statistics").__enter__()
        assert caught.value.holder is not None
        os.kill(other.pid, signal.SIGKILL)
        other.wait()
        with store.claimed(ADDRESS, "the statistics"):
            with pytest.raises(HeldElsewhereError), store.claimed(ADDRESS, "the statistics"):
                pass
            assert list((tmp_path / "store" / "locks").iterdir())
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


def _lets_go_when(progress: Lines, other: Started) -> threading.Thread:
    """Starts a thread that lets another process go once this one has said that it waits."""

    def let_go() -> None:
        while not progress.lines:
            threading.Event().wait(0.01)
        other.send("\n")

    thread = threading.Thread(target=let_go)
    thread.start()
    return thread
