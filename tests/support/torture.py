"""A study as real processes that are killed and resumed: what they did, and whether anything is left of it.

The study is small but whole: two methods, twelve edits, four checkpoints, three suites and health rules.
"""

from __future__ import annotations

import json
import os
import random
import signal
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sequela.results import open_store, read_manifest
from support.commit_steps import STEPS, Moment, Steps
from support.forked import Command, Source
from support.studies import small_study, write_edits, write_study
from support.trouble import install_trouble
from support.world import World

SUITES = [
    {"name": "builtin", "limit": 2, "categories": ["language", "commonsense"]},
    {"name": "perplexity", "window": 32},
    {"name": "refusal", "limit": 1, "max_new_tokens": 4},
]

METHODS = [
    {"name": "rome", "settings": {"mom2_adjustment": False, "n_contexts": 1, "v_num_grad_steps": 2}},
    {"name": "ft-m", "settings": {"num_steps": 4, "lr": 2e-3}},
]

UNSTORED = ("load model", "prepare method", "plan method")
"""The kinds of tasks that every process does anew."""


def write_torture_study(folder: Path, model: Path, world: World, **changes: Any) -> Path:
    """Writes the study into a folder; returns its file."""
    edits = write_edits(folder / "facts.jsonl", world, 12)
    content = small_study(
        model,
        edits,
        **{
            "editors": METHODS,
            "checkpoints": [0, 4, 8, 12],
            "suites": SUITES,
            "alarms": {"every": 4},
            "edit_quality": {"max_new_tokens": 2, "max_neighborhood": 1},
            **changes,
        },
    )
    return write_study(folder / "study.yaml", content)


def prepare(
    journal: str,
    steps: str | None = None,
    kill_at: int = 0,
    kind: str = "",
    moment: Moment = "before",
    trouble: str | None = None,
) -> None:
    """Prepares the process of a run, in that process.

    Args:
        journal: The file for the tasks that begin, end and are tried again.
        steps: The file for the commit steps.
        kill_at: The number, among those of its kind, of the step at which the process is killed; 0 for none.
        kind: The kind of that step.
        moment: Whether before or after it.
        trouble: The folder with orders for the suite `trouble`, which is installed.

    The page of charts is left out: it takes longer than all the rest.
    """
    import sequela.reports
    from sequela.scheduling import Failure, Outcome, State, Task
    from sequela.studies.run_listener import RunListener

    descriptor = os.open(journal, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
    started, retried, finished = RunListener.started, RunListener.retried, RunListener.finished

    def note(event: str, task: Task) -> None:
        if task.kind not in UNSTORED:
            os.write(descriptor, f"{event} {task.key}\n".encode())

    def note_started(listener: RunListener, task: Task, worker: str) -> None:
        note("begun", task)
        started(listener, task, worker)

    def note_retried(listener: RunListener, task: Task, failure: Failure, tries_left: int) -> None:
        note("cut", task)
        retried(listener, task, failure, tries_left)

    def note_finished(listener: RunListener, outcome: Outcome) -> None:
        if outcome.state is not State.STORED:
            note(outcome.state.value.replace(" ", "-"), outcome.task)
        finished(listener, outcome)

    RunListener.started, RunListener.retried = note_started, note_retried  # type: ignore[method-assign]
    RunListener.finished = note_finished  # type: ignore[method-assign]
    sequela.reports.write_report = lambda folder, page: page / "index.html"
    if trouble:
        install_trouble(Path(trouble))
    Steps(Path(steps) if steps else None, kill_at, kind, moment).install()


@dataclass
class Torture:
    """One run in a folder of its own, with a store and a cache.

    Args:
        source: Starts the commands.
        study: The study file.
        folder: The folder for everything; it is created.
        words: Further words of the command.
        environment: Further variables.
        output: The folder of the run; `run` in the folder by default.
        store: The store; `store` in the folder by default.
    """

    source: Source
    study: Path
    folder: Path
    words: Sequence[object] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    output: Path = Path()
    store: str = ""
    n_started: int = 0

    def __post_init__(self) -> None:
        self.folder.mkdir(exist_ok=True)
        self.output = self.folder / "run" if self.output == Path() else self.output
        self.store = self.store or str(self.folder / "store")

    def start(self, **prepared: Any) -> Command:
        """Starts the run, or resumes it."""
        self.n_started += 1
        return self.source.start(
            ("run", self.study, "--output", self.output, *self.words),
            self.folder / f"said {self.n_started}",
            {"SEQUELA_CACHE": str(self.folder / "cache"), "SEQUELA_STORE": self.store, **self.environment},
            (
                "support.torture:prepare",
                {"journal": str(self.folder / f"tasks {self.n_started}"), **prepared},
            ),
        )

    def run(self, **prepared: Any) -> tuple[int, str]:
        """Runs it to its end; returns the exit status and what it said."""
        command = self.start(**prepared)
        return command.wait(), command.text

    def kill_when(self, n_tasks: int, after: float, number: signal.Signals = signal.SIGKILL) -> int:
        """Starts the run and stops it by a signal; returns its exit status.

        Args:
            n_tasks: The number of tasks that begin first.
            after: The seconds after that.
            number: The signal.
        """
        command = self.start()
        self.wait_for_tasks(n_tasks)
        time.sleep(after)
        command.send(number)
        return command.wait()

    def wait_for_tasks(self, n_tasks: int) -> None:
        """Waits until the run that was started last has begun a number of tasks, or has ended."""
        journal = self.folder / f"tasks {self.n_started}"
        end = time.monotonic() + 120
        while time.monotonic() < end:
            if journal.is_file() and journal.read_text().count("begun ") >= n_tasks:
                return
            time.sleep(0.01)
        raise TimeoutError

    def tasks(self) -> tuple[Counter[str], Counter[str]]:
        """Returns, of all processes, how often tasks were begun that had been done, and how often cut."""
        done: set[str] = set()
        again: Counter[str] = Counter()
        cut: Counter[str] = Counter()
        for number in range(1, self.n_started + 1):
            open_now: set[str] = set()
            journal = self.folder / f"tasks {number}"
            for line in journal.read_text().splitlines() if journal.is_file() else ():
                event, _, key = line.partition(" ")
                if event == "begun":
                    again[key] += key in done
                    open_now.add(key)
                elif event == "cut":
                    cut[key] += 1
                    open_now.discard(key)
                else:
                    open_now.discard(key)
                    if event == "done":
                        done.add(key)
            cut.update(open_now)
        return +again, cut

    def table(self) -> bytes:
        """Returns everything that was measured as bytes: results, items and edits, without times."""
        with open_store(self.output) as store:
            found = {
                "measurements": [one.model_dump() for one in store.measurements()],
                "items": [
                    [key.content_hash, *(one.model_dump() for one in store.items(key))]
                    for key in store.evaluations()
                ],
                "edits": [one.model_dump(exclude={"seconds"}) for one in store.edit_records()],
                "costs": sorted(
                    (one.step, one.units, one.n_edits or 0, one.suite, one.editor)
                    for one in store.costs()
                    if one.step not in ("load model", "statistics and contexts")  # of every process
                ),
                "planned": read_manifest(self.output).evaluations_planned,
                "damage": [str(one) for one in store.damage()],
            }
        return json.dumps(found, sort_keys=True, default=str).encode()

    def names(self) -> set[str]:
        """Returns the names of all files and folders of the run, the store and the cache."""
        found = set()
        roots = {"run": self.output, "store": Path(self.store), "cache": self.folder / "cache"}
        for label, root in roots.items():
            for path in root.rglob("*"):
                is_registration = path.parent.name == "runs" and path.suffix == ".json"
                name = "runs/RUN.json" if is_registration else path.relative_to(root).as_posix()
                found.add(f"{label}/{name}")
        return found


def steps_to_try(record: Path, n: int, seed: int = 0) -> list[tuple[int, str, Moment]]:
    """Chooses steps of an uninterrupted run at which to kill others: number in its kind, kind, moment.

    Every kind of step gets its turn, each at random places; the last few of a kind may not be reached again.
    """
    counts = Counter(record.read_text().split())
    chooser = random.Random(seed)
    by_kind = {kind: range(1, max(2, counts[kind] - 5)) for kind in STEPS if counts[kind]}
    left = {kind: chooser.sample(numbers, len(numbers)) for kind, numbers in by_kind.items()}
    moments: list[Moment] = ["before", "after"]
    chosen: list[tuple[int, str, Moment]] = []
    while len(chosen) < n and left:
        for kind in sorted(left):
            if not left[kind]:
                del left[kind]
                continue
            chosen.append((left[kind].pop(), kind, moments[len(chosen) // len(by_kind) % 2]))
    return chosen[:n]
