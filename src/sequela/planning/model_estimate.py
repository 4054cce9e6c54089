"""The estimate of one model of a study: time by kind of task, memory and disk."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from sequela.core.precision import Precision
from sequela.core.progress import SILENT, Progress
from sequela.core.workload import Clock
from sequela.models import load_model
from sequela.planning.calibration import calibrate, stored_calibration
from sequela.planning.counting import ScoringCall
from sequela.planning.counts import Counts
from sequela.planning.device_profiles import DeviceProfile
from sequela.planning.disk import DiskSpace, of_statistics
from sequela.planning.local_profile import profile_of_this_machine
from sequela.planning.memory import PeakMemory, memory_in_use, peak_memory
from sequela.planning.methods import MethodShape, method_key, recipe_of, shape_of, statistics_tokens
from sequela.planning.planned_model import PlannedModel
from sequela.planning.profile_speed import profile_speed
from sequela.planning.speed import Clockwork, Flops, Speed
from sequela.planning.suites import suite_key
from sequela.planning.task_times import TaskEstimate, TaskTimes
from sequela.planning.work import Work
from sequela.scheduling import Task
from sequela.statistics import Statistics
from sequela.store import Address, Store
from sequela.studies.plan import Plan
from sequela.studies.tasks import TaskKind

Calibrate = Literal["if stored", "again", "never"]
"""The source of times: a measurement: a stored one, a new one, or from a profile only."""

MEASURED = "measured on this machine"


@dataclass(frozen=True)
class Options:
    """The way in which a study is estimated.

    Args:
        calibrate: Whether times are from a measurement on this machine.
        profile: The profile of the device that the study will run on; None for this machine.
        check_store: Whether a model is loaded if its fingerprint, without which nobody knows what the store
            has, is unknown.
        clock: Returns the time in seconds.
    """

    calibrate: Calibrate = "if stored"
    profile: DeviceProfile | None = None
    check_store: bool = False
    clock: Clock = time.perf_counter


@dataclass(frozen=True)
class ModelEstimate:
    """The work, time, memory and disk that a model of a study will take.

    Args:
        name: The model's name in the study.
        n_parameters: The number of its weights.
        dtype: Their dtype.
        basis: Where the times are from.
        has_tokenizer: False if tokens are estimated from bytes.
        memory: The peak memory.
        load_seconds: The time to load it.
        tasks: All tasks.
        suites: The work of each suite, once.
        statistics_tokens: The number of tokens that are run for key statistics that aren't there.
        gradient_steps: The maximum number of gradient steps of all edits.
        notes: Remarks.
    """

    name: str
    n_parameters: int
    dtype: str
    basis: str
    has_tokenizer: bool
    memory: PeakMemory
    load_seconds: float
    tasks: tuple[TaskEstimate, ...]
    suites: Mapping[str, Work]
    statistics_tokens: int
    gradient_steps: int
    notes: tuple[str, ...]

    @property
    def left(self) -> tuple[TaskEstimate, ...]:
        """The tasks whose output isn't in the store, as far as that is known."""
        return tuple(task for task in self.tasks if not task.stored)

    @property
    def seconds(self) -> float:
        """The time of everything that is left, with one worker."""
        return self.load_seconds + sum(task.seconds for task in self.left)

    @property
    def disk(self) -> DiskSpace:
        """The disk space of everything that is left."""
        return sum((task.disk for task in self.left), DiskSpace())


def estimate_model(
    plan: Plan, name: str, precision: Precision, store: Store, progress: Progress, options: Options
) -> ModelEstimate:
    """Estimates what a model of a study will take.

    Args:
        plan: The plan of the study.
        name: The model's name in the study.
        precision: The dtype of its weights.
        store: The store.
        progress: Receives messages and progress.
        options: How it is estimated.

    Raises:
        SequelaError: The model's configuration isn't here, or a method of the study can't be used with it.
    """
    on_device = options.profile.device if options.profile is not None else None
    planned = PlannedModel(plan, name, precision, progress, on_device)
    counts = Counts(planned)
    shapes = tuple(shape_of(session, planned.model, plan.edits) for session in planned.sessions)
    calls = _calls(plan, counts)
    program = memory_in_use()
    speed, basis, notes = _speed(planned, counts, shapes, precision, progress, options)
    if not planned.model.knows_weights and planned.model.files and planned.model.files.weights:
        if options.check_store and options.calibrate != "again":
            _load_once(planned, precision, progress)
        planned = PlannedModel(plan, name, precision, SILENT, on_device)  # now its fingerprint may be known
    times = TaskTimes(planned, counts, speed, shapes)
    tasks = tuple(_estimated(times, store, options.profile is None))
    prepared, tokens = _with_statistics(times, tasks)
    scored = _distinct_tokens(plan, counts)
    return ModelEstimate(
        name=name,
        n_parameters=planned.model.n_parameters,
        dtype=precision.name,
        basis=basis,
        has_tokenizer=planned.model.has_tokenizer,
        memory=peak_memory(planned.model, calls, scored, shapes, program, plan.study.memory),
        load_seconds=speed.load_seconds,
        tasks=prepared,
        suites=counts.suites,
        statistics_tokens=tokens,
        gradient_steps=_gradient_steps(plan, shapes, planned),
        notes=(*notes, *_notes(times, plan)),
    )


def _speed(
    planned: PlannedModel,
    counts: Counts,
    shapes: Sequence[MethodShape],
    precision: Precision,
    progress: Progress,
    options: Options,
) -> tuple[Speed, str, list[str]]:
    """Returns the speed of a model, where it is from, and remarks."""
    methods = list(zip(planned.sessions, shapes, strict=True))
    profile, notes = options.profile, list[str]()
    measured = None
    if profile is None and options.calibrate != "never":
        files = planned.model.files
        here = files is not None and bool(files.weights)
        if options.calibrate == "again" and here:
            measured = calibrate(planned, counts, precision, progress, options.clock)
        else:
            measured = stored_calibration(planned, precision)
            if options.calibrate == "again":
                notes.append("its weights are not on this machine, so it can't be measured")
    profile = profile or profile_of_this_machine(planned.model.device)
    guessed = profile_speed(profile, planned.model, precision.name, methods)
    untried = f"estimated from the profile {profile.name}, untried"
    if measured is None:
        return guessed, untried, notes
    keys = [method_key(session) for session in planned.sessions]
    if missing := [key for key in keys if key not in measured.methods]:
        names = [s.editor.name for s in planned.sessions if method_key(s) in missing]
        notes.append(f"{', '.join(names)}: {untried}")
        known = {**{key: guessed.methods[key] for key in missing}, **measured.methods}
        measured = measured.model_copy(update={"methods": known})
    return measured, MEASURED, notes


def _load_once(planned: PlannedModel, precision: Precision, progress: Progress) -> None:
    """Loads a model, which records its fingerprint."""
    from sequela.models.known_fingerprints import remember_fingerprint

    study = planned.plan.study
    remember_fingerprint(
        load_model(
            planned.model.name,
            device=study.device,
            device_map=study.device_map,
            dtype=precision.name,
            progress=progress,
        )
    )


def _estimated(times: TaskTimes, store: Store, is_here: bool) -> Iterator[TaskEstimate]:
    """Yields the estimate of each task."""
    planned = times.planned
    known = planned.model.knows_weights and is_here

    def stored(task: Task, key_is_known: bool) -> bool | None:
        if task.kind == TaskKind.PREPARE.value:
            return False
        return store.has(Address.parse(task.key)) if key_is_known else None

    for task in planned.tasks_of_model:
        yield times.of(task, stored(task, known))
    for method in range(len(planned.sessions)):
        for task in planned.tasks_of_method(method):
            yield times.of(task, stored(task, known and planned.keys_are_known(method)))


def _with_statistics(times: TaskTimes, tasks: Sequence[TaskEstimate]) -> tuple[tuple[TaskEstimate, ...], int]:
    """Adds the missing key statistics to the preparation of the first method that needs them.

    Returns:
        The tasks, and the number of tokens that are run.
    """
    model, found, run = times.planned.model, list(tasks), 0
    done: set[int] = set()
    for method, shape in enumerate(times.shapes):
        session, speed = times.session(method), times.method_speed(method)
        missing = set(_missing(session.resources.statistics, shape, model.knows_weights)) - done
        if not missing:
            continue
        n_tokens = statistics_tokens(session, model)
        text_is_new, done = not done, done | missing
        run += n_tokens
        seconds = n_tokens * speed.statistics_seconds if speed is not None else 0.0
        if text_is_new and recipe_of(session).source == "self":
            seconds += _sampling_seconds(times, n_tokens, recipe_of(session).window)
        at = next(
            n for n, task in enumerate(found) if task.kind == "prepare" and task.of == times.name_of(method)
        )
        found[at] = replace(
            found[at],
            what="contexts and statistics",
            seconds=found[at].seconds + seconds,
            disk=of_statistics(model, len(missing), n_tokens if text_is_new else 0),
        )
    return tuple(found), run


def _missing(statistics: Statistics, shape: MethodShape, is_known: bool) -> Sequence[int]:
    """Returns the layers whose statistics aren't there; all of them if that is unknown."""
    return statistics.missing(shape.statistics_layers) if is_known else shape.statistics_layers


def _sampling_seconds(times: TaskTimes, n_tokens: int, window: int) -> float:
    """Returns the time in which the text for statistics is sampled from the model, unless it is shipped."""
    from sequela.statistics.corpus import SAMPLING_ROWS, corpus_key
    from sequela.statistics.shipped import shipped_sequences

    model = times.planned.model
    spec = times.planned.plan.study.statistics
    if shipped_sequences(model.fingerprint, corpus_key(spec, model)) is not None:
        return 0.0
    rows = -(-n_tokens // window)
    clockwork = Clockwork(times.speed, Flops.of(model))
    full, rest = divmod(rows, SAMPLING_ROWS)
    steps = full * clockwork.step(SAMPLING_ROWS) + (clockwork.step(rest) if rest else 0.0)
    return steps * window


def _calls(plan: Plan, counts: Counts):  # type: ignore[no-untyped-def]
    works = [*counts.suites.values(), counts.answers]
    return [call for work in works for call in work.calls]


def _distinct_tokens(plan: Plan, counts: Counts) -> float:
    """Returns the number of scored tokens of all requests of a model that differ from one another."""
    suites = sum(
        call.tokens
        for suite in plan.suites
        for call in counts.suites[suite.name].calls
        if isinstance(call, ScoringCall)
    )
    quality = sum(counts.quality(n or len(plan.edits)).scored_tokens for n in plan.study.checkpoints)
    return suites + quality + counts.success(len(plan.edits)).scored_tokens


def _gradient_steps(plan: Plan, shapes: Sequence[MethodShape], planned: PlannedModel) -> int:
    per_order = sum(shape.gradient_steps * plan.study.n_edits for shape in shapes)
    return per_order * len(plan.study.orders)


def _notes(times: TaskTimes, plan: Plan) -> Iterator[str]:
    planned, model = times.planned, times.planned.model
    if not model.has_tokenizer:
        yield "its tokenizer is not on this machine: numbers of tokens are estimates, at four bytes a token"
    if not model.knows_weights:
        yield (
            "what the store has of it was not looked at: its fingerprint is unknown until it has been loaded "
            "on this machine (--check-store)"
        )
    for method, shape in enumerate(times.shapes):
        name = times.name_of(method)
        if shape.needs_network:
            yield f"{name} needs a trained network (`sequela train-editor`), whose training is not included"
        if model.knows_weights and not planned.keys_are_known(method):
            yield f"what the store has of {name} was not looked at: it depends on what the method reads"
        if times.session(method).editor.location == "prompt":
            yield f"{name} makes requests longer, which is not included"
        if times.method_speed(method) is None:
            yield f"the time of edits with {name} is unknown and not included"
    generating = [name for name, work in times.counts.suites.items() if work.most_generated_tokens]
    unknown = [name for name in generating if suite_key(planned, name) not in times.speed.answers]
    if unknown:
        yield f"answers of {', '.join(unknown)} are taken to be as long as they may be"
