"""Small programs in interpreters of their own, which tests stop or kill."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass(frozen=True)
class Started:
    """A program that runs."""

    process: subprocess.Popen[str]

    @property
    def pid(self) -> int:
        """The number of the process."""
        return self.process.pid

    def wait_for(self, line: str) -> None:
        """Waits until the program prints a line."""
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == f"{line}\n"

    def send(self, text: str) -> None:
        """Writes to the program's standard input."""
        assert self.process.stdin is not None
        self.process.stdin.write(text)
        self.process.stdin.flush()

    def wait(self) -> int:
        """Waits for the end; returns the exit status."""
        return self.process.wait(timeout=120)


def process_of(program: str, *arguments: object) -> subprocess.Popen[str]:
    """Starts a program, which reads and writes texts through pipes."""
    return subprocess.Popen(
        [sys.executable, "-c", program, *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )


def process_that_said(line: str, program: str, *arguments: object) -> subprocess.Popen[str]:
    """Starts a program, and returns when it has printed a line, which must be its first."""
    process = process_of(program, *arguments)
    Started(process).wait_for(line)
    return process


@contextmanager
def start(program: str, *arguments: object) -> Iterator[Started]:
    """Starts a program within a block; kills it at the end if it still runs."""
    process = process_of(program, *arguments)
    try:
        yield Started(process)
    finally:
        process.kill()
        process.communicate()
