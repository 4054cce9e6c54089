"""A short measurement of a model on this machine, kept in the cache.

It takes seconds with a small model, and loads the weights. What was measured is used again for every study
with the same model, dtype, device and number of threads; methods and suites that are new are added.
"""

from __future__ import annotations

import contextlib
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
import transformers
from pydantic import BaseModel, ConfigDict

from sequela import __version__
from sequela.core.descriptions import read_description_of, write_description
from sequela.core.errors import SequelaError
from sequela.core.hashing import hash_json
from sequela.core.paths import cache_folder, ensure_writable
from sequela.core.precision import Precision
from sequela.core.progress import Progress
from sequela.core.temporary_files import temporary_folder
from sequela.core.workload import Clock
from sequela.edited import Delta, EditedModel
from sequela.editors.session import EditSession, Snapshot
from sequela.edits import Edit
from sequela.evaluation.edit_quality.measure import SUCCESS_AT_EDIT, measure_edits
from sequela.inference import Engine, GenerationRequest, ScoreRequest
from sequela.models import LanguageModel
from sequela.planning.counting import GeneratingCall
from sequela.planning.counts import Counts
from sequela.planning.fixed_costs import seconds_of_a_task
from sequela.planning.methods import method_key, recipe_of
from sequela.planning.planned_model import PlannedModel
from sequela.planning.speed import Flops, Lengths, MethodSpeed, Speed
from sequela.planning.suites import REFERENCE_ANSWERS, suite_key
from sequela.planning.synthetic_statistics import SyntheticStatistics
from sequela.results.environment import collect_environment
from sequela.statistics import Corpus, collect_key_covariances
from sequela.studies.model_workspace import ModelWorkspace

FORMAT = 1
"""The version of what a calibration measures; older ones are measured again."""

SHORT, N_SHORT = 24, 96
"""The number of tokens of short requests, and how many are scored."""

LONG, N_LONG = 512, 4
"""The same for long ones; they are shorter if the model's context is."""

ROWS = (1, 8, 32)
"""The numbers of texts that are continued at once."""

STEPS = 8
"""The number of steps of generation that are timed."""

PROMPT = 16
"""The number of tokens of a prompt that is continued."""

REPEATS, BRIEF = 4, 1.0
"""The maximum number of times that a call is timed, and the seconds after which it isn't repeated."""

ENOUGH = 8.0
"""The seconds after which no further batch of a method is timed."""

BATCHES = 4
"""The maximum number of batches of a method that are timed after the first."""

STATISTICS_TOKENS = 2048
"""The number of tokens on which the statistics are timed."""


class Calibration(BaseModel):
    """A stored measurement.

    Args:
        format: The version.
        about: What was measured where, for people to read.
        speed: The speed.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: int = FORMAT
    about: Mapping[str, str]
    speed: Speed


def calibration_file(planned: PlannedModel, precision: Precision) -> Path:
    """Returns the file for the calibration of a model on this machine; it may not exist."""
    return cache_folder() / "calibrations" / f"{hash_json(dict(_about(planned, precision)))}.json"


def stored_calibration(planned: PlannedModel, precision: Precision) -> Speed | None:
    """Returns what was measured before; None if nothing was, or not by this version."""
    path = calibration_file(planned, precision)
    if not path.is_file():
        return None
    try:
        found = read_description_of(path, Calibration, "calibration")
    except SequelaError:  # of another version, or damaged: it is measured again
        return None
    return found.speed if found.format == FORMAT else None


def _about(planned: PlannedModel, precision: Precision) -> Mapping[str, str]:
    """Returns what decides a measurement."""
    device = planned.model.device
    environment = collect_environment(str(device), precision.name)
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else environment.cpu
    files = planned.model.files
    return {
        "model": planned.model.name,
        "files": files.identity if files is not None else "",
        "dtype": precision.name,
        "device": f"{device.type}, {name}",
        "threads": str(torch.get_num_threads()),
        "engine": planned.plan.study.engine,
        "sequela": __version__,
        "torch": torch.__version__,
        "transformers": transformers.__version__,
    }


def calibrate(
    planned: PlannedModel,
    counts: Counts,
    precision: Precision,
    progress: Progress,
    clock: Clock = time.perf_counter,
) -> Speed:
    """Measures a model on this machine and keeps the result, with what is known of other methods and suites.

    Args:
        planned: The model without its weights.
        counts: What the study asks of it.
        precision: The dtype of the weights.
        progress: Receives messages and progress.
        clock: Returns the time in seconds.

    Raises:
        SequelaError: The model can't be loaded.
    """
    progress.say(f"{planned.model.name}: measuring this machine")
    started = clock()
    with contextlib.closing(ModelWorkspace(planned.plan, planned.model.name, precision, progress)) as real:
        load_seconds = clock() - started
        measuring = _Measuring(real, planned, clock)
        speed, earlier = measuring.speed(load_seconds), stored_calibration(planned, precision)
        methods = dict(earlier.methods) if earlier else {}
        answers = dict(earlier.answers) if earlier else {}
        for number, session in enumerate(real.sessions):
            progress.say(f"{planned.model.name}: timing an edit with {session.editor.name}")
            if (timed := measuring.method(session, number)) is not None:
                methods[method_key(session)] = timed
        for key, calls in _generating(planned, counts).items():
            answers[key] = measuring.answers(calls)
    speed = speed.model_copy(update={"methods": methods, "answers": answers})
    calibration = Calibration(about=_about(planned, precision), speed=speed)
    with contextlib.suppress(OSError, SequelaError):  # a cache that can't be written to: measured next time
        write_description(calibration_file(planned, precision), calibration)
    return speed


def _generating(planned: PlannedModel, counts: Counts) -> Mapping[str, Sequence[GeneratingCall]]:
    """Returns the generating calls of each suite that has some, by the suite's key."""
    found = {}
    for name, work in {**counts.suites, REFERENCE_ANSWERS: counts.answers}.items():
        calls = [call for call in work.calls if isinstance(call, GeneratingCall)]
        if calls:
            found[suite_key(planned, name)] = calls
    return found


@dataclass(frozen=True)
class _Measuring:
    """The measurements of one model.

    Args:
        real: The model with its weights.
        planned: The model without them.
        clock: Returns the time.
    """

    real: ModelWorkspace
    planned: PlannedModel
    clock: Clock

    @property
    def model(self) -> LanguageModel:
        return self.real.model

    @property
    def engine(self) -> Engine:
        return self.real.engine

    def speed(self, load_seconds: float) -> Speed:
        """Returns everything that doesn't depend on methods and suites."""
        flops, edited = Flops.of(self.planned.model), EditedModel(self.model)
        longest = min(LONG, self.model.context_length // 2)
        self.score(edited, 1, SHORT)  # the first call of a process takes longer
        call = self.timed(lambda: self.score(edited, 1, 4))
        rates = []
        for length, count in ((SHORT, N_SHORT), (longest, N_LONG)):
            tokens = count * length
            seconds = self.timed(lambda n=count, m=length: self.score(edited, n, m))  # type: ignore[misc]
            operations = flops.tokens(tokens, length)
            rates.append((float(length), max(seconds - call, seconds / 10) / operations))
        tokens = N_SHORT * SHORT
        all_asked = self.timed(lambda: self.score(edited, N_SHORT, SHORT, asked=SHORT)) - call
        beside = all_asked - flops.tokens(tokens, SHORT) * rates[0][1]
        steps, first = [], 0.0
        for rows in ROWS:
            once = self.timed(lambda n=rows: self.generate(edited, n, 1))  # type: ignore[misc]
            more = self.timed(lambda n=rows: self.generate(edited, n, 1 + STEPS))  # type: ignore[misc]
            steps.append((float(rows), max((more - once) / STEPS, 1e-6)))
            first = first or once
        read = flops.tokens(PROMPT, PROMPT) * rates[0][1]
        ensure_writable(cache_folder())
        with temporary_folder(cache_folder()) as folder:
            task_seconds, item_seconds = seconds_of_a_task(folder, self.clock)
        return Speed(
            load_seconds=load_seconds,
            call_seconds=call,
            flop_seconds=tuple(sorted(rates)),
            position_seconds=max(0.0, beside) / tokens,
            generating_call_seconds=max(0.0, first - read),
            step_seconds=tuple(steps),
            task_seconds=task_seconds,
            item_seconds=item_seconds,
        )

    def method(self, session: EditSession, number: int) -> MethodSpeed | None:
        """Times the preparation of a method without statistics, and some batches; None if it can't be."""
        made_up = SyntheticStatistics(self.model, recipe_of(session))
        session = replace(session, resources=replace(session.resources, statistics=made_up))
        size = session.batch_size
        first = self.real.plan.study.orders[0]
        edits: list[Edit] = list(self.real.trajectories[(number, *first)].edits)
        batches = [edits[at : at + size] for at in range(0, len(edits) - size + 1, size)] or [edits]
        try:
            started = self.clock()
            at: Snapshot = session.start()
            prepared = self.clock() - started
            seconds, measured = list[float](), list[float]()
            sizes = [_bytes_of(at)]
            for step in range(1 + BATCHES):
                if sum(seconds) + sum(measured) > ENOUGH:
                    break
                if step == len(batches):
                    at = session.start()
                started = self.clock()
                at = session.apply_batch(batches[step % len(batches)], at)
                seconds.append(self.clock() - started)
                sizes.append(_bytes_of(at))
                started = self.clock()
                self.success(session, at, batches[step % len(batches)])
                measured.append(self.clock() - started)
        except SequelaError as error:
            self.real.progress.say(f"{session.editor.name} can't be timed: {error.message}")
            return None
        later = seconds[1:] or seconds
        grown = sizes[2] - sizes[1] if len(batches) > 1 and len(sizes) > 2 else 0.0
        return MethodSpeed(
            prepare_seconds=prepared,
            first_seconds=max(0.0, seconds[0] - max(later)) if seconds[1:] else 0.0,
            batch_seconds=statistics.fmean(later),
            success_seconds=statistics.fmean(measured[1:] or measured),
            statistics_seconds=self.of_statistics(sorted(made_up.layers)),
            first_bytes=sizes[1],
            batch_bytes=max(0.0, grown),
        )

    def success(self, session: EditSession, at: Snapshot, batch: Sequence[Edit]) -> None:
        """Measures a batch right after it, as a run does."""
        settings = self.real.plan.study.edit_quality
        edited = session.edited(at, self.real.routers)
        measure_edits(edited, self.engine, batch, SUCCESS_AT_EDIT, settings)

    def of_statistics(self, layers: list[int]) -> float:
        """Returns the seconds in which a token of the text for statistics is run."""
        if not layers:
            return 0.0
        window = min(256, self.model.context_length)
        rows = [self.row(n, window) for n in range(max(1, STATISTICS_TOKENS // window))]
        corpus = Corpus.of("random tokens", torch.tensor(rows))
        seconds = self.timed(lambda: collect_key_covariances(self.model, corpus, layers))
        return seconds / corpus.n_tokens

    def answers(self, calls: Sequence[GeneratingCall]) -> Lengths:
        """Returns the lengths of the answers to some requests of each call, as shares of the maximum."""
        edited = self.real.unedited
        found = []
        for call in calls:
            generations = self.engine.generate(edited, call.sample)
            found.append(
                tuple(
                    min(1.0, len(generation.ids) / request.max_tokens)
                    for generation, request in zip(generations, call.sample, strict=True)
                )
            )
        return tuple(found)

    def timed(self, run: Callable[[], object]) -> float:
        """Returns the mean time of a call: beside other work, the shortest would promise too much."""
        seconds = list[float]()
        while len(seconds) < REPEATS and sum(seconds) < BRIEF:
            started = self.clock()
            run()
            if self.model.device.type == "cuda":
                torch.cuda.synchronize(self.model.device)
            seconds.append(self.clock() - started)
        return statistics.fmean(seconds)

    def score(self, edited: EditedModel, count: int, length: int, asked: int = 1) -> None:
        """Scores requests of some tokens, the last of which are asked for."""
        rows = [self.row(number, length + 1) for number in range(count)]
        self.engine.score(edited, [ScoreRequest(tuple(row[:-asked]), tuple(row[-asked:])) for row in rows])

    def generate(self, edited: EditedModel, count: int, tokens: int) -> None:
        rows = [self.row(number, PROMPT) for number in range(count)]
        self.engine.generate(edited, [GenerationRequest(tuple(row), tokens) for row in rows])

    def row(self, number: int, length: int) -> list[int]:
        """Returns random tokens, always the same for a number."""
        generator = torch.Generator().manual_seed(number)
        vocabulary = self.model.module.get_input_embeddings().num_embeddings
        return torch.randint(vocabulary, (length,), generator=generator).tolist()


def _bytes_of(at: Snapshot) -> float:
    """Returns the size of the tensors of a checkpoint."""
    delta: Delta = at.delta
    tensors = [*delta.tensors().values(), *at.state.tensors.values()]
    return float(sum(tensor.numel() * tensor.element_size() for tensor in tensors))
