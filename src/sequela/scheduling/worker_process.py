"""The process of one worker, from the side of the main process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from contextlib import suppress
from dataclasses import replace
from multiprocessing import Pipe

from sequela.scheduling.executor import Lost, Reply, Worker
from sequela.scheduling.outcome import Cause, Failure
from sequela.scheduling.reporting import Message
from sequela.scheduling.running import failure_of
from sequela.scheduling.task import Task

MOST_OUTPUT = 20_000
"""The greatest number of bytes that are kept of what a worker printed during a task."""

SECONDS_TO_END = 1.0
"""The time, in seconds, between the end of a connection and the end of its process."""

_PROGRAM = """\
import sys
sys.path[:] = {path!r}
from sequela.scheduling.worker_program import main
main({connection}, {lifeline})
"""

_SIGNALS = {
    signal.SIGKILL: "it was killed (SIGKILL), as systems do when memory runs out",
    signal.SIGSEGV: "it crashed by an invalid access to memory (SIGSEGV)",
    signal.SIGBUS: "it crashed by an invalid access to memory (SIGBUS)",
    signal.SIGABRT: "it was aborted by a library (SIGABRT)",
    signal.SIGTERM: "it was terminated (SIGTERM)",
    signal.SIGINT: "it was interrupted (SIGINT)",
}


def ending_in_words(status: int) -> str:
    """Returns how a process ended, by its exit status or, if negative, the number of its signal."""
    if status >= 0:
        return f"it exited with status {status}"
    try:
        number = signal.Signals(-status)
    except ValueError:
        return f"it was ended by signal {-status}"
    return _SIGNALS.get(number, f"it was ended by signal {-status} ({number.name})")


class WorkerProcess:
    """A fresh Python process that runs tasks, with a connection to it and the file that it prints to.

    The file has no name, so nothing of it stays when both processes are killed.

    Args:
        worker: The worker, with its environment.

    Raises:
        OSError: The system can't start a process.
    """

    def __init__(self, worker: Worker) -> None:
        self.is_busy = False
        self.is_closed = False
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 - closed when the process is buried
        self.connection, remote = Pipe()
        held_by_worker, self._lifeline = os.pipe()
        program = _PROGRAM.format(path=sys.path, connection=remote.fileno(), lifeline=held_by_worker)
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-u", "-X", "faulthandler", "-c", program],
                stdin=subprocess.DEVNULL,
                stdout=self._log,
                stderr=self._log,
                env={**os.environ, **worker.environment},
                pass_fds=(remote.fileno(), held_by_worker),
                start_new_session=True,
            )
        except BaseException:
            self._close_files()
            raise
        finally:
            remote.close()
            os.close(held_by_worker)

    def send(self, message: object) -> None:
        """Sends an object to the process.

        Raises:
            BrokenPipeError, ConnectionResetError: The process has ended.
            Exception: The object can't be pickled; nothing was sent.
        """
        self.connection.send(message)

    def give(self, task: Task) -> None:
        """Sends a task, like `send`; the process must be idle."""
        descriptor = self._log.fileno()
        os.ftruncate(descriptor, 0)
        os.lseek(descriptor, 0, os.SEEK_SET)  # the position is shared with the process
        self.send(task)
        self.is_busy = True

    @property
    def has_message(self) -> bool:
        """True if `receive` returns at once."""
        try:
            return not self.is_closed and self.connection.poll()
        except OSError:
            self.is_closed = True
            return False

    def receive(self) -> Message | Reply | None:
        """Returns the next message of the process; None if the connection was closed."""
        try:
            message: Message | Reply = self.connection.recv()
        except (EOFError, OSError):
            self.is_closed = True
            return None
        except Exception as error:  # noqa: BLE001 - unpickling may raise anything
            failure = failure_of(error)
            message = Failure(Cause.ERROR, f"The result can't be read: {failure.error}", failure.log)
        if isinstance(message, Reply):
            self.is_busy = False
            if isinstance(message, Failure):
                return replace(message, log=f"{message.log}{self._output()}")
        return message

    @property
    def has_ended(self) -> bool:
        """True if the process has ended."""
        return self._process.poll() is not None

    def interrupt(self) -> None:
        """Interrupts the task; the process ends."""
        self._process.send_signal(signal.SIGINT)

    def dismiss(self) -> None:
        """Ends an idle process in the ordinary way."""
        self.connection.close()
        self.is_closed = True

    def kill(self) -> None:
        """Kills the process and all that its tasks have started."""
        with suppress(ProcessLookupError, PermissionError):  # nobody is left, or (macOS) only zombies
            os.killpg(self._process.pid, signal.SIGKILL)

    def join(self, seconds: float) -> None:
        """Waits until the process has ended, but not for longer than given."""
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(seconds)

    def bury(self, worker: int) -> Lost:
        """Returns how the process ended, after killing what is left of it, and closes all files."""
        if self.is_closed:
            self.join(SECONDS_TO_END)
        self.kill()
        status = self._process.wait()
        lost = Lost(worker, ending_in_words(status), self._output())
        self._close_files()
        return lost

    def _output(self) -> str:
        """Returns the end of what the process has printed during the task, with a heading; or nothing."""
        descriptor = self._log.fileno()
        size = os.fstat(descriptor).st_size
        output = (
            os.pread(descriptor, MOST_OUTPUT, max(0, size - MOST_OUTPUT)).decode(errors="replace").strip()
        )
        return f"\nThe worker printed:\n{output}\n" if output else ""

    def _close_files(self) -> None:
        self.connection.close()
        self._log.close()
        os.close(self._lifeline)
