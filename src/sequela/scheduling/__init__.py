"""Tasks, their order, and the workers that do them; knows nothing of models."""

from sequela.scheduling.events import Listener, SilentListener
from sequela.scheduling.executor import (
    Busy,
    Executor,
    Lost,
    Replied,
    Reply,
    Report,
    Skipped,
    Stored,
    Succeeded,
    Unreadable,
    Workbench,
    WorkbenchFactory,
    Worker,
    numbered_workers,
)
from sequela.scheduling.graph import TaskGraph
from sequela.scheduling.growth import Expand
from sequela.scheduling.inline import InlineExecutor
from sequela.scheduling.outcome import Cause, Failure, Outcome, State
from sequela.scheduling.processes import ProcessExecutor
from sequela.scheduling.ray_executor import RayExecutor, fitting_workers
from sequela.scheduling.reporting import LabeledProgress
from sequela.scheduling.running import TaskRunner
from sequela.scheduling.scheduler import Scheduler
from sequela.scheduling.simulation import Simulation, Span, simulate
from sequela.scheduling.task import UNLIMITED, Place, Resources, Task

__all__ = [
    "UNLIMITED",
    "Busy",
    "Cause",
    "Executor",
    "Expand",
    "Failure",
    "InlineExecutor",
    "LabeledProgress",
    "Listener",
    "Lost",
    "Outcome",
    "Place",
    "ProcessExecutor",
    "RayExecutor",
    "Replied",
    "Reply",
    "Report",
    "Resources",
    "Scheduler",
    "SilentListener",
    "Simulation",
    "Skipped",
    "Span",
    "State",
    "Stored",
    "Succeeded",
    "Task",
    "TaskGraph",
    "TaskRunner",
    "Unreadable",
    "Workbench",
    "WorkbenchFactory",
    "Worker",
    "fitting_workers",
    "numbered_workers",
    "simulate",
]
