"""The plan of a study, which is built and checked before anything slow starts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from sequela.core.errors import BadInputError
from sequela.core.hashing import hash_json
from sequela.core.progress import SILENT, Progress
from sequela.edited.chat_template import chat_templates, template_labels
from sequela.editors import AnyEditor, Resources, create_editor
from sequela.editors.session import EditSession
from sequela.edits import EditSet, Finding, check_edits, load_edits
from sequela.edits.questions import punctuation_matters, same_answer_by_spelling
from sequela.evaluation.edit_quality.answer_matching import MATCHING_VERSION
from sequela.evaluation.registry import make_suite
from sequela.evaluation.suite import Suite
from sequela.inference.registry import ENGINE_REGISTRY
from sequela.models import LanguageModel
from sequela.results import EDIT_QUALITY, SuiteInfo
from sequela.results.suite_info import edit_quality_info
from sequela.store import Store
from sequela.studies.edit_samples import SamplesOfEdits, edits_of_study, samples_of
from sequela.studies.study import EditorChoice, Study
from sequela.studies.text_rules import text_rules
from sequela.studies.trajectory import Trajectory
from sequela.studies.trajectory_names import of_sample


@dataclass(frozen=True)
class Plan:
    """A study with its edits, editors and suites, but without its models.

    Args:
        study: The study.
        edits: The edits in the order of the source; those of all samples if the study has samples. Each
            shuffle seed permutes the edits of a sample.
        editors: The methods, as specified in the study and as editors.
        suites: The suites that are run in addition to edit quality.
    """

    study: Study
    edits: EditSet
    editors: tuple[tuple[EditorChoice, AnyEditor], ...]
    suites: tuple[Suite, ...]

    @property
    def n_evaluations(self) -> int:
        """The number of evaluations; an evaluation is one suite at one checkpoint."""
        per_checkpoint = len(self.suites) + 1
        edited = len([n for n in self.study.checkpoints if n > 0])
        trajectories = len(self.editors) * len(self.study.orders)
        alarms = sum(len(self.study.monitors_due(choice.batch_size)) for choice, _ in self.editors)
        readings = alarms * len(self.study.orders) + bool(self.study.alarms.every)
        unedited = len(self.suites) + len(self.samples)  # edit quality is measured for each sample
        return len(self.study.models) * (unedited + per_checkpoint * trajectories * edited + readings)

    @cached_property
    def samples(self) -> SamplesOfEdits:
        """The edits of each sample, in the order of the source; of a study without samples, under None."""
        return samples_of(self.edits, self.study.edits)

    def suite(self, name: str) -> Suite:
        """Returns the suite of a name."""
        return next(suite for suite in self.suites if suite.name == name)

    def suite_versions(self) -> dict[str, str]:
        """Returns the version of each suite, including edit quality; of that, one for each sample."""
        versions = {suite.name: suite.version for suite in self.suites}
        for sample in self.samples:
            versions[of_sample(EDIT_QUALITY, sample)] = self._edit_quality_versions[sample]
        return versions

    def version_of(self, suite: str, sample: int | None = None) -> str:
        """Returns the version of a suite; that of edit quality depends on the edits.

        Args:
            suite: The suite.
            sample: The sample of edits; None if the study has none.
        """
        return self._edit_quality_versions[sample] if suite == EDIT_QUALITY else self.suite(suite).version

    def suite_infos(self) -> dict[str, SuiteInfo]:
        """Returns the description of each suite, and of edit quality if packages add metrics to it."""
        infos = {suite.name: suite.info for suite in self.suites}
        further = [metric.info for metric in self.study.edit_quality.further_metrics()]
        return {**infos, EDIT_QUALITY: edit_quality_info(further)} if further else infos

    @cached_property
    def _edit_quality_versions(self) -> Mapping[int | None, str]:
        return {sample: self._edit_quality_version(edits) for sample, edits in self.samples.items()}

    def _edit_quality_version(self, edits: EditSet) -> str:
        settings = self.study.edit_quality
        content: dict[str, object] = {
            "probes": 4,
            "counts": 2,
            "matching": MATCHING_VERSION,
            "settings": settings.model_dump(mode="json"),
        }
        relations = [edit.relation for edit in edits]
        if any(relations):  # they determine which edits ask the same question
            content["relations"] = relations
        if any(e.target_true and same_answer_by_spelling(e.target_new, e.target_true) for e in edits):
            content["answers"] = 2  # such edits count as unchanged
        if punctuation_matters(edits):
            content["questions"] = 2  # such edits supersede each other
        if (rules := text_rules(edits)) > 1:
            content["texts"] = rules
        if settings.text_tokens:
            content["free_text"] = 2  # a text that was not completed has no value
        if settings.metrics:
            content["metrics"] = {metric.name: metric.version for metric in settings.further_metrics()}
        return hash_json(content)

    def sessions(
        self, model: LanguageModel, progress: Progress = SILENT, store: Store | None = None
    ) -> list[EditSession]:
        """Returns an edit session for each method of the study, with the method's preset for a model.

        Args:
            model: The model.
            progress: Receives messages and progress.
            store: The store of the statistics; by default the one that `SEQUELA_STORE` names.

        Raises:
            BadInputError: A preset is missing, two methods would have the same name, or the edits are to be
                given in a chat template and the model has none.
        """
        study = self.study
        resources = Resources.for_model(model, study.statistics, progress, seed=study.seed, store=store)
        template = next(iter(chat_templates(model, study.editing_template)), None)
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
        """Returns the trajectories of a model, by method, sample and shuffle seed.

        Args:
            sessions: The model's sessions, as `sessions` returns them.
        """
        study = self.study
        rules = {sample: text_rules(edits) for sample, edits in self.samples.items()}
        asking = [(session, chat_templates(session.model, study.asking_template)) for session in sessions]
        return [
            Trajectory(
                session,
                self.samples[sample].shuffled(order_seed),
                order_seed,
                template_labels(asked),
                rules[sample],
                sample,
            )
            for session, asked in asking
            for sample, order_seed in study.orders
        ]

    def findings(self, model: LanguageModel, sample: int | None = None) -> tuple[Finding, ...]:
        """Returns what limits the scores of the edits, by a model's tokenizer and the study's settings.

        Args:
            model: The model.
            sample: The sample of edits; None if the study has none.
        """
        settings = self.study.edit_quality
        return check_edits(
            self.samples[sample],
            model.tokenizer,
            context_length=model.context_length,
            max_new_tokens=settings.max_new_tokens,
            max_neighborhood=settings.max_neighborhood,
            max_portability=settings.max_portability,
        )

    def notes(self) -> Iterator[str]:
        """Yields remarks for readers of the results."""
        if self.edits.skipped:
            shown = "; ".join(str(record) for record in self.edits.skipped[:3])
            yield (
                f"{len(self.edits.skipped)} records of {self.edits.name} were left out because they can't "
                f"be edits, for example {shown}."
            )


def make_plan(study: Study) -> Plan:
    """Builds the plan of a study: loads the edits and creates editors and suites.

    Raises:
        UnknownNameError: An engine, editor, suite or source is unknown.
        BadInputError: A setting is invalid, or a record is, in which case its file and number are given.
    """
    ENGINE_REGISTRY.get(study.engine)
    study.edit_quality.further_metrics()
    count = study.edits.count or study.n_edits
    source = load_edits(study.edits.source, study.edits.path)
    edits = edits_of_study(source, study.edits, count)
    editors = tuple((choice, create_editor(choice.name, choice.settings)) for choice in study.editors)
    for choice, editor in editors:
        editor.info.check_batch_size(choice.batch_size)
        editor.info.check_subjects(edits)
    check_distinguishable(editors, filled_in=False)
    suites = tuple(make_suite(choice.name, **choice.options) for choice in study.suites)
    names = [suite.name for suite in suites]
    for name in names:
        if names.count(name) > 1:
            raise BadInputError(f"The study has the suite {name!r} twice.", hint="Remove one of them.")
    return Plan(study, edits, editors, suites)


def check_distinguishable(editors: Sequence[tuple[EditorChoice, AnyEditor]], filled_in: bool) -> None:
    """Checks that the results of all methods will have different labels.

    Reading a study file rejects equal entries, with their line. That check can't be this one: different
    entries may get equal labels, which are known only when the editors exist (they need PyTorch) and, for
    presets, when the model is loaded. The same holds for the names of suites.

    Args:
        editors: The methods, as specified in the study and as editors.
        filled_in: Whether presets have been filled in. Before that, methods with different presets may still
            get different labels.

    Raises:
        BadInputError: Two methods have the same label.
    """
    labels = [
        (editor.name, editor.variant, choice.batch_size, None if filled_in else choice.settings.get("preset"))
        for choice, editor in editors
    ]
    for label in labels:
        if labels.count(label) > 1:
            raise BadInputError(
                f"The study has {label[0]} ({label[1] or 'no variant'}) twice; their results would be "
                "indistinguishable.",
                hint="Run them as two studies.",
            )
