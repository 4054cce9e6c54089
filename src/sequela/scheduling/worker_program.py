"""The program of a worker process: it receives tasks, runs them, and never outlives its main process."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
from contextlib import ExitStack
from multiprocessing.connection import Connection
from typing import cast

from sequela.scheduling.executor import Reply, WorkbenchFactory
from sequela.scheduling.outcome import Cause, Failure
from sequela.scheduling.reporting import Channel, LogSender, SentProgress
from sequela.scheduling.running import TaskRunner, failure_of
from sequela.scheduling.task import Task

INTERRUPTED = 130
"""The exit status after SIGINT."""


def main(connection: int, lifeline: int) -> None:
    """Runs the tasks that come until the connection is closed, or SIGINT comes.

    The process is the leader of a session of its own. So Ctrl-C in a terminal reaches the main process alone,
    which decides what happens, and what a task has started can be ended with it.

    Args:
        connection: The file descriptor of the connection to the main process.
        lifeline: The file descriptor of a pipe whose other end is open as long as the main process lives.
    """
    signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored by what `nohup` started
    for descriptor in (connection, lifeline):
        os.set_inheritable(descriptor, False)
    threading.Thread(target=_end_with_main_process, args=(lifeline,), daemon=True).start()
    # The descriptor itself stays open as long as the process lives: its end shows that of the process.
    channel = Channel(Connection(os.dup(connection)))
    _forward_logs(channel)
    try:
        _serve(channel)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    except (BrokenPipeError, ConnectionResetError):
        sys.exit(1)  # the main process is gone, and the thread above ends this one


def _end_with_main_process(lifeline: int) -> None:
    """Waits until the main process has ended, then kills this process and all that it has started."""
    os.read(lifeline, 1)
    os.killpg(os.getpid(), signal.SIGKILL)


def _forward_logs(channel: Channel) -> None:
    """Sends warnings to the main process; what is printed stays in the worker's log."""
    logging.captureWarnings(True)
    logging.getLogger().addHandler(LogSender(channel))
    logging.getLogger().addHandler(logging.StreamHandler())


def _serve(channel: Channel) -> None:
    runner, problem = _runner(channel)
    progress = SentProgress(channel)
    with ExitStack() as at_end:
        if runner is not None:
            at_end.callback(runner.close)
        _answer_tasks(channel, runner, problem, progress)


def _answer_tasks(
    channel: Channel, runner: TaskRunner | None, problem: Failure, progress: SentProgress
) -> None:
    while True:
        try:
            task = cast("Task", channel.receive())
        except EOFError:
            return
        except Exception as error:  # noqa: BLE001 - unpickling may raise anything
            _answer(channel, failure_of(error))
        else:
            _answer(channel, problem if runner is None else runner.run(task, progress))


def _runner(channel: Channel) -> tuple[TaskRunner | None, Failure]:
    """Returns a runner with the factory that comes first; None and the problem if it can't be unpickled."""
    try:
        return TaskRunner(cast("WorkbenchFactory", channel.receive())), Failure(Cause.ERROR, "")
    except Exception as error:  # noqa: BLE001 - unpickling may raise anything
        return None, failure_of(error)


def _answer(channel: Channel, reply: Reply) -> None:
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    try:
        channel.send(reply)
    except (BrokenPipeError, ConnectionResetError):
        raise
    except Exception as error:  # noqa: BLE001 - pickling may raise anything
        failure = failure_of(error)
        channel.send(Failure(Cause.ERROR, f"The result can't be sent: {failure.error}", failure.log))
