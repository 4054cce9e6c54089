"""One model of a study without its weights: the tasks that a run would do, with their keys and their work."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from functools import cached_property

from sequela.core.precision import Precision
from sequela.core.progress import Progress
from sequela.editors import AnyEditor
from sequela.editors.base import Editor
from sequela.editors.regularizers.base import RegularizedEditor
from sequela.edits import Edit
from sequela.evaluation.edit_quality.measure import (
    RETENTION_AT_N,
    SUCCESS_AT_EDIT,
    measure_edits,
    neighborhood_answers,
)
from sequela.evaluation.edit_quality.text_quality import measure_texts, reference_texts
from sequela.evaluation.suites.perplexity import WINDOW, HealthSuite
from sequela.inference import Engine, perplexity
from sequela.models.loading import choose_device
from sequela.models.weightless import BYTES_PER_TOKEN, WeightlessModel, weightless_model
from sequela.planning.counting import CountingEngine
from sequela.planning.work import Work, counted_work
from sequela.results import EDIT_QUALITY
from sequela.scheduling import Task
from sequela.studies.model_bench import ModelBench
from sequela.studies.model_tasks import ModelTasks
from sequela.studies.plan import Plan
from sequela.studies.tasks import TaskKind

UNPLANNED = frozenset({TaskKind.LOAD.value, TaskKind.PLAN_METHOD.value})
"""The kinds of tasks that a plan doesn't list: loading is estimated by model, planning takes no time."""


class WeightlessBench(ModelBench):
    """A model of a study as far as it is known without its weights.

    Args:
        plan: The plan of the study.
        name: The model's name in the study.
        precision: The data type of the weights.
        progress: Receives messages and progress.
        on_device: The type of the device, if it isn't one of this machine.

    Raises:
        SequelaError: The model's configuration isn't here, or a method of the study can't be used with it.
    """

    def __init__(
        self, plan: Plan, name: str, precision: Precision, progress: Progress, on_device: str | None = None
    ) -> None:
        import torch

        self.plan = plan
        device = torch.device(on_device) if on_device else choose_device(plan.study.device)
        self.model: WeightlessModel = weightless_model(name, precision.dtype, device)
        self.progress = progress
        self._open = ExitStack()

    @cached_property
    def engine(self) -> Engine:
        """An engine that counts."""
        return CountingEngine(self.tokens_of)

    @property
    def tokens_of(self) -> float:
        """The number of the model's tokens for one of the tokenizer at hand."""
        return 1.0 if self.model.has_tokenizer else 1.0 / BYTES_PER_TOKEN

    def inputs(self, method: int) -> Mapping[str, str]:
        """Returns nothing: what a method reads besides the model isn't read here; see `keys_are_known`."""
        return {}

    def keys_are_known(self, method: int) -> bool:
        """Returns whether the addresses of a method's outputs are known without preparing it."""
        editor = _innermost(self.sessions[method].editor)
        return self.model.knows_weights and type(editor).inputs is Editor.inputs

    @cached_property
    def tasks_of_model(self) -> Sequence[Task]:
        """The tasks of the unedited model, and the preparation of each method."""
        return self._without_doubles(ModelTasks(self, f"load {self.model.name}").loaded().tasks)

    def tasks_of_method(self, method: int) -> Sequence[Task]:
        """Returns the tasks of a method's trajectories."""
        return self._without_doubles(ModelTasks(self, f"load {self.model.name}").planned(method).tasks)

    def _without_doubles(self, tasks: Sequence[Task]) -> Sequence[Task]:
        return list({task.key: task for task in tasks if task.kind not in UNPLANNED}.values())

    # The work of each kind of task

    @cached_property
    def suite_work(self) -> Mapping[str, Work]:
        """The work of each suite, and of edit quality for all edits of the study."""
        found = {}
        for suite in self.plan.suites:
            self.progress.say(f"{self.model.name}: counting the tokens of {suite.name}")
            found[suite.name] = counted_work(
                lambda engine, suite=suite: (suite.evaluate(self.unedited, engine), ()),  # type: ignore[misc]
                self.tokens_of,
            )
        found[EDIT_QUALITY] = counted_work(self._retention, self.tokens_of)
        return found

    @cached_property
    def answers_work(self) -> Work:
        """The work of asking the unedited model for reference answers."""
        plan = self.plan
        settings, edits = plan.study.edit_quality, plan.edits

        def ask(engine: CountingEngine) -> tuple[tuple[()], tuple[()]]:
            neighborhood_answers(self.unedited, engine, edits, settings)
            reference_texts(self.unedited, engine, edits, settings)
            return (), ()

        return counted_work(ask, self.tokens_of)

    @cached_property
    def health_work(self) -> Work:
        """The work of one measurement of the health metrics."""
        window = min(WINDOW, self.model.context_length)

        def measure(engine: CountingEngine) -> tuple[tuple[()], tuple[()]]:
            perplexity(engine, self.unedited, HealthSuite().text, window)
            return (), ()

        return counted_work(measure, self.tokens_of)

    def success_work(self, method: int) -> Work:
        """Returns the work of measuring one batch right after it, the mean of the study's batches."""
        size = min(self.plan.study.editors[method].batch_size, len(self.plan.edits))
        return self._success_of(size)

    def _success_of(self, size: int) -> Work:
        edits: list[Edit] = list(self.plan.edits)
        settings = self.plan.study.edit_quality
        whole = counted_work(
            lambda engine: ((), measure_edits(self.unedited, engine, edits, SUCCESS_AT_EDIT, settings)),
            self.tokens_of,
        )
        return whole.scaled(size / len(edits))

    def _retention(self, engine: CountingEngine):  # type: ignore[no-untyped-def]
        settings, edits = self.plan.study.edit_quality, self.plan.edits
        return (), [
            *measure_edits(self.unedited, engine, edits, RETENTION_AT_N, settings),
            *measure_texts(self.unedited, engine, edits, RETENTION_AT_N, settings, {}),
        ]


def _innermost(editor: AnyEditor) -> AnyEditor:
    """Returns a method without its regularizers."""
    return editor.editor if isinstance(editor, RegularizedEditor) else editor
