"""Commands as real processes that start at once: forked from one that has imported everything already.

`python -m sequela` takes seconds to import torch; tests that kill a hundred commands can't wait for that. The
forked process is otherwise like one that a shell starts: with a process group, an environment, output and an
exit status of its own.
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

MODULES = (
    "pandas",
    "pyarrow.dataset",
    "rich._emoji_codes",
    "sequela.cli.main",
    "sequela.cli.run",
    "sequela.analysis.validity",
    "sequela.editors.methods.fine_tuning.editor",
    "sequela.editors.methods.rome.editor",
    "sequela.evaluation.suites.builtin",
    "sequela.evaluation.suites.perplexity",
    "sequela.evaluation.suites.refusal",
    "sequela.inference.torch.engine",
    "sequela.reports.summary",
    "sequela.results.item_files",
    "sequela.results.sqlite_database",
    "sequela.studies.run",
    "sequela.studies.study_file",
    "sequela.studies.workbench",
    "transformers.models.llama.modeling_llama",
    "transformers.models.llama.tokenization_llama",
)
"""The modules that a run imports on its way."""

PATIENCE = 300.0
"""The seconds after which a command that doesn't end is a failure."""


@dataclass
class Command:
    """A command that was started, in a process group of its own.

    Args:
        pid: The number of its process.
        output: The file with what it prints.
    """

    pid: int
    output: Path
    _source: Source = field(repr=False)

    def wait(self) -> int:
        """Waits for the end; returns the exit status, or the number of the signal, negative."""
        return self._source.status()

    def send(self, number: signal.Signals) -> bool:
        """Sends a signal to its process group, as a terminal does; returns whether it had ended before."""
        try:
            os.killpg(self.pid, number)
        except ProcessLookupError:
            return False
        return True

    @property
    def text(self) -> str:
        """The text that it has printed so far."""
        return self.output.read_text(encoding="utf-8", errors="replace")


class Source:
    """The process from which commands are forked, one at a time."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self._running: Command | None = None

    def start(
        self,
        words: Sequence[object],
        output: Path,
        environment: Mapping[str, str],
        prepare: tuple[str, Mapping[str, Any]] | None = None,
        folder: Path | None = None,
    ) -> Command:
        """Starts a command.

        Args:
            words: The words after `sequela`.
            output: The file for what it prints.
            environment: Variables to set.
            prepare: A function as `module:name`, with its arguments, that the new process calls first.
            folder: The working folder.
        """
        if self._running is not None:  # of a test that has failed
            self._running.send(signal.SIGKILL)
            self.status()
        order = {
            "words": [str(word) for word in words],
            "output": str(output),
            "environment": dict(environment),
            "prepare": prepare,
            "folder": str(folder or output.parent),
        }
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        self._running = Command(int(self._line()), output, self)
        return self._running

    def run(self, words: Sequence[object], output: Path, environment: Mapping[str, str], **more: Any) -> int:
        """Runs a command to its end; returns its exit status."""
        return self.start(words, output, environment, **more).wait()

    def status(self) -> int:
        """Returns the exit status of the command that was started last."""
        self._running = None
        return int(self._line())

    def _line(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, "the process from which commands are forked has ended"
        return line


@contextmanager
def forking() -> Iterator[Source]:
    """Starts the process from which commands are forked, within a block."""
    process = subprocess.Popen(
        [sys.executable, "-c", "from support.forked import serve; serve()"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "TOKENIZERS_PARALLELISM": "false"},
    )
    try:
        yield Source(process)
    finally:
        process.kill()
        process.communicate()


def serve() -> None:
    """Forks a process for each order that comes on the standard input; says its number and how it ended."""
    for name in MODULES:
        importlib.import_module(name)
    for line in sys.stdin:
        order = json.loads(line)
        pid = os.fork()
        if pid == 0:
            _become(order)
        _say(pid)
        _say(_ended(pid))


def _ended(pid: int) -> int:
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        found, status = os.waitpid(pid, os.WNOHANG)
        if found:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.005)
    os.killpg(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    raise TimeoutError(f"process {pid} did not end")


def _say(number: int) -> None:
    sys.stdout.write(f"{number}\n")
    sys.stdout.flush()


def _become(order: dict[str, Any]) -> None:
    """Turns this process into the one of a command; doesn't return."""
    status = 70
    try:
        os.setpgid(0, 0)
        output = os.open(order["output"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
        nothing = os.open(os.devnull, os.O_RDONLY)
        for descriptor, number in ((nothing, 0), (output, 1), (output, 2)):
            os.dup2(descriptor, number)
        os.environ.update(order["environment"])
        os.chdir(order["folder"])
        signal.signal(signal.SIGINT, signal.default_int_handler)
        if order["prepare"]:
            place, arguments = order["prepare"]
            module, _, name = place.partition(":")
            getattr(__import__(module, fromlist=[name]), name)(**arguments)
        sys.argv = ["sequela", *order["words"]]
        from sequela.__main__ import main

        try:
            main()
            status = 0
        except SystemExit as end:
            status = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:  # noqa: BLE001 - as Python itself does at the end of a program
        import traceback

        traceback.print_exc()
        status = 1
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
