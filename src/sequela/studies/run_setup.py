"""The plan, the folder and the options with which a run of a study is started."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sequela.core.precision import Precision
from sequela.core.progress import SILENT, Progress
from sequela.studies.plan import Plan
from sequela.studies.run_part import WHOLE, RunPart
from sequela.studies.workers import THIS_PROCESS, Workers


@dataclass(frozen=True)
class RunSetup:
    """The plan, the folder and the options with which a run is started.

    Args:
        plan: The plan of the study.
        folder: The folder with the results, which exists.
        precision: The data type of the weights.
        progress: Receives messages and progress.
        workers: The workers that do the tasks.
        command: The user's command, for the manifest.
        update: Whether a run of another version of the study goes on as one of this study.
        part: The part of the study to run.
    """

    plan: Plan
    folder: Path
    precision: Precision
    progress: Progress = SILENT
    workers: Workers = THIS_PROCESS
    command: str = ""
    update: bool = False
    part: RunPart = WHOLE
