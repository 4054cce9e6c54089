"""Tasks, workbenches and executors for the tests of the scheduler; worker processes import this file."""

from __future__ import annotations

import ctypes
import hashlib
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from random import Random

from sequela.core.errors import BadInputError
from sequela.core.progress import SILENT, Progress, counted
from sequela.core.workload import Workload
from sequela.scheduling import (
    Busy,
    Failure,
    Lost,
    Outcome,
    Replied,
    Report,
    SilentListener,
    Skipped,
    Stored,
    Task,
    TaskGraph,
    TaskRunner,
    Unreadable,
    Workbench,
    Worker,
    numbered_workers,
)

PATIENCE = 60.0
"""The time, in seconds, after which a test that waits for a process gives up."""


PAYLOADS = (None, None, None, None, "fail", "fail 1", "fail 2", "refuse", "skip")
"""The payloads of the tasks of random graphs."""


def task(key: str, *needs: str, **fields: object) -> Task:
    """Returns a task whose label is its key in words."""
    return Task(key, str(fields.pop("kind", "work")), f"task {key}", needs, **fields)  # type: ignore[arg-type]


@dataclass
class FolderBench:
    """A workbench whose store is a folder: an output is the hash of the key and of the needs' outputs.

    The payload says what else a task does: it is the name of a method, and its arguments after spaces.
    """

    folder: Path
    built_by: int = field(default_factory=os.getpid)

    def run(self, task: Task, progress: Progress) -> object:
        (self.folder / "begun").open("a").write(f"{task.key}\n")
        answer = None
        if isinstance(task.payload, str):
            action, *arguments = task.payload.split()
            answer = getattr(self, action)(task, progress, *arguments)
        if isinstance(answer, (Skipped, Unreadable, Stored, Busy)):
            return answer
        needed = [(self.folder / need).read_text() for need in task.needs]
        text = hashlib.sha256(repr((task.key, needed)).encode()).hexdigest()
        (self.folder / f".{task.key}").write_text(text)
        (self.folder / f".{task.key}").rename(self.folder / task.key)
        return text if answer is None else answer

    def fail(self, task: Task, progress: Progress, n_times: str = "99") -> None:
        if self._times(task) <= int(n_times):
            raise RuntimeError(f"no luck with {task.key}")

    def refuse(self, task: Task, progress: Progress) -> None:
        raise BadInputError(f"{task.key}.json is empty.", hint="Write it again.")

    def skip(self, task: Task, progress: Progress) -> Skipped:
        return Skipped("stopped early")

    def unreadable(self, task: Task, progress: Progress, *keys: str) -> Unreadable | None:
        """Finds the outputs of needs missing, the first time."""
        return Unreadable(keys, f"{keys[0]} is damaged") if self._times(task) == 1 else None

    def busy(self, task: Task, progress: Progress, n_times: str, ending: str) -> Busy | None:
        """Finds another process at work the first times; at the last it has made the output, or ends."""
        times = self._times(task)
        if times == int(n_times) and ending == "made":
            needed = [(self.folder / need).read_text() for need in task.needs]
            text = hashlib.sha256(repr((task.key, needed)).encode()).hexdigest()
            (self.folder / task.key).write_text(text)
        return Busy("Another process") if times <= int(n_times) else None

    def stored(self, task: Task, progress: Progress) -> Stored:
        """Finds what another process has made meanwhile."""
        (self.folder / task.key).write_text("made elsewhere")
        return Stored()

    def die(self, task: Task, progress: Progress, number: str, n_times: str = "99") -> None:
        """Ends the process by a signal."""
        if self._times(task) <= int(n_times):
            sys.stdout.write("the last words")
            os.kill(os.getpid(), int(number))
            time.sleep(PATIENCE)

    def crash(self, task: Task, progress: Progress) -> None:
        """Reads from the address zero."""
        ctypes.string_at(0)

    def take(self, task: Task, progress: Progress, seconds: str) -> None:
        time.sleep(float(seconds))

    def leave(self, task: Task, progress: Progress, status: str) -> None:
        os._exit(int(status))

    def hang(self, task: Task, progress: Progress, n_times: str = "99") -> None:
        """Starts a process of its own and runs until it is stopped; writes the numbers of both processes."""
        if self._times(task) > int(n_times):
            return
        child = subprocess.Popen([sys.executable, "-c", f"import time; time.sleep({10 * PATIENCE})"])
        (self.folder / f"hanging {task.key}").write_text(f"{os.getpid()} {child.pid}")
        (self.folder / f"hanging {task.key}").rename(self.folder / f"pids {task.key}")
        time.sleep(10 * PATIENCE)

    def stay(self, task: Task, progress: Progress) -> None:
        """Like `hang`, but not to be interrupted."""
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        self.hang(task, progress)

    def report(self, task: Task, progress: Progress, n: str) -> None:
        with counted(progress, "items", int(n)) as advance:
            for _ in range(int(n)):
                advance(1)
        progress.start("never ended", None)
        progress.say(f"done with {task.key}")
        logging.getLogger("sequela.test").warning("a warning of %s", task.key)

    def tell(self, task: Task, progress: Progress, variable: str) -> str:
        return os.environ.get(variable, "")

    def identify(self, task: Task, progress: Progress) -> tuple[int, int]:
        return os.getpid(), self.built_by

    def imported(self, task: Task, progress: Progress, module: str) -> bool:
        return module in sys.modules

    def unsendable(self, task: Task, progress: Progress) -> object:
        return lambda: None

    def unloadable(self, task: Task, progress: Progress) -> object:
        return Unloadable()

    def _times(self, task: Task) -> int:
        """Returns how often the task was begun, with this time."""
        return (self.folder / "begun").read_text().split().count(task.key)


class Unloadable:
    """An object that can be pickled, but not unpickled."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return int, ("x",)


def folder_workbench(folder: Path) -> Callable[[], FolderBench]:
    """Returns a factory that can be pickled."""
    return partial(FolderBench, folder)


def stored_in(folder: Path) -> Callable[[Task], bool]:
    """Returns the function that says whether the output of a task is in a folder."""
    return lambda task: (folder / task.key).exists()


def broken_workbench() -> Workbench:
    """A factory that fails."""
    raise OSError("no such model")


def outputs(folder: Path) -> dict[str, str]:
    """Returns the outputs in a folder by key."""
    kept = [path for path in folder.iterdir() if path.name != "begun" and not path.name.startswith("pids")]
    return {path.name: path.read_text() for path in kept}


@dataclass
class Recorder(SilentListener):
    """A listener that records what it hears."""

    events: list[tuple[str, str]] = field(default_factory=list)
    collected_outcomes: list[Outcome] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    lost: list[tuple[str, str]] = field(default_factory=list)

    def started(self, task: Task, worker: str) -> None:
        self.events.append(("started", task.key))

    def retried(self, task: Task, failure: Failure, tries_left: int) -> None:
        self.events.append(("retried", task.key))
        self.failures.append(failure)

    def put_off(self, task: Task, holder: str) -> None:
        self.events.append(("put off", task.key))

    def finished(self, outcome: Outcome) -> None:
        self.events.append((outcome.state.value, outcome.task.key))

    def collected(self, outcome: Outcome) -> None:
        self.collected_outcomes.append(outcome)

    def worker_lost(self, worker: str, reason: str) -> None:
        self.lost.append((worker, reason))

    def keys(self, event: str) -> list[str]:
        return [key for name, key in self.events if name == event]


def expected_states(graph: TaskGraph) -> dict[str, str]:
    """Returns the states by the definition, task by task."""
    found: dict[str, str] = {}
    for one in graph:
        bad = [found[need] for need in one.needs if found[need] != "done"]
        if bad:
            found[one.key] = "skipped" if bad[0] == "skipped" else "not run"
        else:
            found[one.key] = {"fail": "failed", "refuse": "failed", "skip": "skipped"}.get(
                str(one.payload), "done"
            )
    return found


class Lines:
    """A progress that keeps what it receives."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.units = 0

    def start(self, description: str, total: int | None) -> int:
        self.lines.append(f"start {description} {total}")
        return 7 + len(self.lines)

    def advance(self, task: int, units: int = 1) -> None:
        assert task == 8
        self.units += units

    def finish(self, task: int) -> None:
        self.lines.append(f"finish {task}")

    def say(self, message: str) -> None:
        self.lines.append(message)

    def watch(self, workload: Workload | None) -> None:
        raise AssertionError


class ShuffledExecutor:
    """Runs tasks in this process; their answers come in a random order, and workers are lost at random.

    Args:
        bench: What all workers use.
        n: The number of workers.
        seed: The seed of the order.
        losses: The probability that a worker is lost instead of answering.
    """

    def __init__(self, bench: Workbench, n: int, seed: int, losses: float = 0.0) -> None:
        self.workers: Sequence[Worker] = numbered_workers(n)
        self.is_open = False
        self._runner = TaskRunner(lambda: bench)
        self._random = Random(seed)
        self._losses = losses
        self.busy: dict[int, Task] = {}
        """The tasks that the workers have."""

    @property
    def absent(self) -> Collection[int]:
        return ()

    def open(self, progress: Callable[[str], Progress]) -> None:
        self.is_open = True

    def submit(self, worker: int, task: Task) -> None:
        assert worker not in self.busy
        self.busy[worker] = task

    def next(self) -> int:
        """Returns the worker that answers next."""
        return self._random.choice(sorted(self.busy))

    def wait(self, seconds: float) -> Sequence[Report]:
        if not self.busy:
            return []
        worker = self.next()
        task = self.busy.pop(worker)
        if self._random.random() < self._losses:
            return [Lost(worker, "its machine is gone")]
        return [Replied(worker, self._runner.run(task, SILENT))]

    def interrupt(self, worker: int) -> bool:
        return False

    def close(self) -> None:
        self.is_open = False
        self.busy = {}


def wait_until(holds: Callable[[], bool], patience: float = PATIENCE) -> None:
    """Waits until something holds.

    Args:
        holds: Returns whether it does.
        patience: The time in seconds.

    Raises:
        TimeoutError: It doesn't for too long.
    """
    end = time.monotonic() + patience
    while not holds():
        if time.monotonic() > end:
            raise TimeoutError
        time.sleep(0.01)


def is_alive(pid: int) -> bool:
    """Returns whether a process exists that is not a zombie (whose parent may be slow to notice)."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    stat = Path(f"/proc/{pid}/stat")
    try:
        return not stat.exists() or stat.read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def hanging_pids(folder: Path, keys: Iterable[str]) -> list[int]:
    """Waits until all these tasks hang; returns the numbers of their processes, and of those they started."""
    wait_until(lambda: all((folder / f"pids {key}").exists() for key in keys))
    return [int(pid) for key in keys for pid in (folder / f"pids {key}").read_text().split()]
