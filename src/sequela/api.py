"""The Python interface: models that can be queried, edited within a `with` block, and evaluated."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from os import PathLike
from types import NoneType
from typing import Any

from sequela.core.arguments import (
    check_choice,
    check_instance,
    check_items,
    check_path,
    check_seed,
    check_table,
    check_text,
    check_whole_number,
)
from sequela.core.device_maps import DeviceMap
from sequela.core.errors import BadInputError, SequelaError
from sequela.core.paths import ensure_writable
from sequela.core.progress import SILENT, Progress
from sequela.core.sizes import read_size
from sequela.edited import Delta, EditedModel
from sequela.edited.chat_template import chat_templates
from sequela.edited.template_settings import checked_settings
from sequela.editors import AnyEditor, BadEditPolicy, Editor, EditReport, Resources, create_editor
from sequela.editors.saved_edits import MethodEdits, SavedEdits
from sequela.editors.session import EditSession
from sequela.editors.shared.contexts import check_contexts
from sequela.editors.storage import load_saved_edits, save_edits
from sequela.edits import Edit, EditSet, check_edits
from sequela.edits.edit_set import EDITS_HINT
from sequela.evaluation.hit_rate import evaluate_counting
from sequela.evaluation.registry import DEFAULT_SUITES, make_suites
from sequela.evaluation.suite import Suite
from sequela.inference import (
    Engine,
    Generation,
    Perplexity,
    Score,
    TorchEngine,
    generation_request,
    open_engine,
    perplexity,
    score_request,
    working_memory,
)
from sequela.models import LanguageModel
from sequela.models import load_model as load_language_model
from sequela.results import TaskResult
from sequela.statistics import CorpusSpec

TEMPLATES = ("none", "chat")
"""The available templates for evaluation prompts."""


class _ActiveEdits:
    """The edited model that is currently applied to a base: one at a time, however blocks are nested."""

    def __init__(self) -> None:
        self._now: EditedModel | None = None

    @contextmanager
    def switch_to(self, edited: EditedModel) -> Iterator[None]:
        """Applies `edited` within a block in place of the active edits, and restores those afterwards."""
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
    """A language model, with or without edits; `edited` applies further edits within a `with` block.

    A model always answers with its own edits only. Inside a block, the edited model answers with the edits
    of the block, and the model that it was derived from still answers without them.

    Args:
        current: The base model with the edits of this model.
        engine: The engine that runs requests.
        reports: A report for each edit, except for those loaded from a folder.
        methods: The methods that applied the edits, in order.
    """

    current: EditedModel
    engine: Engine = field(default_factory=TorchEngine)
    reports: tuple[EditReport, ...] = ()
    methods: tuple[MethodEdits, ...] = ()
    _active: _ActiveEdits = field(default_factory=_ActiveEdits, repr=False)

    def __post_init__(self) -> None:
        hint = "Load a model with sequela.load_model(...)."
        check_instance("current", self.current, EditedModel, "an edited model", hint)

    @property
    def base(self) -> LanguageModel:
        """The underlying model. Inside a block, its weights contain the edits of the block."""
        return self.current.base

    @property
    def delta(self) -> Delta:
        """The difference between this model's weights and the base's; empty for the unedited model."""
        weights = self.current.weights
        return weights if isinstance(weights, Delta) else Delta.empty(self.base.fingerprint)

    def generate(self, prompt: str, max_new_tokens: int = 32, stop: tuple[str, ...] = ()) -> str:
        """Returns the greedy continuation of a prompt.

        Args:
            prompt: The text to continue.
            max_new_tokens: The maximum number of new tokens.
            stop: Texts at which generation stops; they are not part of the continuation.

        Raises:
            SequelaError: The prompt and `max_new_tokens` exceed the model's context.
            BadInputError: An argument is of a wrong type, or a stop text is empty.
        """
        check_text("prompt", prompt)
        max_new_tokens = check_whole_number("max_new_tokens", max_new_tokens, at_least=1)
        stop = check_items("stop", stop, str, "a text", 'Write it as (".",).')
        if "" in stop:
            raise BadInputError("A stop text is empty.", hint="Leave it out.")
        request = generation_request(self.current, prompt, max_new_tokens, stop)
        with self._active.switch_to(self.current):
            (generation,) = self.engine.generate(self.current, [request])
        self._check_fits(generation)
        return generation.text

    def score(self, prompt: str, continuation: str) -> float:
        """Returns the natural log-probability of a continuation, summed over its tokens.

        Raises:
            SequelaError: The prompt and the continuation exceed the model's context.
            BadInputError: An argument is not a text.
        """
        check_text("prompt", prompt)
        check_text("continuation", continuation)
        request = score_request(self.current, prompt, continuation)
        with self._active.switch_to(self.current):
            (score,) = self.engine.score(self.current, [request])
        self._check_fits(score)
        return score.logprob

    def perplexity(self, text: str) -> Perplexity:
        """Returns the perplexity of a text per token.

        Raises:
            SequelaError: The text is too short.
            BadInputError: The argument is not a text.
        """
        check_text("text", text)
        with self._active.switch_to(self.current):
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
        statistics: CorpusSpec | str | PathLike[str] | None = None,
        progress: Progress = SILENT,
    ) -> Iterator[Model]:
        """Edits the model within a block and restores it bit for bit afterwards.

        The edits are applied on top of those that the model already has, so blocks can be nested.

        Args:
            editor: A method, or its name.
            edits: One edit, or several in the order in which they are applied.
            settings: Hyper-parameters, if the method is given by name.
            batch_size: The number of edits per batch.
            contexts: Context templates, the first of which is `{}`. By default, the method samples its own.
            seed: The seed of everything that the method samples, such as contexts.
            on_bad_edit: The action for an edit that changes weights too much: `report` it, `skip` it, or
                `stop` before it; or a policy with another limit. Skipped edits, and the edit at which editing
                stopped, are reported as dropped. Edits after that one have no report.
            statistics: The text for key statistics, or its name: `self`, `wikitext2`, a file, or
                `hub:<data set>`. By default, text is sampled from the model.
            progress: Receives messages and progress, such as what limits the scores of these edits.

        Yields:
            The edited model.

        Raises:
            BadInputError: There is no edit, two have the same id, `settings` are given together with an
                editor object, the contexts are invalid, the method doesn't support such edits or this batch
                size, or an argument is of a wrong type.
            UnknownNameError: The method or the policy is unknown.
            SequelaError: The method doesn't support this model.
        """
        check_instance("editor", editor, (str, Editor), "a method or the name of one")
        check_instance("progress", progress, Progress, "a receiver of progress reports")
        if not isinstance(editor, str) and settings is not None:
            raise BadInputError(
                f"`settings` can't be combined with an editor object ({editor.name}).",
                hint="Give the method by name, or pass the settings to `create_editor`.",
            )
        method = create_editor(editor, settings) if isinstance(editor, str) else editor
        policy = BadEditPolicy.of(on_bad_edit)
        kinds = (str, PathLike, CorpusSpec, NoneType)
        check_instance("statistics", statistics, kinds, "a text, or a recipe for one")
        corpus = statistics if isinstance(statistics, CorpusSpec | NoneType) else _corpus_of(statistics)
        seed = check_seed("seed", seed)
        templates = None if contexts is None else check_contexts(contexts)
        requested = (edits,) if isinstance(edits, Edit) else edits
        given = EditSet("edits", check_items("edits", requested, Edit, "an edit", EDITS_HINT))
        if not given:
            raise BadInputError("There are no edits to apply: the list is empty.", hint=EDITS_HINT)
        base = self.base
        for finding in check_edits(given, base.tokenizer, context_length=base.context_length):
            progress.say(f"{given.name}: {finding.sentence}")
        edited, reports, methods = self.current, list(self.reports), self.methods
        ids: list[str] = []
        # An editor prepares on the unedited base and receives the active edits as data.
        with self._active.switch_to(EditedModel(self.base)):
            resources = Resources.for_model(self.base, corpus, progress, contexts=templates, seed=seed)
            session = EditSession(self.base, method, resources, batch_size, policy).with_preset()
            for result in session.run(given, session.start(self.delta)):
                edited = session.edited(result)
                reports.extend(result.reports)
                ids.extend(result.applied)
                methods = (*self.methods, MethodEdits.of(session.editor, result.state, ids))
        with self._with(self._on_top(edited), tuple(reports), methods) as model:
            yield model

    def evaluate(
        self,
        suites: Sequence[Suite | Mapping[str, Any] | str | PathLike[str]] = DEFAULT_SUITES,
        *,
        limit: int | None = None,
        template: str = "none",
        chat_template_args: Mapping[str, Any] | None = None,
        think_end_token: str | None = None,
        max_thinking_tokens: int | None = None,
        progress: Progress = SILENT,
    ) -> list[TaskResult]:
        """Evaluates the model on suites of tasks, as `sequela evaluate` does.

        Args:
            suites: The names of suites, or names with options as in a study file, such as
                `{"name": "mmlu", "subjects": ["astronomy"], "limit": 20}`.
            limit: The number of items per task, from the first, for suites that accept a limit and are given
                none of their own.
            template: `none` for plain prompts, `chat` for prompts as a user turn in the chat template.
            chat_template_args: Arguments of the chat template, such as `{"enable_thinking": False}`.
            think_end_token: The text that ends the model's thinking, which is never read as an answer; by
                default that which the chat template mentions, such as `</think>`, if it mentions one.
            max_thinking_tokens: The maximum number of tokens of thinking, in addition to those of an answer;
                by default 1024, or half of the model's context if that is less.
            progress: Receives messages and progress.

        Returns:
            A result for each task, metric and protocol, suite by suite.

        Raises:
            UnknownNameError: A suite or the template is unknown.
            BadInputError: An option is invalid, an argument is of a wrong type, or the model has no chat
                template, or one that doesn't read an argument.
        """
        if isinstance(suites, str):
            raise BadInputError(f"The suites {suites!r} are one string.", hint=f"Write [{suites!r}].")
        check_choice("template", template, TEMPLATES)
        check_instance("progress", progress, Progress, "a receiver of progress reports")
        chosen = make_suites(suites, limit)
        if chat_template_args is not None:
            check_table("chat_template_args", chat_template_args)
        settings = checked_settings(
            template=template,
            chat_template_args=dict(chat_template_args or {}),
            think_end_token=think_end_token,
            max_thinking_tokens=max_thinking_tokens,
        )
        routers = chat_templates(self.base, settings)
        current = self.current
        model = EditedModel(self.base, current.weights, current.interventions, (*current.routers, *routers))
        with self._active.switch_to(model):
            return [
                result
                for suite in chosen
                for result in evaluate_counting(suite, model, self.engine, progress)
            ]

    @contextmanager
    def on_engine(
        self, engine: str, *, memory: int | str | None = None, progress: Progress = SILENT
    ) -> Iterator[Model]:
        """Runs the model's requests on another engine for the duration of the `with` block.

        Args:
            engine: The name of an engine: `torch`, `vllm`, or one that a package provides.
            memory: The memory limit of the process, such as `6GiB` or a number of bytes; None for no limit.
            progress: Receives messages of the engine.

        Yields:
            The same model, with the same edits, on that engine.

        Raises:
            UnknownNameError: There is no such engine.
            BadInputError: `memory` is not a size, or an argument is of a wrong type.
            SequelaError: The engine isn't installed, supports no memory limit, or the limit is too low.
        """
        check_text("engine", engine, "the name of an engine")
        check_instance("progress", progress, Progress, "a receiver of progress reports")
        limit = None if memory is None else read_size(memory)
        with (
            self._active.switch_to(EditedModel(self.base)),
            open_engine(engine, self.base, limit, progress=progress) as running,
        ):
            yield replace(self, engine=running)

    @contextmanager
    def load_edits(self, folder: str | PathLike[str]) -> Iterator[Model]:
        """Applies saved edits within a block, on top of the edits that the model already has.

        Args:
            folder: A folder that `save_edits` or `sequela edit --output` wrote, or a checkpoint of a run.

        Yields:
            The edited model.

        Raises:
            BadInputError: The folder has no saved edits, or was written by a newer version.
            IntegrityError: A part of the saved edits is missing or was modified.
            FingerprintMismatchError: The edits were saved for another model.
        """
        folder = check_path("folder", folder)
        with self._active.switch_to(EditedModel(self.base)):
            saved = load_saved_edits(folder, self.base)
            edited = SavedEdits(self.delta + saved.delta, saved.methods).on(self.base)
        with self._with(self._on_top(edited), self.reports, (*self.methods, *saved.methods)) as model:
            yield model

    def save_edits(self, folder: str | PathLike[str]) -> None:
        """Saves the edits of this model, whichever methods applied them; `load_edits` applies them again.

        Args:
            folder: The folder to write; saved edits in it are replaced.

        Raises:
            BadInputError: The argument is not a path, or the model has no edits.
            SequelaError: The folder can't be written.
        """
        folder = check_path("folder", folder)
        if not self.delta.updates and not any(one.description.edits for one in self.methods):
            dropped = [report for report in self.reports if report.dropped]
            raise BadInputError(
                "This model has no edits to save"
                + (f": {dropped[0].edit_id} was dropped ({dropped[0].dropped})." if dropped else "."),
                hint="Call it on a model that `edited` yields, with at least one edit that was applied.",
            )
        ensure_writable(folder)
        save_edits(folder, self.base, SavedEdits(self.delta, self.methods))

    def _check_fits(self, answer: Score | Generation) -> None:
        if answer.too_long is not None:
            raise SequelaError(
                f"The request takes {answer.too_long} tokens; the context of {self.base.name!r} has "
                f"{self.base.context_length}.",
                hint="Shorten the prompt, or request fewer new tokens.",
            )

    def _on_top(self, further: EditedModel) -> EditedModel:
        """Returns further edits on top of this model's interventions and routers.

        Args:
            further: The further edits; their delta includes this model's delta already.
        """
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
        with self._active.switch_to(edited):
            yield Model(edited, self.engine, reports, methods, self._active)


def _corpus_of(source: str | PathLike[str]) -> CorpusSpec:
    return CorpusSpec(source=os.fspath(source))


def load_model(
    name: str | PathLike[str],
    *,
    device: str | None = None,
    device_map: DeviceMap | None = None,
    dtype: str = "float32",
    memory: int | str | None = None,
) -> Model:
    """Loads a model: an alias, a Hugging Face hub id, a folder or a GGUF file.

    Args:
        name: The alias, hub id, folder or file. A hub id may name a revision: `org/model@v1.0`.
        device: The device to run on, such as `cuda`; by default the best available.
        device_map: The places of a model that is larger than one device's memory, instead of `device`:
            `auto`, `disk`, or a table by module, such as `{"model.layers.0": "cpu", "": "disk"}`.
        dtype: `float32`, `bfloat16`, `float16`, or `auto`: bfloat16 where `device` computes it natively.
        memory: The memory limit of the process, such as `6GiB` or a number of bytes; by default engines use
            what is fastest.

    Raises:
        BadInputError: `memory` is not a size, or an argument is of a wrong type.
        SequelaError: The model can't be loaded, its architecture isn't supported, or `memory` is too low.
    """
    limit = None if memory is None else read_size(memory)
    base = load_language_model(name, device=device, device_map=device_map, dtype=dtype)
    return Model(EditedModel(base), TorchEngine(working_memory(limit, base)))
