"""Claims on tasks: of all processes that share a store, one does a task; others wait for its output."""

from __future__ import annotations

from contextlib import ExitStack

from sequela.core.holders import in_words
from sequela.core.locks import HeldElsewhereError
from sequela.core.progress import Progress
from sequela.scheduling import Busy, Stored, Task, Workbench
from sequela.scheduling.running import Closable
from sequela.store import Address, DamagedObjectError, Store
from sequela.studies.tasks import UNSTORED


class ClaimingWorkbench:
    """A workbench that does a task only while it holds the lock of the output's address in the store.

    The lock of a process that ends is free, at once or, in a remote store, after a minute; so a task that was
    cut is done by whoever looks at it next.

    Args:
        workbench: Does the tasks.
        store: The store of the outputs.
    """

    def __init__(self, workbench: Workbench, store: Store) -> None:
        self._workbench = workbench
        self._store = store

    def run(self, task: Task, progress: Progress) -> object:
        """Does a task, unless another process does it or has done it by now; see `Workbench`."""
        if task.kind in UNSTORED:
            return self._workbench.run(task, progress)
        address = Address.parse(task.key)
        with ExitStack() as claims:
            try:
                claims.enter_context(self._store.claimed(address, task.label))
            except HeldElsewhereError as held:
                return Busy(in_words(held.holder))
            if self._is_stored(address, progress):
                return Stored()
            return self._workbench.run(task, progress)

    def close(self) -> None:
        """Closes the workbench."""
        if isinstance(self._workbench, Closable):
            self._workbench.close()

    def _is_stored(self, address: Address, progress: Progress) -> bool:
        try:
            if self._store.has(address):
                self._store.fetch(address)  # which verifies it
                return True
        except DamagedObjectError as error:
            progress.say(f"{error}")
        return False
