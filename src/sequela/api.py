"""The Python interface: a model that can be asked, edited for a while, and asked again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sequela.core.errors import BadInputError, SequelaError, UnknownNameError
from sequela.core.progress import SILENT, Progress
from sequela.edited import Delta, EditedModel
from sequela.edited.chat_template import ChatTemplate
from sequela.editors import AnyEditor, BadEditPolicy, EditReport, Resources, create_editor
from sequela.editors.saved_edits import MethodEdits, SavedEdits
from sequela.editors.session import EditSession
from sequela.editors.shared.contexts import check_contexts
from sequela.editors.storage import load_saved_edits, save_edits
from sequela.edits import Edit
from sequela.evaluation.hit_rate import evaluate_counting
from sequela.evaluation.registry import make_suites
from sequela.evaluation.suite import Suite
from sequela.inference import (
    Engine,
    Generation,
    Perplexity,
    Score,
    TorchEngine,
    generation_request,
    perplexity,
    score_request,
    working_memory,
)
from sequela.models import LanguageModel
from sequela.models import load_model as load_language_model
from sequela.results import TaskResult
from sequela.statistics import CorpusSpec

DEFAULT_SUITES = ("builtin", "perplexity")
"""The suites that are run if none are named."""

TEMPLATES = ("none", "chat")
"""How questions can be asked."""


class _Stage:
    """What is in force on a base now: one edited model at a time, whatever the blocks around it."""

    def __init__(self) -> None:
        self._now: EditedModel | None = None

    @contextmanager
    def given_to(self, edited: EditedModel) -> Iterator[None]:
        """Puts `edited` in force for a block; what was in force before steps back and returns."""
        before = self._now
        if before is edited:
            yield
            return
        if before is not None:
            before.__exit__(None, None, None)
        self._now = edited
        try:
            with edited:
                yield
        finally:
            self._now = before
            if before is not None:
                before.__enter__()


@dataclass(frozen=True)
class Model:
    """A model that can be asked; `edited` gives it edits for the length of a `with` block.

    A model answers with its own edits and no others: inside the block the edited one says what
    it says after the edits, and the one it was made of what it always said.

    Args:
        current: The base with whatever edits this model has.
        engine: What runs it.
        reports: How each of its edits went; those that were loaded from a folder have none.
        methods: The methods that made its edits, in order.
    """

    current: EditedModel
    engine: Engine = field(default_factory=TorchEngine)
    reports: tuple[EditReport, ...] = ()
    methods: tuple[MethodEdits, ...] = ()
    _stage: _Stage = field(default_factory=_Stage, repr=False)

    @property
    def base(self) -> LanguageModel:
        """The model underneath; inside a block with the block's edits in its weights."""
        return self.current.base

    @property
    def delta(self) -> Delta:
        """The change of weights that this model is of its base; empty for the unedited one."""
        weights = self.current.weights
        return weights if isinstance(weights, Delta) else Delta.empty(self.base.fingerprint)

    def generate(self, prompt: str, max_new_tokens: int = 32, stop: tuple[str, ...] = ()) -> str:
        """Continues a prompt greedily; returns the continuation.

        Args:
            prompt: The text to be continued.
            max_new_tokens: Where the continuation ends if the model doesn't end it.
            stop: Texts before which it ends.

        Raises:
            SequelaError: Prompt and continuation don't fit in the model's context.
        """
        request = generation_request(self.current, prompt, max_new_tokens, stop)
        with self._stage.given_to(self.current):
            (generation,) = self.engine.generate(self.current, [request])
        self._check_fits(generation)
        return generation.text

    def score(self, prompt: str, continuation: str) -> float:
        """The natural log-probability of a continuation, summed over its tokens.

        Raises:
            SequelaError: Prompt and continuation don't fit in the model's context.
        """
        request = score_request(self.current, prompt, continuation)
        with self._stage.given_to(self.current):
            (score,) = self.engine.score(self.current, [request])
        self._check_fits(score)
        return score.logprob

    def perplexity(self, text: str) -> Perplexity:
        """Perplexity per token of a text."""
        with self._stage.given_to(self.current):
            return perplexity(self.engine, self.current, text)

    @contextmanager
    def edited(
        self,
        editor: AnyEditor | str,
        edits: Sequence[Edit] | Edit,
        *,
        settings: Mapping[str, Any] | None = None,
        batch_size: int = 1,
        contexts: Sequence[str] | None = None,
        seed: int = 0,
        on_bad_edit: BadEditPolicy | str = "report",
        statistics: CorpusSpec | str | None = None,
        progress: Progress = SILENT,
    ) -> Iterator[Model]:
        """Edits the model for the length of a block; afterwards every bit is as before.

        The edits are made on top of those that the model has: blocks can stand inside blocks.

        Args:
            editor: A method, or its name.
            edits: The edits, made in order; or one edit.
            settings: Hyper-parameters, if the method is given by name.
            batch_size: The number of edits made together.
            contexts: Context templates, the first of them `{}`; by default the method samples its own.
            seed: The seed of everything the method draws, such as contexts.
            on_bad_edit: What to do about an edit that changes weights explosively: `report` it, `skip` it, or
                `stop` before it; or a policy with another limit. Edits that were skipped, and the one before
                which it stopped, are reported as dropped; those after that one have no report.
            statistics: The text for key statistics, or its name: `self`, `wikitext2`, a file, `hub:<data
                set>`; by default sampled from the model.
            progress: Receives messages and progress.

        Yields:
            The edited model.

        Raises:
            BadInputError: `settings` are given beside a method that has its own, the contexts can't be used,
                or the method can't make such edits, or not so many at once.
            UnknownNameError: There is no such method or policy.
            SequelaError: The method can't be used on this model.
        """
        if not isinstance(editor, str) and settings is not None:
            raise BadInputError("Settings are given beside a method that has its own.")
        method = create_editor(editor, settings) if isinstance(editor, str) else editor
        policy = BadEditPolicy.of(on_bad_edit)
        corpus = CorpusSpec(source=statistics) if isinstance(statistics, str) else statistics
        templates = None if contexts is None else check_contexts(contexts)
        requested = [edits] if isinstance(edits, Edit) else list(edits)
        edited, reports, methods = self.current, list(self.reports), self.methods
        ids: list[str] = []
        # An editor prepares on the unedited base and takes what is in force as data.
        with self._stage.given_to(EditedModel(self.base)):
            resources = Resources.for_model(self.base, corpus, progress, contexts=templates, seed=seed)
            session = EditSession(self.base, method, resources, batch_size, policy).with_preset()
            for result in session.run(requested, session.start(self.delta)):
                edited = session.edited(result)
                reports.extend(result.reports)
                ids.extend(result.made)
                methods = (*self.methods, MethodEdits.of(session.editor, result.state, ids))
        with self._with(self._on_top(edited), tuple(reports), methods) as model:
            yield model

    def evaluate(
        self,
        suites: Sequence[Suite | Mapping[str, Any] | str] = DEFAULT_SUITES,
        *,
        limit: int | None = None,
        template: str = "none",
        progress: Progress = SILENT,
    ) -> list[TaskResult]:
        """Measures the model on suites of tasks, as `sequela evaluate` does.

        Args:
            suites: The suites: names, or names with options as in a study file, such as
                `{"name": "mmlu", "subjects": ["astronomy"], "limit": 20}`.
            limit: Items per task, the first ones, for suites that take a limit and are given none.
            template: `none` asks questions as they are, `chat` as a user's turn in the chat template.
            progress: Receives messages and progress.

        Returns:
            A result for each task, metric and protocol, suite by suite.

        Raises:
            UnknownNameError: There is no such suite or template.
            BadInputError: An option is wrong, or the model has no chat template.
        """
        if template not in TEMPLATES:
            raise UnknownNameError("template", template, TEMPLATES)
        chosen = make_suites(suites, limit)
        routers = (ChatTemplate.of(self.base),) if template == "chat" else ()
        current = self.current
        asked = EditedModel(self.base, current.weights, current.interventions, (*current.routers, *routers))
        with self._stage.given_to(asked):
            return [
                found for suite in chosen for found in evaluate_counting(suite, asked, self.engine, progress)
            ]

    @contextmanager
    def load_edits(self, folder: str | Path) -> Iterator[Model]:
        """Puts saved edits in force for the length of a block, on top of the edits the model has.

        Args:
            folder: What `save_edits` or `sequela edit --output` wrote, or a checkpoint of a run.

        Yields:
            The edited model.

        Raises:
            BadInputError: The folder holds no edits, or those of a newer version.
            IntegrityError: A part of them is missing or was changed.
            FingerprintMismatchError: They were made for another model.
        """
        with self._stage.given_to(EditedModel(self.base)):
            saved = load_saved_edits(Path(folder), self.base)
            edited = SavedEdits(self.delta + saved.delta, saved.methods).on(self.base)
        with self._with(self._on_top(edited), self.reports, (*self.methods, *saved.methods)) as model:
            yield model

    def save_edits(self, folder: str | Path) -> None:
        """Saves the edits of this model, whichever methods made them; `load_edits` puts them in force again.

        Args:
            folder: Where to; edits that are there are replaced.
        """
        save_edits(Path(folder), self.base, SavedEdits(self.delta, self.methods))

    def _check_fits(self, answer: Score | Generation) -> None:
        if answer.too_long is not None:
            raise SequelaError(
                f"The request takes {answer.too_long} tokens; the context of {self.base.name!r} has "
                f"{self.base.context_length}.",
                hint="Shorten the prompt, or ask for fewer new tokens.",
            )

    def _on_top(self, further: EditedModel) -> EditedModel:
        """Further edits, whose change of weights holds this model's, on top of those that are elsewhere."""
        if further is self.current:
            return further
        interventions = (*self.current.interventions, *further.interventions)
        return EditedModel(
            self.base, further.weights, interventions, (*further.routers, *self.current.routers)
        )

    @contextmanager
    def _with(
        self, edited: EditedModel, reports: tuple[EditReport, ...], methods: tuple[MethodEdits, ...]
    ) -> Iterator[Model]:
        with self._stage.given_to(edited):
            yield Model(edited, self.engine, reports, methods, self._stage)


def load_model(
    name: str, *, device: str | None = None, dtype: str = "float32", memory: int | None = None
) -> Model:
    """Loads a model: an alias, a Hugging Face hub id, a folder or a GGUF file.

    Args:
        name: Which.
        device: Where it runs; by default the best there is.
        dtype: `float32`, `bfloat16`, `float16`, or `auto`: bfloat16 where `device` computes it natively.
        memory: The most bytes that the process shall hold; by default engines take what is quickest.

    Raises:
        SequelaError: It can't be had, its architecture isn't supported, or `memory` is too low for it.
    """
    base = load_language_model(name, device=device, dtype=dtype)
    return Model(EditedModel(base), TorchEngine(working_memory(memory, base)))
