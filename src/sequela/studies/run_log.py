"""The shared parts of a run: its plan and folder, and its records of status, costs and progress."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path

from sequela.core.progress import Progress
from sequela.core.workload import Workload
from sequela.models import LanguageModel
from sequela.results import CostRecord, Labels, Manifest, ResultsStore, Status, write_manifest
from sequela.studies.peak_memory import peak_memory_bytes
from sequela.studies.pieces import pieces_of
from sequela.studies.plan import Plan


@dataclass
class RunLog:
    """The records of a run, as far as it has come.

    Args:
        plan: The plan of the study.
        folder: The folder with the results.
        store: The store of the results.
        manifest: The manifest, as it was last written.
        progress: Receives messages and progress.
    """

    plan: Plan
    folder: Path
    store: ResultsStore
    manifest: Manifest
    progress: Progress
    workload: Workload = field(init=False)

    def __post_init__(self) -> None:
        self.workload = Workload(f"study {self.plan.study.name}", pieces_of(self.plan))

    def update(self, manifest: Manifest) -> None:
        """Writes the manifest in place of the earlier one."""
        self.manifest = manifest
        write_manifest(self.folder, manifest)

    def finish(self, status: Status, error: str = "") -> None:
        """Writes the final status of the run to the manifest."""
        self.update(self.manifest.finish(status, error))

    def label(self, model: LanguageModel, *parts: str) -> str:
        """Returns a progress label; it includes the model's name if the study has several models."""
        several = len(self.plan.study.models) > 1
        return ", ".join((model.name, *parts) if several else parts)

    def cost(
        self,
        step: str,
        started: float,
        labels: Labels | None = None,
        trajectory: str = "",
        n_edits: int | None = None,
        suite: str = "",
        model: str = "",
    ) -> None:
        """Stores the cost of a step that ends now, with the method and variant of the labels."""
        self.store.write_cost(
            CostRecord(
                step=step,
                seconds=time.perf_counter() - started,
                peak_memory_bytes=peak_memory_bytes(),
                trajectory=trajectory,
                model=model if labels is None else labels.model,
                editor="" if labels is None else labels.editor,
                variant="" if labels is None else labels.variant,
                n_edits=n_edits,
                suite=suite,
            )
        )
