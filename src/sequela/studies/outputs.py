"""The outputs of a study's tasks in the store: documents, item files, and saved edits."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, Field

from sequela.core.damaged_files import naming_file
from sequela.core.wording import number_of
from sequela.editors import AnyEditor, EditReport
from sequela.models import LanguageModel
from sequela.results import ItemRecord, TaskResult
from sequela.results.item_files import item_file, read_items
from sequela.store import Address, Store
from sequela.studies.checkpoints import Checkpoint, load_checkpoint, save_checkpoint
from sequela.studies.task_keys import Output

ANSWERS = "answers.json"
RESULTS = "results.json"
ITEMS = "items.parquet"
LOG = "trajectory.json"
SUCCESS = "success.parquet"
HEALTH = "health.json"

M = TypeVar("M", bound=BaseModel)


class _Document(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Unedited(_Document):
    """The unedited model's output, for comparison with the edited model's.

    Args:
        answers: Answers to neighborhood prompts.
        texts: Texts about entities for which the new answers are true.
    """

    answers: dict[str, str]
    texts: dict[str, str]


class Health(_Document):
    """Health metrics of a model.

    Args:
        n_edits: The number of edits.
        metrics: The metrics by name; they may be infinite or NaN.
        model_hash: The content hash of the edited model.
        seconds: The time of the measurement.
        peak_memory_bytes: The peak main memory of the process up to the end of it; None if unknown.
    """

    n_edits: int = Field(ge=0)
    metrics: dict[str, float]
    model_hash: str
    seconds: float = Field(ge=0)
    peak_memory_bytes: int | None = None


class Batch(_Document):
    """A batch of edits as it was applied.

    Args:
        n_edits: The number of edits after it.
        reports: The report of each edit.
        seconds: The time of the editing alone.
        peak_memory_bytes: The peak main memory of the process up to the end of it; None if unknown.
    """

    n_edits: int = Field(ge=1)
    reports: tuple[EditReport, ...]
    seconds: float = Field(ge=0)
    peak_memory_bytes: int | None = None


class TrajectoryLog(_Document):
    """The events of a trajectory up to a checkpoint.

    Args:
        n_edits: The number of edits of the checkpoint; fewer than were planned if the trajectory ended early.
        batches: All batches, in order; one that was rejected by the policy for bad edits is the last.
        health: The health metrics that were measured between batches.
        stopped: The reason for an early end; empty if there is none.
    """

    n_edits: int = Field(ge=0)
    batches: tuple[Batch, ...] = ()
    health: tuple[Health, ...] = ()
    stopped: str = ""

    @property
    def reports(self) -> Iterator[EditReport]:
        """The reports of all edits, in order."""
        return (report for batch in self.batches for report in batch.reports)

    @property
    def end(self) -> str:
        """The early end, in words."""
        return f"the trajectory was stopped after {number_of('edit', self.n_edits)}: {self.stopped}"

    @property
    def dropped(self) -> dict[str, str]:
        """The ids of the dropped edits, with the reasons."""
        return {report.edit_id: report.dropped for report in self.reports if report.dropped}


class _StoredResult(_Document):
    """A result of a suite, with the range of its items in the item file."""

    result: TaskResult
    first: int = Field(ge=0)
    stop: int = Field(ge=0)


class _StoredMeasurement(_Document):
    model_hash: str
    seconds: float
    peak_memory_bytes: int | None
    n_items: int
    results: tuple[_StoredResult, ...]


class Measured(_Document):
    """The output of a measurement.

    Args:
        model_hash: The content hash of the edited model.
        seconds: The time of the measurement.
        peak_memory_bytes: The peak main memory of the process up to the end of it; None if unknown.
        results: The results of a suite, with their items; empty for edit quality, whose results follow from
            the items of several outputs.
        items: All items.
    """

    model_hash: str
    seconds: float
    peak_memory_bytes: int | None
    results: tuple[TaskResult, ...]
    items: tuple[ItemRecord, ...]


class Outputs:
    """Writes and reads the outputs of tasks.

    Args:
        store: The store.
    """

    def __init__(self, store: Store) -> None:
        self.store = store

    def write_unedited(self, output: Output, unedited: Unedited) -> None:
        """Stores the unedited model's output."""
        with self.store.writing(output.address, output.about) as folder:
            _write(folder / ANSWERS, unedited)

    def read_unedited(self, address: Address) -> Unedited:
        """Reads the unedited model's output."""
        return _read(self.store.fetch(address) / ANSWERS, Unedited, "reference answers")

    def write_health(self, output: Output, health: Health) -> None:
        """Stores health metrics."""
        with self.store.writing(output.address, output.about) as folder:
            _write(folder / HEALTH, health)

    def read_health(self, address: Address) -> Health:
        """Reads health metrics."""
        return _read(self.store.fetch(address) / HEALTH, Health, "health metrics")

    def write_measured(self, output: Output, measured: Measured) -> None:
        """Stores a measurement."""
        results, first = [], 0
        for one in measured.results:
            results.append(_StoredResult(result=one, first=first, stop=first + len(one.items)))
            first += len(one.items)
        described = _StoredMeasurement(
            **measured.model_dump(include={"model_hash", "seconds", "peak_memory_bytes"}),
            n_items=len(measured.items),
            results=tuple(results),
        )
        with self.store.writing(output.address, output.about) as folder:
            if measured.items:
                (folder / ITEMS).write_bytes(item_file(measured.items))
            _write(folder / RESULTS, described)

    def read_measured(self, address: Address) -> Measured:
        """Reads a measurement."""
        folder = self.store.fetch(address)
        described = _read(folder / RESULTS, _StoredMeasurement, "results")
        items = tuple(read_items(folder / ITEMS)) if described.n_items else ()
        results = tuple(
            one.result.model_copy(update={"items": items[one.first : one.stop]}) for one in described.results
        )
        return Measured(
            model_hash=described.model_hash,
            seconds=described.seconds,
            peak_memory_bytes=described.peak_memory_bytes,
            results=results,
            items=items,
        )

    def write_checkpoint(
        self,
        output: Output,
        at: tuple[Checkpoint, LanguageModel, AnyEditor],
        log: TrajectoryLog,
        success: Sequence[ItemRecord],
    ) -> None:
        """Stores a checkpoint.

        Args:
            output: Its address, and what it was computed from.
            at: The checkpoint, with its model and the editor.
            log: What happened up to it.
            success: The items that were measured right after each batch, in order.
        """
        checkpoint, model, editor = at
        ids = tuple(report.edit_id for report in log.reports)[: checkpoint.n_edits]
        with self.store.writing(output.address, output.about) as folder:
            save_checkpoint(folder, checkpoint, model, editor, ids)
            if success:
                (folder / SUCCESS).write_bytes(item_file(success))
            _write(folder / LOG, log)

    def read_log(self, address: Address) -> tuple[TrajectoryLog, list[ItemRecord]]:
        """Reads what happened up to a checkpoint, and the items measured right after each batch."""
        folder = self.store.fetch(address)
        log = _read(folder / LOG, TrajectoryLog, "the log of a trajectory")
        success = read_items(folder / SUCCESS) if (folder / SUCCESS).is_file() else []
        return log, success

    def read_checkpoint(
        self, address: Address, n_edits: int, model: LanguageModel, editor: AnyEditor
    ) -> Checkpoint:
        """Reads a checkpoint.

        Raises:
            IntegrityError: It is damaged.
        """
        found = load_checkpoint(self.store.fetch(address), n_edits, model, editor)
        assert found is not None  # an object is complete
        return found


def _write(path: Path, document: BaseModel) -> None:
    # Not `model_dump_json`, which would turn the NaN of a diverged loss into null.
    path.write_text(json.dumps(document.model_dump(), indent=1) + "\n", encoding="utf-8")


def _read(path: Path, kind: type[M], what: str) -> M:
    with naming_file(path, what):
        return kind.model_validate(json.loads(path.read_text(encoding="utf-8")))
