"""Leases on a remote store, with a clock that the test moves."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from fsspec.implementations.memory import MemoryFileSystem

from sequela.core.holders import in_words
from sequela.core.locks import HeldElsewhereError
from sequela.core.progress import SilentProgress
from sequela.store.leases import Clock, Lease, LeaseTimes, waiting_lease
from sequela.store.local import LocalStorage
from sequela.store.remote import RemoteStorage
from sequela.store.remote_files import RemoteFiles

TIMES = LeaseTimes(renewed_every=10.0, taken_over_after=60.0, settling=1.0, polling=2.0)
NAME = "locks/x.json"


@dataclass
class Time:
    """A clock of a machine of its own; what happens at a time is in `events`."""

    now: float = 1000.0
    events: dict[float, Callable[[], object]] = field(default_factory=dict)

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        for time in [time for time in self.events if time <= self.now]:
            self.events.pop(time)()

    @property
    def clock(self) -> Clock:
        return Clock(lambda: self.now, self.sleep)


@pytest.fixture
def files() -> RemoteFiles:
    return RemoteFiles(
        MemoryFileSystem(global_store=False, skip_instance_cache=True), "/store", "memory://store"
    )


def lease(files: RemoteFiles, time: Time | None = None) -> Lease:
    return Lease(files, NAME, TIMES, (time or Time()).clock)


def test_a_lease_is_held_once(files: RemoteFiles) -> None:
    first, second = lease(files), lease(files)
    assert first.acquire()
    assert not second.acquire()
    assert str(first.holder()) == str(second.holder())
    first.release()
    assert second.acquire()
    first.release()  # not its own any more
    assert second.is_own()


def test_a_renewed_lease_is_never_taken_over(files: RemoteFiles) -> None:
    holder, time = lease(files), Time()
    assert holder.acquire()
    observer = lease(files, time)
    for _ in range(50):
        assert not observer.acquire()
        time.now += 59.0
        assert holder.renew()
    assert not observer.acquire()


def test_a_lease_that_is_not_renewed_is_taken_over(files: RemoteFiles) -> None:
    holder, time = lease(files), Time()
    assert holder.acquire()
    observer = lease(files, time)
    assert not observer.acquire()
    time.now += 59.9
    assert not observer.acquire()
    time.now += 0.1
    assert observer.acquire()
    assert not holder.renew()
    holder.release()
    assert observer.is_own()


@pytest.mark.parametrize("since", ["1970-01-01T00:00:00+00:00", "2999-01-01T00:00:00+00:00", "yesterday"])
def test_the_clock_of_another_machine_decides_nothing(files: RemoteFiles, since: str) -> None:
    """Neither a clock that is years behind nor one that is ahead makes a lease older or younger."""
    document = {"host": "other", "pid": 1, "since": since, "token": "t", "renewals": 0}
    files.write(NAME, json.dumps(document).encode())
    time = Time()
    observer = lease(files, time)
    assert not observer.acquire()
    time.now += 59.0
    assert not observer.acquire()
    time.now += 1.0
    assert observer.acquire()


def test_a_damaged_lease_is_taken_over_as_any_other(files: RemoteFiles) -> None:
    files.write(NAME, b"{half")
    time = Time()
    observer = lease(files, time)
    assert not observer.acquire()
    assert observer.holder() is None
    time.now += 60.0
    assert observer.acquire()


def test_of_two_that_write_at_once_one_gets_the_lease(files: RemoteFiles) -> None:
    """The other one wrote in the time in which the first one lets things settle."""
    time = Time()
    first, second = lease(files, time), lease(files)
    time.events[1000.5] = second._write
    assert not first.acquire()
    assert second.is_own()


def test_a_waiting_process_says_for_whom(files: RemoteFiles) -> None:
    lines: list[str] = []

    class Progress(SilentProgress):
        def say(self, message: str) -> None:
            lines.append(message)

    holder, time = lease(files), Time()
    assert holder.acquire()
    time.events[1010.0] = holder.release
    with waiting_lease(files, NAME, "the network", Progress(), TIMES, time.clock):
        assert time.now >= 1010.0
    assert lines == [f"{in_words(holder._holder)} is making the network; this one waits until it has ended."]
    assert files.names("locks") == []


def test_a_holder_that_lost_its_lease_says_so(files: RemoteFiles, caplog: pytest.LogCaptureFixture) -> None:
    times = LeaseTimes(renewed_every=0.01, taken_over_after=0.0, settling=0.0, polling=0.0)
    with (
        caplog.at_level(logging.WARNING, "sequela.store"),
        waiting_lease(files, NAME, "the network", SilentProgress(), times),
    ):
        other = Lease(files, NAME, times)
        assert other.acquire()
        while not caplog.messages:
            Clock().sleep(0.01)
    assert "another process has taken over the making of the network" in caplog.text
    assert other.is_own()


def test_a_claim_that_is_not_renewed_is_taken_over_by_who_looks_again(tmp_path: Path) -> None:
    time = Time()
    files = RemoteFiles(
        MemoryFileSystem(global_store=False, skip_instance_cache=True), "/store", "memory://store"
    )
    storage = RemoteStorage(files, LocalStorage(tmp_path), TIMES, time.clock)
    assert lease(files).acquire()  # by a process that ends at once
    for _ in range(2):
        with pytest.raises(HeldElsewhereError, match=r"^Another process \(id "):
            storage.claimed("x", "the network").__enter__()
        time.now += 30.0
    with storage.claimed("x", "the network"), pytest.raises(HeldElsewhereError):
        storage.claimed("x", "the network").__enter__()
    assert files.names("locks") == []
