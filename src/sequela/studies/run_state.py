"""The state of a run: from its manifest, its results, its lock, and the status that its process keeps."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict

from sequela.core.errors import BadInputError, UnknownNameError
from sequela.core.locks import FileLock, is_held
from sequela.results import Manifest, Status, open_store, read_manifest
from sequela.results.manifest import MANIFEST_NAME
from sequela.studies.run_lock import LOCK
from sequela.studies.run_requests import Cell
from sequela.studies.run_status import Process, RunStatus, StatusFile
from sequela.studies.trajectory_names import without_order

RUNNING, PAUSED, STARTING, KILLED = "running", "paused", "starting", "killed"
"""The states that a manifest doesn't distinguish: all have the status `running`."""


class RunState(BaseModel):
    """The state of a run.

    Args:
        folder: The folder of the run.
        status: `starting`, `running`, `paused`, `killed`, or the status in the manifest.
        reason: Why it failed, or was stopped; empty if there is no reason.
        process: The main process; None if the run has ended.
        evaluations_done: The number of finished evaluations.
        evaluations_planned: The number of planned evaluations.
        live: What the main process does; None if the run has ended, or has just begun.
        resume: The command that resumes the run; empty if it goes on or is complete.
    """

    model_config = ConfigDict(frozen=True)

    folder: str
    status: str
    reason: str = ""
    process: Process | None = None
    evaluations_done: int = 0
    evaluations_planned: int = 0
    live: RunStatus | None = None
    resume: str = ""


def state_of(folder: Path) -> RunState:
    """Returns the state of the run in a folder.

    Raises:
        SequelaError: There is no run, or its files are damaged.
    """
    lock = folder / LOCK
    holder = FileLock(lock).holder() if is_held(lock) else None
    process = None if holder is None else Process.of(holder)
    if process is not None and not (folder / MANIFEST_NAME).is_file():
        return RunState(folder=str(folder), status=STARTING, process=process)
    manifest = read_manifest(folder)
    with open_store(folder) as store:
        done = manifest.n_done(store.evaluations())
    live = StatusFile(folder).read()
    if live is not None and (process is None or not _is_of(live.process, process)):
        live = None  # of an earlier process, which was killed
    if process is not None:
        status = STARTING if live is None else PAUSED if live.is_paused else RUNNING
        reason = _pausing(live)
    elif manifest.status is Status.RUNNING:
        status = KILLED
        reason = "its process has ended without a word, as when it is killed"
    else:
        status, reason = manifest.status.value, manifest.error
    is_over = process is not None or manifest.status is Status.COMPLETE
    return RunState(
        folder=str(folder),
        status=status,
        reason=reason,
        process=process,
        evaluations_done=done,
        evaluations_planned=manifest.evaluations_planned,
        live=live,
        resume="" if is_over else manifest.command,
    )


def check_running(folder: Path, what: str) -> None:
    """Checks that a process runs a study in a folder.

    Args:
        folder: The folder.
        what: What can't be done otherwise, for the message.

    Raises:
        BadInputError: None does.
        SequelaError: There is no run.
    """
    if not is_held(folder / LOCK):
        manifest = read_manifest(folder)
        resume = f"Resume it with: {manifest.command}" if manifest.command else "`sequela run` resumes it."
        raise BadInputError(
            f"The run in {folder} can't be {what}: no process is running it.",
            hint="It is complete." if manifest.status is Status.COMPLETE else resume,
        )


def known_cell(folder: Path, model: str, editor: str, sample: int | None, seed: int | None) -> Cell:
    """Returns a cell of the run in a folder.

    Raises:
        UnknownNameError: The study has no such model, method, sample or shuffle seed.
    """
    manifest = read_manifest(folder)
    models = [str(name) for name in manifest.config.get("models", [])]
    seeds = manifest.seeds.get("order", [])
    known = {"model": (model, models), "method": (editor, [*manifest.methods, *_labels(manifest, models)])}
    if sample is not None:
        known["sample"] = str(sample), [str(one) for one in manifest.seeds.get("edit_samples", [])]
    if seed is not None:
        known["shuffle seed"] = str(seed), [str(one) for one in seeds]
    for kind, (name, names) in known.items():
        if name not in names:
            raise UnknownNameError(f"{kind} of this run", name, set(names))
    return Cell(model=model, editor=editor, sample=sample, seed=seed)


def _labels(manifest: Manifest, models: list[str]) -> list[str]:
    """Returns the methods with their variants, as far as models have been loaded."""
    keys = list(dict.fromkeys(map(without_order, manifest.trajectory_keys)))
    return [
        key.removeprefix(f"{model}, ") for model in models for key in keys if key.startswith(f"{model}, ")
    ]


def _is_of(writer: Process, holder: Process) -> bool:
    """Returns whether a status was written by the holder of the lock, which it gets first."""
    return (writer.pid, writer.host) == (holder.pid, holder.host) and writer.since >= holder.since


def _pausing(live: RunStatus | None) -> str:
    if live is None or not live.is_paused or not live.running:
        return ""
    return f"{len(live.running)} running tasks end first"
