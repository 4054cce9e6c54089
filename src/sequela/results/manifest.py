"""The manifest of a run: its configuration, environment and status."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timezone
from enum import Enum
from pathlib import Path
from typing import Any

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, model_validator

from sequela.core.damaged_files import DAMAGED_HINT, naming_file
from sequela.core.descriptions import read_document, write_description
from sequela.core.errors import SequelaError
from sequela.results.earlier_schema import suites_of_4
from sequela.results.edit_finding import EditFinding
from sequela.results.environment import Environment
from sequela.results.evaluation_key import EvaluationKey
from sequela.results.names import ALARMS
from sequela.results.run_history import EarlyEnd, HistoryEntry
from sequela.results.suite_info import SuiteInfo, Suites

MANIFEST_NAME = "manifest.json"

FORMAT = 2
"""The version of the format, which a manifest has in its field `format`; those of version 1 have none."""


class Status(str, Enum):
    """The status of a run. A run that was killed keeps the status `running`."""

    RUNNING = "running"
    STOPPED = "stopped"
    FAILED = "failed"
    PARTIAL = "partial"
    """The part of the study that was asked for is done; others lack."""
    COMPLETE = "complete"


class Component(BaseModel):
    """Something that a study names, such as a method, a suite or an edit source, and where it came from.

    Args:
        kind: The kind, such as `editor`.
        name: Its name in the study; for a file of the user's own, the path.
        distribution: The name of the package, as in `pip install`; empty for a file.
        version: The version of the package; empty for a file, whose content is in `suite_versions` or
            `edit_set_hashes`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: str
    name: str
    distribution: str
    version: str

    @property
    def noun(self) -> str:
        """The word for the kind in texts for users: an `editor` is a method."""
        return "method" if self.kind == "editor" else self.kind


class Plugin(Component):
    """A component that is not built in; a run can't be continued without its package."""


class Manifest(BaseModel):
    """The content of a run's `manifest.json`.

    Args:
        format: The version of the format.
        name: The name of the study.
        status: The status of the run.
        started: The start time (UTC).
        ended: The end time (UTC); None while the run is in progress.
        evaluations_planned: The number of evaluations in the study.
        environment: The software and hardware.
        config: The study with all defaults filled in.
        given: The study as given, from which it can be reconstructed.
        model_hashes: The fingerprints of the base models, by name.
        trajectory_keys: The keys of the trajectories, by model, method, sample and shuffle seed. A key also
            covers what the study only names: the content of presets and of the text of key statistics.
        input_hashes: The hashes of what else determines results, by model, method and kind: trained networks,
            IKE's demonstrations, a model's end tokens.
        edit_set_hashes: The content hashes of the edit sets, by source and sample.
        suite_versions: The versions of the suites, by name; those of edit quality, by sample too.
        suite_infos: The descriptions of the suites for reports, by name; None in runs of earlier versions.
        components: The package and version of each method, regularizer, suite, benchmark, edit source,
            metric, engine and model family, built-in ones included; empty in runs of earlier versions.
        plugins: Those that are not built in.
        seeds: All seeds, by purpose.
        command: The command that reproduces the run.
        edit_findings: The findings about the edits, by the model whose tokenizer counted; none in runs of
            earlier versions.
        notes: Remarks for readers of the results, such as skipped records and the reasons.
        history: The commands that changed the study or ran a part of it, the earliest first.
        early_ends: The trajectories that ended early; the evaluations that they leave out are not planned.
        error: The error message of a failed run; what was canceled in a run that was stopped therefore.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: int = FORMAT
    name: str
    status: Status = Status.RUNNING
    started: AwareDatetime = Field(default_factory=lambda: utc_now())
    ended: AwareDatetime | None = None
    evaluations_planned: int = Field(ge=0)
    environment: Environment
    config: dict[str, Any]
    given: dict[str, Any] = Field(default_factory=dict)
    model_hashes: dict[str, str] = Field(default_factory=dict)
    trajectory_keys: dict[str, str] = Field(default_factory=dict)
    input_hashes: dict[str, str] = Field(default_factory=dict)
    edit_set_hashes: dict[str, str] = Field(default_factory=dict)
    suite_versions: dict[str, str] = Field(default_factory=dict)
    suite_infos: dict[str, SuiteInfo] | None = None
    components: tuple[Component, ...] = ()
    plugins: tuple[Plugin, ...] = ()
    seeds: dict[str, list[int]] = Field(default_factory=dict)
    command: str = ""
    notes: tuple[str, ...] = ()
    edit_findings: dict[str, tuple[EditFinding, ...]] = Field(default_factory=dict)
    history: tuple[HistoryEntry, ...] = ()
    early_ends: tuple[EarlyEnd, ...] = ()
    error: str = ""

    @model_validator(mode="before")
    @classmethod
    def _former_fields(cls, content: Any) -> Any:
        """Reads the hashes of networks of earlier versions, which had a field of their own."""
        if not isinstance(content, dict) or "network_hashes" not in content:
            return content
        networks = content["network_hashes"]
        others = {key: value for key, value in content.items() if key != "network_hashes"}
        if not isinstance(networks, dict):
            return content
        return {**others, "input_hashes": {f"{of}, network": value for of, value in networks.items()}}

    @property
    def suites(self) -> Suites:
        """The suites of the run, with their titles and sections."""
        return suites_of_4() if self.suite_infos is None else Suites(self.suite_infos)

    @property
    def methods(self) -> tuple[str, ...]:
        """The names of the study's methods, in its order."""
        listed = self.config.get("editors")
        choices = listed if isinstance(listed, list) else []
        return tuple(str(one["name"]) for one in choices if isinstance(one, dict) and "name" in one)

    def n_done(self, evaluations: Iterable[EvaluationKey]) -> int:
        """Returns how many of the planned evaluations are among the stored ones.

        Readings of health that a bisection added are not planned, and can't stand for one that is missing.

        Args:
            evaluations: The keys of the stored evaluations.
        """
        return sum(one.suite != ALARMS or self._reading_is_due(one.n_edits) for one in evaluations)

    def _reading_is_due(self, n_edits: int) -> bool:
        """Returns whether the study measures health after so many edits, which end a batch."""
        alarms, editors = self.config.get("alarms"), self.config.get("editors")
        at_end = n_edits == max(self.config.get("checkpoints") or [0])
        every = alarms.get("every", 0) if isinstance(alarms, dict) else 0
        choices = editors if isinstance(editors, list) else []
        sizes = {one.get("batch_size", 1) for one in choices if isinstance(one, dict)}
        if not every or not n_edits:
            return bool(every)
        ended = [size for size in sizes if at_end or n_edits % size == 0]
        return any(n_edits // every > (n_edits - 1) // size * size // every for size in ended)

    def incompleteness(self, evaluations_done: int) -> str | None:
        """Returns a warning if the results are incomplete; None if they are complete.

        Args:
            evaluations_done: The number of planned evaluations in the store; see `n_done`.
        """
        if self.status is Status.COMPLETE and evaluations_done >= self.evaluations_planned:
            return None
        description = f"incomplete: {evaluations_done} of {self.evaluations_planned} evaluations"
        endings = {
            Status.RUNNING: "the run is in progress or was killed",
            Status.STOPPED: f"the run was stopped: {self.error}" if self.error else "the run was stopped",
            Status.FAILED: f"the run failed: {self.error}" if self.error else "the run failed",
            Status.PARTIAL: "the rest was not asked for",
            Status.COMPLETE: "the run ended, but results are missing",
        }
        return f"{description} ({endings[self.status]})"

    def with_history(self, entry: HistoryEntry) -> Manifest:
        """Returns the manifest with one more command in its history."""
        return self.model_copy(update={"history": (*self.history, entry)})

    def with_early_end(self, end: EarlyEnd) -> Manifest:
        """Returns the manifest with the early end of a trajectory, unless it has it already."""
        if end in self.early_ends:
            return self
        return self.model_copy(
            update={
                "early_ends": (*self.early_ends, end),
                "evaluations_planned": self.evaluations_planned - end.n_unmeasured,
                "notes": (*self.notes, end.note),
            }
        )

    def with_components(self, components: Iterable[Component]) -> Manifest:
        """Returns the manifest with further components, without duplicates."""
        return self.model_copy(update={"components": tuple(dict.fromkeys((*self.components, *components)))})

    def with_plugins(self, plugins: Iterable[Plugin]) -> Manifest:
        """Returns the manifest with further plug-ins, without duplicates."""
        return self.model_copy(update={"plugins": tuple(dict.fromkeys((*self.plugins, *plugins)))})

    def finish(self, status: Status, error: str = "") -> Manifest:
        """Returns the manifest with a final status and the current time as the end of the run."""
        return self.model_copy(update={"status": status, "ended": utc_now(), "error": error})


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Writes `manifest.json` into a run's folder atomically."""
    write_description(folder / MANIFEST_NAME, manifest)


def read_manifest(folder: Path) -> Manifest:
    """Returns the manifest in a run's folder.

    Raises:
        SequelaError: The folder has no manifest, or one that can't be read, or one of a newer version.
    """
    path = folder / MANIFEST_NAME
    if not path.is_file():
        raise SequelaError(
            f"There is no run in {folder}: it has no {MANIFEST_NAME}.",
            hint="Give the folder of a run, as printed at the end of `sequela run`.",
        )
    with naming_file(path, "a manifest of this version of sequela", SequelaError, hint=DAMAGED_HINT):
        content = read_document(path)
        _check_format(path, content)
        return Manifest.model_validate(content)


def _check_format(path: Path, content: object) -> None:
    """Refuses a manifest of a newer format, which may have other fields."""
    version = content.get("format") if isinstance(content, dict) else None
    if isinstance(version, int) and version > FORMAT:
        raise SequelaError(
            f"{path} has the format version {version}; this version of sequela reads up to {FORMAT}.",
            hint="It is of a newer version of sequela: install that version to use the run.",
        )


def utc_now() -> datetime:
    """Returns the current time in UTC, without fractions of a second."""
    return datetime.now(timezone.utc).replace(microsecond=0)
