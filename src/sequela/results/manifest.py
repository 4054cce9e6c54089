"""What a run was: its configuration, where it ran, and whether it came to its end."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timezone
from enum import Enum
from pathlib import Path
from typing import Any

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from sequela.core.errors import SequelaError
from sequela.core.files import write_description
from sequela.results.earlier_schema import suites_of_4
from sequela.results.environment import Environment
from sequela.results.suite_info import SuiteInfo, Suites

MANIFEST_NAME = "manifest.json"


class Status(str, Enum):
    """How a run stands. A run that was killed outright still says `running`."""

    RUNNING = "running"
    STOPPED = "stopped"
    FAILED = "failed"
    COMPLETE = "complete"


class Plugin(BaseModel):
    """Something that a run used and an installed package brought.

    Args:
        kind: The kind of it, e.g. `editor`.
        name: Its name.
        distribution: The package's name, as pip knows it.
        version: The package's version.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: str
    name: str
    distribution: str
    version: str


class Manifest(BaseModel):
    """A run's `manifest.json`.

    Args:
        name: The study's name.
        status: How the run stands.
        started: When it began (UTC).
        ended: When it ended; None while it runs.
        evaluations_planned: How many evaluations the study has.
        environment: Software and hardware.
        config: The study with all defaults filled in.
        given: The study as it was given, so that it can be made again.
        model_hashes: Fingerprints of the base models, by name.
        edit_set_hashes: Content hashes of the edit sets, by source.
        suite_versions: Versions of the suites, by name.
        suite_infos: What reports say of the suites, by name; None in runs of earlier versions.
        plugins: What the run used of other packages.
        seeds: Every seed that was used, by what it was for.
        command: The command that makes this run again.
        notes: What a reader must know, e.g. records that were skipped and why.
        error: Why it failed.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    status: Status = Status.RUNNING
    started: AwareDatetime = Field(default_factory=lambda: utc_now())
    ended: AwareDatetime | None = None
    evaluations_planned: int = Field(ge=0)
    environment: Environment
    config: dict[str, Any]
    given: dict[str, Any] = Field(default_factory=dict)
    model_hashes: dict[str, str] = Field(default_factory=dict)
    edit_set_hashes: dict[str, str] = Field(default_factory=dict)
    suite_versions: dict[str, str] = Field(default_factory=dict)
    suite_infos: dict[str, SuiteInfo] | None = None
    plugins: tuple[Plugin, ...] = ()
    seeds: dict[str, list[int]] = Field(default_factory=dict)
    command: str = ""
    notes: tuple[str, ...] = ()
    error: str = ""

    @property
    def suites(self) -> Suites:
        """The suites of the run, for titles and sections."""
        return suites_of_4() if self.suite_infos is None else Suites(self.suite_infos)

    def incompleteness(self, evaluations_done: int) -> str | None:
        """What to tell a reader of results that are not the whole run; None if they are.

        Args:
            evaluations_done: How many evaluations the store has.
        """
        if self.status is Status.COMPLETE and evaluations_done >= self.evaluations_planned:
            return None
        description = f"incomplete: {evaluations_done} of {self.evaluations_planned} evaluations"
        endings = {
            Status.RUNNING: "the run goes on, or was killed",
            Status.STOPPED: "the run was stopped",
            Status.FAILED: f"the run failed: {self.error}" if self.error else "the run failed",
            Status.COMPLETE: "the run ended, but results are missing",
        }
        return f"{description} ({endings[self.status]})"

    def with_plugins(self, plugins: Iterable[Plugin]) -> Manifest:
        """The manifest with further plug-ins, each once."""
        return self.model_copy(update={"plugins": tuple(dict.fromkeys((*self.plugins, *plugins)))})

    def finish(self, status: Status, error: str = "") -> Manifest:
        """The manifest of the same run at its end, now."""
        return self.model_copy(update={"status": status, "ended": utc_now(), "error": error})


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Writes `manifest.json` into a run's folder; a reader sees the old file or the whole new one."""
    write_description(folder / MANIFEST_NAME, manifest)


def read_manifest(folder: Path) -> Manifest:
    """The manifest of a run's folder.

    Raises:
        SequelaError: There is none, or it can't be read.
    """
    path = folder / MANIFEST_NAME
    if not path.is_file():
        raise SequelaError(
            f"There is no run in {folder}: it has no {MANIFEST_NAME}.",
            hint="Give the folder of a run, as printed at the end of `sequela run`.",
        )
    try:
        return Manifest.model_validate_json(path.read_bytes())
    except ValidationError as error:
        raise SequelaError(f"{path} is not a manifest of this version of sequela: {error}") from error


def utc_now() -> datetime:
    """Now, in UTC, to the second."""
    return datetime.now(timezone.utc).replace(microsecond=0)
