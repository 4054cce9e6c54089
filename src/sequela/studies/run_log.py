"""The shared parts of a run: its plan and folder, and its records of status, costs and progress."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from sequela.core.progress import Progress
from sequela.core.workload import Workload
from sequela.results import Manifest, ResultsStore, Status, write_manifest
from sequela.studies.pieces import pieces_of
from sequela.studies.plan import Plan
from sequela.studies.run_part import WHOLE, RunPart


@dataclass
class RunLog:
    """The records of a run, as far as it has come.

    Args:
        plan: The plan of the study.
        folder: The folder with the results.
        store: The store of the results.
        manifest: The manifest, as it was last written.
        progress: Receives messages and progress.
        n_workers: The number of workers.
        part: The part of the study that is run.
    """

    plan: Plan
    folder: Path
    store: ResultsStore
    manifest: Manifest
    progress: Progress
    n_workers: int = 1
    part: RunPart = WHOLE
    workload: Workload = field(init=False)

    def __post_init__(self) -> None:
        name, pieces = f"study {self.plan.study.name}", pieces_of(self.plan, self.part)
        self.workload = Workload(name, pieces, n_workers=self.n_workers)

    def update(self, manifest: Manifest) -> None:
        """Writes the manifest in place of the earlier one, unless it is the same."""
        if manifest != self.manifest:
            self.manifest = manifest
            write_manifest(self.folder, manifest)

    def finish(self, status: Status, error: str = "") -> None:
        """Writes the final status of the run to the manifest."""
        self.update(self.manifest.finish(status, error))

    def label(self, model: str, *parts: str) -> str:
        """Returns a progress label; it includes the model's name if the study has several models."""
        several = len(self.plan.study.models) > 1
        return ", ".join((model, *parts) if several else parts)
