"""The steps by which a program changes what is on the disk, and its end by SIGKILL right before or after one.

Only tests install this, into processes of their own: `sequela` itself knows nothing of it.
"""

from __future__ import annotations

import os
import signal
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

from sqlalchemy.engine.default import DefaultDialect

STEPS = ("rename", "replace", "link", "fsync", "mkdir", "unlink", "rmdir", "commit")
"""The steps: functions of `os`, and a commit of the database."""

Moment = Literal["before", "after"]


class Steps:
    """Counts the steps of this process and writes each into a file; ends the process at one of them.

    Args:
        record: The file: a line for each step, with its kind. None to record nothing.
        kill_at: The number of a step among those of its kind, from 1; 0 for none.
        kind: The kind of that step.
        moment: Whether the process ends before or after it.
    """

    def __init__(
        self, record: Path | None = None, kill_at: int = 0, kind: str = "", moment: Moment = "before"
    ) -> None:
        self._descriptor = None
        if record is not None:
            self._descriptor = os.open(record, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
        self._kill_at = kill_at
        self._kind = kind
        self._moment = moment
        self._counts: Counter[str] = Counter()

    def install(self) -> None:
        """Watches the steps of this process from now on."""
        for name in STEPS[:-1]:
            setattr(os, name, self._watched(name, getattr(os, name)))
        commit = self._watched("commit", DefaultDialect.do_commit)
        DefaultDialect.do_commit = lambda dialect, connection: commit(dialect, connection)  # type: ignore[method-assign]

    def _watched(self, name: str, act: Callable[..., Any]) -> Callable[..., Any]:
        def watched(*arguments: Any, **named: Any) -> Any:
            self._counts[name] += 1
            number = self._counts[name]
            if self._descriptor is not None:
                os.write(self._descriptor, f"{name}\n".encode())
            self._end(name, number, "before")
            answer = act(*arguments, **named)
            self._end(name, number, "after")
            return answer

        return watched

    def _end(self, kind: str, number: int, moment: Moment) -> None:
        if (kind, number, moment) == (self._kind, self._kill_at, self._moment):
            os.kill(os.getpid(), signal.SIGKILL)
