"""What a study is going to do, worked out and checked before anything long begins."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sequela.core.errors import BadInputError
from sequela.core.hashing import hash_json
from sequela.core.progress import SILENT, Progress
from sequela.edited.chat_template import ChatTemplate
from sequela.editors import AnyEditor, Resources, create_editor
from sequela.editors.session import EditSession, check_subjects
from sequela.edits import EditSet, load_edits
from sequela.evaluation.registry import make_suite
from sequela.evaluation.suite import Suite
from sequela.inference.registry import ENGINE_REGISTRY
from sequela.models import LanguageModel
from sequela.results import EDIT_QUALITY, SuiteInfo
from sequela.results.suite_info import edit_quality_info
from sequela.studies.study import EditorChoice, Study
from sequela.studies.trajectory import Trajectory


@dataclass(frozen=True)
class Plan:
    """A study with everything it names made and checked, except the models.

    Args:
        study: The study.
        edits: The edits as the source has them; every order seed shuffles these.
        editors: The methods, as chosen and as made.
        suites: What is measured besides edit quality.
    """

    study: Study
    edits: EditSet
    editors: tuple[tuple[EditorChoice, AnyEditor], ...]
    suites: tuple[Suite, ...]

    @property
    def n_evaluations(self) -> int:
        """How many evaluations the study has: a suite on a checkpoint is one."""
        per_checkpoint = len(self.suites) + 1
        edited = len([n for n in self.study.checkpoints if n > 0])
        trajectories = len(self.editors) * len(self.study.order_seeds)
        alarms = sum(len(self.study.monitors_due(choice.batch_size)) for choice, _ in self.editors)
        readings = alarms * len(self.study.order_seeds) + bool(self.study.alarms.every)
        return len(self.study.models) * (per_checkpoint * (1 + trajectories * edited) + readings)

    def suite_versions(self) -> dict[str, str]:
        """The version of each suite, edit quality included."""
        versions = {suite.name: suite.version for suite in self.suites}
        versions[EDIT_QUALITY] = self.edit_quality_version
        return versions

    def suite_infos(self) -> dict[str, SuiteInfo]:
        """What reports say of each suite; of edit quality too, where packages bring metrics of it."""
        infos = {suite.name: suite.info for suite in self.suites}
        further = [metric.info for metric in self.study.edit_quality.further_metrics()]
        return {**infos, EDIT_QUALITY: edit_quality_info(further)} if further else infos

    @property
    def edit_quality_version(self) -> str:
        """What names the edit-quality measurement of this study."""
        settings = self.study.edit_quality
        content: dict[str, object] = {"probes": 2, "settings": settings.model_dump(mode="json")}
        if settings.metrics:
            content["metrics"] = {metric.name: metric.version for metric in settings.further_metrics()}
        return hash_json(content)

    def sessions(self, model: LanguageModel, progress: Progress = SILENT) -> list[EditSession]:
        """Returns an edit session for every method of the study, with its preset for a model.

        Args:
            model: The model.
            progress: Receives messages and progress.

        Raises:
            BadInputError: A preset isn't there, two methods would have one name, or the edits are to be given
                in a chat template and the model has none.
        """
        study = self.study
        resources = Resources.for_model(model, study.statistics, progress, seed=study.seed)
        template = ChatTemplate.of(model) if study.edit_template == "chat" else None
        sessions = [
            EditSession(
                model, editor, resources, choice.batch_size, study.on_bad_edit, template
            ).with_preset()
            for choice, editor in self.editors
        ]
        choices = [choice for choice, _ in self.editors]
        editors = [session.editor for session in sessions]
        check_distinguishable(list(zip(choices, editors, strict=True)), filled_in=True)
        return sessions

    def trajectories(self, sessions: Sequence[EditSession]) -> list[Trajectory]:
        """Returns every trajectory of a model, method by method, the orders of the edits within.

        Args:
            sessions: The model's sessions, as `sessions` returns them.
        """
        study = self.study
        return [
            Trajectory(session, self.edits.shuffled(order_seed), order_seed, study.evaluation_template)
            for session in sessions
            for order_seed in study.order_seeds
        ]

    def notes(self) -> Iterator[str]:
        """What a reader of the results must know."""
        if self.edits.skipped:
            shown = "; ".join(str(record) for record in self.edits.skipped[:3])
            yield (
                f"{len(self.edits.skipped)} records of {self.edits.name} were left out because they can't "
                f"be edits, for example {shown}."
            )


def make_plan(study: Study) -> Plan:
    """Loads the edits, makes methods and suites.

    Raises:
        UnknownNameError: An engine, editor, suite or source that doesn't exist.
        BadInputError: A wrong setting, or a wrong record named by file and number.
    """
    ENGINE_REGISTRY.get(study.engine)
    study.edit_quality.further_metrics()
    count = study.edits.count or study.n_edits
    edits = load_edits(study.edits.source, study.edits.path, count)
    editors = tuple((choice, create_editor(choice.name, choice.settings)) for choice in study.editors)
    for choice, editor in editors:
        editor.info.check_batch_size(choice.batch_size)
        check_subjects(editor, edits)
    check_distinguishable(editors, filled_in=False)
    suites = tuple(make_suite(choice.name, **choice.options) for choice in study.suites)
    names = [suite.name for suite in suites]
    for name in names:
        if names.count(name) > 1:
            raise BadInputError(f"The study names the suite {name!r} twice.")
    return Plan(study, edits, editors, suites)


def check_distinguishable(editors: Sequence[tuple[EditorChoice, AnyEditor]], filled_in: bool) -> None:
    """Refuses methods whose results would bear one name.

    Args:
        editors: The methods, as chosen and as made.
        filled_in: Whether presets have been filled in; before, two that differ in it may get two names yet.

    Raises:
        BadInputError: Two of them do.
    """
    labels = [
        (editor.name, editor.variant, choice.batch_size, None if filled_in else choice.settings.get("preset"))
        for choice, editor in editors
    ]
    for label in labels:
        if labels.count(label) > 1:
            raise BadInputError(
                f"The study has {label[0]} ({label[1] or 'no variant'}) twice: their results could not be "
                "told apart.",
                hint="Run them as two studies.",
            )
