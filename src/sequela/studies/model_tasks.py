"""The tasks of one model of a study. They follow from the loaded model, for every key has its fingerprint."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise

from sequela.core.hashing import hash_json
from sequela.core.wording import number_of
from sequela.edited.chat_template import template_labels
from sequela.edits import Finding
from sequela.results import EDIT_QUALITY, UNEDITED, Component, Labels, Plugin, method_label
from sequela.scheduling import Place, Task
from sequela.store import Address
from sequela.studies import pieces
from sequela.studies.model_workspace import ModelWorkspace
from sequela.studies.peak_memory import peak_memory_bytes
from sequela.studies.plugins import family_component, family_plugin
from sequela.studies.task_keys import Output
from sequela.studies.tasks import EditTask, MeasureTask, OfModel, Position, TaskKind, TrajectoryIndex
from sequela.studies.trajectory import Trajectory
from sequela.studies.trajectory_names import unedited_key


@dataclass(frozen=True)
class TrajectoryFacts:
    """The key and the labels of the results of a trajectory.

    Args:
        key: The trajectory's hash.
        labels: The labels before the first edit.
        label: The method and its variant, as in tables.
        batch_size: The number of edits per batch.
    """

    key: str
    labels: Labels
    label: str
    batch_size: int


@dataclass(frozen=True)
class UneditedFacts:
    """The key and the labels of results of the unedited model.

    Args:
        key: The hash of the model and the edits, as the trajectory of its measurements.
        labels: The labels.
    """

    key: str
    labels: Labels


@dataclass(frozen=True)
class LoadedModel:
    """The result of loading a model.

    Args:
        name: The model's name in the study.
        fingerprint: Its fingerprint.
        peak_memory_bytes: The peak main memory of the process after loading it.
        end_tokens: The hash of its end tokens, which the fingerprint doesn't cover.
        component: Its family.
        plugins: The package of its family, if that isn't built in.
        findings: The findings about the edits of each sample, by the model's tokenizer.
        monitor: The version of the health monitor; empty if the study measures no health.
        unedited: What results of the unedited model are labeled with, of benchmarks and health metrics.
        unedited_quality: What its edit quality is labeled with, by sample; without samples, the same.
        trajectories: The trajectories by the position of their method, their sample and their shuffle seed.
        tasks: The tasks of the model, but those that follow from the preparation of a method.
    """

    name: str
    fingerprint: str
    peak_memory_bytes: int
    end_tokens: str
    component: Component
    plugins: tuple[Plugin, ...]
    findings: Mapping[int | None, tuple[Finding, ...]]
    monitor: str
    unedited: UneditedFacts
    unedited_quality: Mapping[int | None, UneditedFacts]
    trajectories: Mapping[TrajectoryIndex, TrajectoryFacts]
    tasks: tuple[Task, ...]


@dataclass(frozen=True)
class PreparedMethod:
    """The result of preparing a method.

    Args:
        peak_memory_bytes: The peak main memory of the process after it.
        used: The objects of the store that the method uses: statistics, a trained network.
    """

    peak_memory_bytes: int
    used: frozenset[Address]


@dataclass(frozen=True)
class PlannedMethod:
    """The result of planning a method, once it is prepared.

    Args:
        model: The model's name in the study.
        label: The model and the method, as the manifest names them.
        inputs: The hashes of what it has read besides the model and the edits.
        tasks: The tasks of its trajectories.
    """

    model: str
    label: str
    inputs: Mapping[str, str]
    tasks: tuple[Task, ...]


class ModelTasks:
    """Makes the tasks of a model.

    Args:
        workspace: The loaded model.
        load: The key of the task that loads the model.
    """

    def __init__(self, workspace: ModelWorkspace, load: str) -> None:
        self._workspace = workspace
        self._plan = workspace.plan
        self._load = load
        self._name = workspace.model.name

    def loaded(self) -> LoadedModel:
        """Returns what the main process needs to know of the model."""
        workspace, plan = self._workspace, self._plan
        return LoadedModel(
            name=self._name,
            fingerprint=workspace.model.fingerprint,
            peak_memory_bytes=peak_memory_bytes(),
            end_tokens=hash_json(sorted(workspace.model.end_ids)),
            component=family_component(workspace.model.family),
            plugins=family_plugin(workspace.model.family),
            findings={sample: plan.findings(workspace.model, sample) for sample in plan.samples},
            monitor=workspace.monitor.version if plan.study.alarms.every else "",
            unedited=self._unedited_facts(None),
            unedited_quality={sample: self._unedited_facts(sample) for sample in plan.samples},
            trajectories={at: _facts(one) for at, one in workspace.trajectories.items()},
            tasks=tuple(self._unedited_tasks()),
        )

    def _unedited_facts(self, sample: int | None) -> UneditedFacts:
        """Returns the labels of the unedited model; None is the sample of what belongs to no sample."""
        workspace, plan = self._workspace, self._plan
        edits = plan.samples.get(sample)
        key = unedited_key(workspace.model.fingerprint, None if edits is None else edits.content_hash, sample)
        labels = Labels(
            model=self._name,
            editor=UNEDITED,
            variant="",
            edit_source=plan.edits.name,
            order_seed=plan.study.order_seeds[0],
            edit_sample=sample,
            n_edits=0,
            **template_labels(workspace.routers),
        )
        return UneditedFacts(key, labels)

    def planned(self, method: int) -> PlannedMethod:
        """Returns the tasks of a method's trajectories.

        Args:
            method: The position of the method among the study's editors.
        """
        tasks: list[Task] = []
        for sample, seed in self._plan.study.orders:
            tasks += self._trajectory_tasks(method, sample, seed)
        editor = self._workspace.sessions[method].editor
        label = f"{self._name}, {method_label(editor.name, editor.variant)}"
        return PlannedMethod(self._name, label, self._workspace.inputs(method), tuple(tasks))

    def _unedited_tasks(self) -> Iterator[Task]:
        """Yields the tasks of the unedited model, and those that prepare and plan its methods.

        Quick suites give early numbers. Then the methods are prepared, so that unusable settings are reported
        before slow measurements.
        """
        name, keys, study = self._name, self._workspace.keys, self._plan.study
        suites = [
            Task(
                keys.unedited(suite).key,
                TaskKind.MEASURE_UNEDITED.value,
                self._label("unedited model", suite.name),
                (self._load,),
                (name,),
                pieces.suite_tokens(suite),
                payload=OfModel(name, suite.name),
            )
            for suite in self._plan.suites
        ]
        quick = [one for one in suites if one.weight <= pieces.QUICK_TOKENS]
        yield from quick
        prepared = [self._preparation(method) for method in range(len(study.editors))]
        yield from prepared
        for sample in self._plan.samples:
            yield from self._unedited_quality(sample)
        yield from (one for one in suites if one.weight > pieces.QUICK_TOKENS)
        if study.alarms.every:
            yield Task(
                keys.unedited_health(self._workspace.monitor.version).key,
                TaskKind.MONITOR_UNEDITED.value,
                self._label("unedited model", "health metrics"),
                (self._load,),
                (name,),
                pieces.ALARM_TOKENS,
                payload=OfModel(name),
            )
        for method, preparation in enumerate(prepared):
            yield Task(
                f"{preparation.key}, tasks",
                TaskKind.PLAN_METHOD.value,
                self._label(self._first_of(method).label, "tasks"),
                (preparation.key,),
                (name,),
                0.0,
                payload=OfModel(name, method=method),
            )

    def _unedited_quality(self, sample: int | None) -> Iterator[Task]:
        """Yields the tasks that ask the unedited model about the edits of a sample."""
        name, keys, n_edits = self._name, self._workspace.keys_of(sample), len(self._plan.samples[sample])
        asked = Task(
            keys.unedited_answers().key,
            TaskKind.ASK_UNEDITED.value,
            self._label("unedited model", "reference answers"),
            (self._load,),
            (name,),
            pieces.ANSWER_TOKENS * n_edits,
            payload=OfModel(name, edit_sample=sample),
        )
        yield asked
        yield Task(
            keys.unedited_quality().key,
            TaskKind.MEASURE_UNEDITED.value,
            self._label("unedited model", EDIT_QUALITY),
            (self._load, asked.key),
            (name,),
            pieces.QUALITY_TOKENS * n_edits,
            payload=OfModel(name, EDIT_QUALITY, edit_sample=sample),
        )

    def _first_of(self, method: int) -> Trajectory:
        """Returns the first trajectory of a method."""
        return next(one for (number, *_), one in self._workspace.trajectories.items() if number == method)

    def _preparation(self, method: int) -> Task:
        first = self._first_of(method)
        return Task(
            f"prepare {first.key}",
            TaskKind.PREPARE.value,
            self._label(first.label, "statistics and contexts"),
            (self._load,),
            (self._name,),
            1.0,
            payload=OfModel(self._name, method=method),
        )

    def _trajectory_tasks(self, method: int, sample: int | None, seed: int) -> Iterator[Task]:
        trajectory = self._workspace.trajectories[method, sample, seed]
        reference = self._workspace.keys_of(sample).unedited_answers().key
        place = self._place(trajectory)
        before = ""
        for start, stop in pairwise(self._plan.study.checkpoints):
            at = Position(self._name, method, seed, stop, sample)
            made = self._workspace.checkpoint_output(at)
            yield Task(
                made.key,
                TaskKind.EDIT.value,
                self._label(
                    trajectory.label, f"edit {stop}" if stop == start + 1 else f"edits {start + 1} to {stop}"
                ),
                (*((before,) if before else ()), reference),
                place,
                pieces.EDIT_TOKENS * (stop - start),
                payload=EditTask(at, start, before, reference),
                is_result=True,
            )
            yield from self._measurements(trajectory, at, made)
            before = made.key

    def _measurements(self, trajectory: Trajectory, at: Position, made: Output) -> Iterator[Task]:
        keys, place = self._workspace.keys_of(at.edit_sample), self._place(trajectory)
        count = number_of("edit", at.n_edits)
        reference = keys.unedited_answers().key
        yield Task(
            keys.measured_quality(made).key,
            TaskKind.MEASURE.value,
            self._label(trajectory.label, count, EDIT_QUALITY),
            (made.key, reference),
            place,
            pieces.QUALITY_TOKENS * at.n_edits,
            payload=MeasureTask(at, EDIT_QUALITY, made.key, reference),
        )
        for suite in self._plan.suites:
            yield Task(
                keys.measured(made, suite).key,
                TaskKind.MEASURE.value,
                self._label(trajectory.label, count, suite.name),
                (made.key,),
                place,
                pieces.suite_tokens(suite),
                payload=MeasureTask(at, suite.name, made.key),
            )

    def _place(self, trajectory: Trajectory) -> Place:
        return (self._name, trajectory.label)

    def _label(self, *parts: str) -> str:
        """Returns a label of a task; it has the model's name if the study has several models."""
        several = len(self._plan.study.models) > 1
        return ", ".join((self._name, *parts) if several else parts)


def _facts(trajectory: Trajectory) -> TrajectoryFacts:
    return TrajectoryFacts(
        trajectory.key, trajectory.labels(0), trajectory.label, trajectory.session.batch_size
    )
