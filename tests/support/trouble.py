"""A suite, as a package could add it, that fails, ends its process or keeps it from ending."""

from __future__ import annotations

import atexit
import os
import signal
import sys
import threading
import time
from pathlib import Path

from sequela.core.progress import SILENT, Progress
from sequela.edited import EditedModel
from sequela.evaluation import LimitedOptions, SuiteDescription, SuiteEntry
from sequela.inference import Engine
from sequela.results import ItemRecord, Section, SuiteInfo, TaskResult, result_from_items
from support.plugins import write_metadata

FOLDER = "TROUBLE"
"""The environment variable that names the folder with the orders."""

NAME = "trouble"

LAST_WORDS = "the last words of the suite"

FOREVER = 10_000.0


class Trouble:
    """Does, the first times that it measures an edited model, what the file `order` says: `fail 2`."""

    name, version = NAME, "1"
    info = SuiteInfo(title="Trouble", section=Section.HEALTH)

    def __init__(self, limit: int | None = None) -> None: ...

    def evaluate(self, model: EditedModel, engine: Engine, progress: Progress = SILENT) -> list[TaskResult]:
        if model.n_changes:
            self._obey(Path(os.environ[FOLDER]))
        item = ItemRecord(
            suite=NAME,
            task="luck",
            metric="accuracy",
            protocol="generation",
            item="one",
            value=1.0,
            finite=True,
            prompt="Heads?",
            answer="Heads.",
        )
        return [result_from_items([item])]

    def _obey(self, folder: Path) -> None:
        what, n_times = (folder / "order").read_text().split()
        with (folder / "begun").open("a") as begun:
            begun.write(f"{os.getpid()}\n")
        if n_begun(folder) <= int(n_times):
            sys.stderr.write(f"{LAST_WORDS}\n")
            sys.stderr.flush()
            {"fail": _fail, "exit": _exit, "crash": _crash, "stay": _stay}[what]()


def _fail() -> None:
    raise ZeroDivisionError("a fault of the suite")


def _exit() -> None:
    os._exit(7)


def _crash() -> None:
    os.kill(os.getpid(), signal.SIGSEGV)
    time.sleep(FOREVER)


def _stay() -> None:
    """Lets the task succeed, but keeps its process from ending by itself."""
    atexit.register(time.sleep, FOREVER)
    threading.Thread(target=time.sleep, args=(FOREVER,)).start()


def n_begun(folder: Path) -> int:
    """Returns how often the suite has measured an edited model."""
    return len((folder / "begun").read_text().split()) if (folder / "begun").exists() else 0


def install_trouble(folder: Path) -> None:
    """Puts the package on the path of this process and of those that it starts."""
    if not (folder / "site").exists():
        write_metadata(folder / "site", {"sequela.suites": {NAME: "support.trouble:TROUBLE"}}, NAME)
    sys.path.insert(0, str(folder / "site"))
    os.environ[FOLDER] = str(folder)


def _describe() -> tuple[SuiteDescription, ...]:
    return (SuiteDescription(NAME, "luck", "generation", "Luck.", ("accuracy",), "one item"),)


TROUBLE = SuiteEntry(NAME, LimitedOptions, "support.trouble:Trouble", _describe)
