"""Locks on a remote store: a document that its holder renews, taken over once it is no longer renewed.

The clocks of machines differ, so no time of another machine is ever compared with one's own. An observer
remembers when, by its own monotonic clock, it first saw a state of the document; if the state is still the
same after `taken_over_after` seconds, the holder is gone.

Without atomic creation on every file system, two processes may, in a rare case, both get the lease. Then an
object is made twice, and the first one stays.
"""

from __future__ import annotations

import json
import logging
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from sequela.core.errors import SequelaError
from sequela.core.holders import Holder, holder_in, waiting_line
from sequela.core.progress import Progress
from sequela.store.remote_files import RemoteFiles

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class LeaseTimes:
    """The times of leases, in seconds.

    Args:
        renewed_every: The interval at which a holder renews its lease.
        taken_over_after: The time without a renewal after which an observer takes a lease over.
        settling: The time after which a process checks that the lease it wrote is still its own.
        polling: The interval at which a waiting process looks.
    """

    renewed_every: float = 10.0
    taken_over_after: float = 60.0
    settling: float = 0.5
    polling: float = 1.0


@dataclass(frozen=True)
class Clock:
    """The monotonic clock of this process, and waiting.

    Args:
        now: Returns the time in seconds.
        sleep: Waits for a number of seconds.
    """

    now: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep


class Lease:
    """A lock on a remote store.

    Args:
        files: The remote store.
        name: The name of the lease's document.
        times: The times of leases.
        clock: The clock of this process.
    """

    def __init__(
        self, files: RemoteFiles, name: str, times: LeaseTimes | None = None, clock: Clock | None = None
    ) -> None:
        self._files = files
        self._name = name
        self._times = times or LeaseTimes()
        self._clock = clock or Clock()
        self._token = secrets.token_hex(8)
        self._renewals = 0
        self._holder = Holder.here()
        self._seen: bytes | None = None
        self._seen_at = 0.0

    def acquire(self) -> bool:
        """Tries once to get the lease; returns whether it did. To be called again until it does."""
        found = self._files.read(self._name)
        if found is not None and not self._is_abandoned(found):
            return False
        self._holder = Holder.here()
        self._write()
        self._clock.sleep(self._times.settling)
        return self.is_own()

    def holder(self) -> Holder | None:
        """Returns who holds the lease; None if nobody does, or it can't be read."""
        found = self._files.read(self._name)
        return None if found is None else holder_in(found)

    def is_own(self) -> bool:
        """Returns whether this process holds the lease."""
        found = self._files.read(self._name)
        return found is not None and _token_in(found) == self._token

    def renew(self) -> bool:
        """Renews the lease; returns False if another process has taken it over."""
        if not self.is_own():
            return False
        self._renewals += 1
        self._write()
        return True

    def release(self) -> None:
        """Gives the lease up, unless another process has taken it over."""
        if self.is_own():
            self._files.remove(self._name)

    def _write(self) -> None:
        self._files.write(self._name, self._holder.document(token=self._token, renewals=self._renewals))

    def _is_abandoned(self, found: bytes) -> bool:
        now = self._clock.now()
        if found != self._seen:
            self._seen, self._seen_at = found, now
        return now - self._seen_at >= self._times.taken_over_after


@contextmanager
def waiting_lease(
    files: RemoteFiles,
    name: str,
    what: str,
    progress: Progress,
    times: LeaseTimes | None = None,
    clock: Clock | None = None,
) -> Iterator[None]:
    """Holds a lease in a block, renewed by a thread; waits for it, and says for whom."""
    times, clock = times or LeaseTimes(), clock or Clock()
    lease = Lease(files, name, times, clock)
    said: list[Holder | None] = []
    while not lease.acquire():
        holder = lease.holder()
        if not said or holder not in (None, said[-1]):
            said.append(holder)
            progress.say(waiting_line(holder, f"making {what}"))
        clock.sleep(times.polling)
    with renewed(lease, times, what):
        yield


@contextmanager
def renewed(lease: Lease, times: LeaseTimes, what: str) -> Iterator[None]:
    """Has a thread renew a lease during a block, and gives the lease up at the end."""
    ended = threading.Event()
    thread = threading.Thread(
        target=_renew_until, args=(lease, ended, times.renewed_every, what), daemon=True
    )
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join(times.renewed_every)
        lease.release()


def _renew_until(lease: Lease, ended: threading.Event, seconds: float, what: str) -> None:
    while not ended.wait(seconds):
        try:
            if not lease.renew():
                _LOG.warning(
                    "another process has taken over the making of %s, since this one was not heard of", what
                )
                return
        except SequelaError as error:
            _LOG.warning("the lease for %s can't be renewed: %s", what, error.message)


def _token_in(data: bytes) -> str | None:
    try:
        return str(json.loads(data)["token"])
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
