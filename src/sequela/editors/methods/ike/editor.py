"""IKE: in-context edits, given as facts in the prompt (Zheng et al. 2023, arXiv 2305.12740).

A request is preceded by the new fact and by demonstrations of how a model uses new facts (`facts.py`,
`demonstrations.py`). No weight is changed and nothing is trained, but each request gets longer, and a request
that exceeds the model's context is rejected as too long.

The paper has one edit at a time. Here all edits are kept, and those whose questions are nearest to the
request are added to the prompt. Without a `threshold`, every request gets a fact, regardless of its content.

Differences from the released code: the kinds of demonstrations have a fixed instead of a shuffled order; an
edit's first paraphrase and neighbor are shown instead of random ones; and a fact in the prompt is not
repeated as a demonstration of itself.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from sequela.core.errors import FingerprintMismatchError, SequelaError
from sequela.core.progress import Progress
from sequela.edited import Delta
from sequela.edited.protocols import RequestRouter
from sequela.editors.base import Editor, EditOutcome, EditReport, Resources
from sequela.editors.methods.ike.demonstrations import DemonstrationPool
from sequela.editors.methods.ike.facts import Fact, FactsInContext, IkeState
from sequela.editors.methods.ike.retrieval import Retriever, load_retriever
from sequela.editors.methods.ike.settings import IKE, IkeHyperparameters
from sequela.editors.shared.target_loss import target_losses
from sequela.edits import Edit, EditSet, load_edits
from sequela.models import LanguageModel, TokenizedPrompt, tokenize_prompt


class Ike(Editor[IkeHyperparameters, IkeState]):
    """Adds new facts to the prompts of requests."""

    info = IKE
    state_class = IkeState

    def __init__(self, hyperparameters: IkeHyperparameters) -> None:
        super().__init__(hyperparameters)
        self._loaded: Retriever | None = None
        self._pool: DemonstrationPool | None = None

    @property
    def variant(self) -> str:
        """The label with the threshold, if there is one, and `facts alone` without demonstrations."""
        settings = self.hyperparameters
        threshold = "" if settings.threshold is None else f"threshold {settings.threshold:g}"
        return ", ".join(
            part for part in (threshold, "" if settings.n_demonstrations else "facts alone") if part
        )

    def lowest_block(self, model: LanguageModel) -> int:
        """Returns the number of layers, because no block is changed."""
        return model.n_layers

    def prepare(self, model: LanguageModel, resources: Resources) -> IkeState:
        """Loads the retriever and the edits from which demonstrations are built.

        Raises:
            SequelaError: The edits or the retriever can't be loaded.
            BadInputError: There are too few edits.
        """
        retriever, pool = self._retriever(model), self._demonstrations(model, resources.progress)
        return IkeState(retriever=retriever.fingerprint, pool="" if pool is None else pool.edits.content_hash)

    def inputs(self, model: LanguageModel, state: IkeState) -> Mapping[str, str]:
        """Returns the hashes of the retriever and of the edits from which demonstrations are built."""
        return {"retriever": state.retriever, "demonstrations": state.pool}

    def routers(self, model: LanguageModel, state: IkeState) -> tuple[RequestRouter, ...]:
        """Returns the router that adds facts to prompts, once there is a fact.

        Raises:
            FingerprintMismatchError: The facts were embedded by another retriever.
        """
        if not state.facts:
            return ()
        retriever, settings = self._retriever(model), self.hyperparameters
        self._check(retriever, state)
        return (FactsInContext(state, retriever, settings.n_facts, settings.threshold),)

    def edit(
        self, model: LanguageModel, edits: Sequence[Edit], state: IkeState, resources: Resources
    ) -> EditOutcome[IkeState]:
        """Adds the edits as facts, one after another.

        Raises:
            SequelaError: The earlier edits used other demonstrations or another retriever.
        """
        self._check(self._retriever(model), state)
        pool = self._demonstrations(model, resources.progress)
        if state.pool != ("" if pool is None else pool.edits.content_hash):
            raise SequelaError(
                "The earlier edits used other demonstrations than the current ones from "
                f"{self.hyperparameters.demonstrations!r}.",
                hint="Restore the former demonstrations, or start again in another folder.",
            )
        reports = []
        for edit in edits:
            state, report = self._add(model, edit, state, pool)
            reports.append(report)
        return EditOutcome(Delta.empty(model.fingerprint), state, tuple(reports))

    def _add(
        self, model: LanguageModel, edit: Edit, state: IkeState, pool: DemonstrationPool | None
    ) -> tuple[IkeState, EditReport]:
        count, question = self.hyperparameters.n_demonstrations, edit.question
        shown = () if pool is None else pool.nearest(question, edit.target_new, count)
        if shown is None:
            return state, EditReport.for_dropped(edit.id, "too few edits are left for its demonstrations")
        retriever = self._retriever(model)
        (key,) = retriever.encode([question])
        fact = Fact(edit=edit.id, question=question, target=edit.target_new, demonstrations=shown)
        extended = state.with_fact(fact, key)
        (router,) = self.routers(model, extended)
        bare, full = (
            tokenize_prompt(model.tokenizer, prompt, target=edit.target_new)
            for prompt in (question, router.route(question).prompt)
        )
        if len(full.ids) - 1 > model.context_length:
            return state, EditReport.for_dropped(
                edit.id,
                f"with the fact and demonstrations, its request has {len(full.ids) - 1} tokens; the context "
                f"has {model.context_length}",
            )
        before, after = (_loss(model, prompt) for prompt in (bare, full))
        if not math.isfinite(before) or not math.isfinite(after):
            return state, EditReport.for_dropped(edit.id, "the loss is not finite")
        report = EditReport(
            edit_id=edit.id,
            optimization_steps=0,
            first_loss=before,
            final_loss=after,
            relative_norm=0.0,
            diagnostics={
                "context_tokens": float(len(full.ids) - len(bare.ids)),
                "facts": float(len(extended.facts)),
            },
        )
        return extended, report

    def _retriever(self, model: LanguageModel) -> Retriever:
        """Returns the retriever, loaded once."""
        if self._loaded is None:
            self._loaded = load_retriever(self.hyperparameters.retriever, model.device)
        return self._loaded

    def _demonstrations(self, model: LanguageModel, progress: Progress) -> DemonstrationPool | None:
        """Returns the pool of demonstrations, loaded once; None without demonstrations."""
        settings = self.hyperparameters
        if self._pool is None and settings.n_demonstrations:
            edits = _read(settings.demonstrations, settings.pool)
            progress.say(f"Demonstrations are built from {len(edits)} edits of {edits.name}.")
            self._pool = DemonstrationPool.of(edits, settings.n_demonstrations, self._retriever(model))
        return self._pool

    def _check(self, retriever: Retriever, state: IkeState) -> None:
        if retriever.fingerprint != state.retriever:
            raise FingerprintMismatchError(
                f"The facts were embedded by another retriever than the current "
                f"{self.hyperparameters.retriever!r}.",
                hint="Restore the former retriever, or apply the edits again.",
            )


def _read(source: str, limit: int | None) -> EditSet:
    try:
        return load_edits(source, limit=limit)
    except SequelaError as error:
        others = (
            "Name other edits as `demonstrations`, such as your own .jsonl file or builtin, or set "
            "n_demonstrations to 0."
        )
        raise SequelaError(
            f"ike has no edits for its demonstrations. {error.message}",
            hint=others if error.hint is None else f"{error.hint} {others}",
        ) from error


def _loss(model: LanguageModel, prompt: TokenizedPrompt) -> float:
    """Returns the target's loss in nats per token."""
    losses, _ = target_losses(model, [prompt])
    return float(losses[0])
