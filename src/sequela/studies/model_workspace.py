"""One model of a study in a worker's memory: the model with its engine, its methods and its trajectories."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from functools import cached_property

from sequela.core.precision import Precision
from sequela.core.progress import Progress
from sequela.edited import EditedModel
from sequela.edited.chat_template import ChatTemplate, chat_templates
from sequela.editors.session import EditSession
from sequela.evaluation.monitors import HealthMonitor
from sequela.inference import Engine, open_engine
from sequela.models import LanguageModel, load_model
from sequela.models.known_fingerprints import remember_fingerprint
from sequela.results import EDIT_QUALITY
from sequela.store import Store
from sequela.studies.plan import Plan
from sequela.studies.task_keys import Output, TaskKeys
from sequela.studies.tasks import Position, TrajectoryIndex
from sequela.studies.trajectory import Trajectory


class ModelWorkspace:
    """A loaded model, and what a study does with it.

    Args:
        plan: The plan of the study.
        name: The model's name in the study.
        precision: The data type of the weights.
        progress: Receives messages and progress.
        store: The store of statistics.

    Raises:
        SequelaError: The model can't be loaded, or a method of the study can't be used with it.
    """

    def __init__(
        self, plan: Plan, name: str, precision: Precision, progress: Progress, store: Store | None = None
    ) -> None:
        self.plan = plan
        self.model: LanguageModel = load_model(
            name,
            device=plan.study.device,
            device_map=plan.study.device_map,
            dtype=precision.name,
            progress=progress,
        )
        remember_fingerprint(self.model)
        self.progress = progress
        self._store = store
        self._open = ExitStack()

    def close(self) -> None:
        """Releases the engine."""
        self._open.close()

    @cached_property
    def routers(self) -> tuple[ChatTemplate, ...]:
        """The chat template of evaluation prompts, if the study has one."""
        return chat_templates(self.model, self.plan.study.asking_template)

    @cached_property
    def unedited(self) -> EditedModel:
        """The unedited model as suites ask it."""
        return EditedModel(self.model, routers=self.routers)

    @cached_property
    def sessions(self) -> list[EditSession]:
        """The session of each method, in the study's order."""
        return self.plan.sessions(self.model, self.progress, self._store)

    @cached_property
    def engine(self) -> Engine:
        """The engine that runs requests; it keeps hidden states at the lowest block of every method."""
        study = self.plan.study
        expected = frozenset(session.editor.lowest_block(self.model) for session in self.sessions)
        return self._open.enter_context(
            open_engine(study.engine, self.model, study.memory, expected, self.progress)
        )

    @cached_property
    def monitor(self) -> HealthMonitor:
        """The monitor of the health of edited models."""
        return HealthMonitor(self.model, self.engine)

    @property
    def keys(self) -> TaskKeys:
        """The addresses of the outputs that don't depend on the edits, such as a benchmark's."""
        return self.keys_of(self.plan.study.samples[0])

    def keys_of(self, sample: int | None) -> TaskKeys:
        """Returns the addresses of the outputs of the model's tasks about a sample of edits."""
        return self._keys[sample]

    @cached_property
    def _keys(self) -> Mapping[int | None, TaskKeys]:
        plan = self.plan
        return {
            sample: TaskKeys(
                plan.study, self.model, self.routers, edits, plan.version_of(EDIT_QUALITY, sample)
            )
            for sample, edits in plan.samples.items()
        }

    @cached_property
    def trajectories(self) -> Mapping[TrajectoryIndex, Trajectory]:
        """The trajectories by the position of their method, their sample and their shuffle seed."""
        orders = self.plan.study.orders
        found = iter(self.plan.trajectories(self.sessions))
        return {(method, *order): next(found) for method in range(len(self.sessions)) for order in orders}

    def inputs(self, method: int) -> Mapping[str, str]:
        """Returns the hashes of what a method has read besides the model and the edits; prepares the method.

        Args:
            method: The position of the method among the study's editors.
        """
        session = self.sessions[method]
        return dict(session.editor.inputs(session.model, session.start().state))

    def checkpoint_output(self, at: Position) -> Output:
        """Returns the output of the edits up to a checkpoint."""
        trajectory = self.trajectories[at.trajectory]
        edits = trajectory.edits[: at.n_edits]
        monitor = self.monitor.version if self.plan.study.alarms.every else ""
        keys = self.keys_of(at.edit_sample)
        return keys.checkpoint(trajectory.session, edits, self.inputs(at.method), monitor)
