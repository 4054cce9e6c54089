"""IKE: edits told to the model in front of each request (Zheng et al. 2023, arXiv 2305.12740).

A request is put behind the new fact and behind demonstrations of what a model is to do with new facts
(`facts.py`, `demonstrations.py`). No weight is changed and nothing is trained, but each
request grows by what stands before it, and one that outgrows the model's context is refused.

Published is one edit at a time. Here all edits are remembered, and those whose questions are nearest to the
request are told. Unless there is a `threshold`, some fact stands in front of every request, whatever it asks.

What is different from the released code: kinds of demonstrations stand in a fixed order and not a shuffled
one, an edit's first paraphrase and neighbor are shown and not random ones, and the fact in force is not told
a second time as a demonstration of itself.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

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
    """Tells the model new facts in front of requests."""

    info = IKE
    state_class = IkeState

    def __init__(self, hyperparameters: IkeHyperparameters) -> None:
        super().__init__(hyperparameters)
        self._loaded: Retriever | None = None
        self._pool: DemonstrationPool | None = None

    @property
    def variant(self) -> str:
        """The threshold, if there is one, and `no demonstrations`."""
        settings = self.hyperparameters
        threshold = "" if settings.threshold is None else f"threshold {settings.threshold:g}"
        return ", ".join(
            part for part in (threshold, "" if settings.n_demonstrations else "facts alone") if part
        )

    def lowest_block(self, model: LanguageModel) -> int:
        """The number of layers: no block is changed."""
        return model.n_layers

    def prepare(self, model: LanguageModel, resources: Resources) -> IkeState:
        """Reads the edits that demonstrations are made of.

        Raises:
            SequelaError: They or the retriever can't be had.
            BadInputError: They are too few.
        """
        retriever, pool = self._retriever(model), self._demonstrations(model, resources.progress)
        return IkeState(retriever=retriever.fingerprint, pool="" if pool is None else pool.edits.content_hash)

    def routers(self, model: LanguageModel, state: IkeState) -> tuple[RequestRouter, ...]:
        """What tells the facts, once there is one.

        Raises:
            FingerprintMismatchError: The facts were placed by another retriever.
        """
        if not state.facts:
            return ()
        retriever, settings = self._retriever(model), self.hyperparameters
        self._check(retriever, state)
        return (FactsInContext(state, retriever, settings.n_facts, settings.threshold),)

    def edit(
        self, model: LanguageModel, edits: Sequence[Edit], state: IkeState, resources: Resources
    ) -> EditOutcome[IkeState]:
        """Remembers the edits, one after the other.

        Raises:
            SequelaError: The state came with other demonstrations or from another retriever.
        """
        self._check(self._retriever(model), state)
        pool = self._demonstrations(model, resources.progress)
        if state.pool != ("" if pool is None else pool.edits.content_hash):
            raise SequelaError(
                f"The edits so far were made with other demonstrations than those of "
                f"{self.hyperparameters.demonstrations!r} now.",
                hint="Put the former edits back, or begin anew in another folder.",
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
            return state, EditReport.not_made(edit.id, "too few edits are left to make demonstrations of")
        retriever = self._retriever(model)
        (key,) = retriever.encode([question])
        fact = Fact(edit=edit.id, question=question, target=edit.target_new, demonstrations=shown)
        made = state.with_fact(fact, key)
        (router,) = self.routers(model, made)
        bare, full = (
            tokenize_prompt(model.tokenizer, prompt, target=edit.target_new)
            for prompt in (question, router.route(question).prompt)
        )
        if len(full.ids) - 1 > model.context_length:
            return state, EditReport.not_made(
                edit.id,
                f"with what stands before it, its request takes {len(full.ids) - 1} tokens; the context has "
                f"{model.context_length}",
            )
        before, after = (_loss(model, prompt) for prompt in (bare, full))
        if not math.isfinite(before) or not math.isfinite(after):
            return state, EditReport.not_made(edit.id, "the loss is not finite")
        report = EditReport(
            edit_id=edit.id,
            optimization_steps=0,
            first_loss=before,
            final_loss=after,
            relative_norm=0.0,
            diagnostics={
                "context_tokens": float(len(full.ids) - len(bare.ids)),
                "facts": float(len(made.facts)),
            },
        )
        return made, report

    def _retriever(self, model: LanguageModel) -> Retriever:
        """The retriever, loaded once."""
        if self._loaded is None:
            self._loaded = load_retriever(self.hyperparameters.retriever, model.device)
        return self._loaded

    def _demonstrations(self, model: LanguageModel, progress: Progress) -> DemonstrationPool | None:
        """What demonstrations are made of, read once; None if there are to be none."""
        settings = self.hyperparameters
        if self._pool is None and settings.n_demonstrations:
            edits = _read(settings.demonstrations, settings.pool)
            progress.say(f"Demonstrations are made of {len(edits)} edits of {edits.name}.")
            self._pool = DemonstrationPool.of(edits, settings.n_demonstrations, self._retriever(model))
        return self._pool

    def _check(self, retriever: Retriever, state: IkeState) -> None:
        if retriever.fingerprint != state.retriever:
            raise FingerprintMismatchError(
                f"The facts were placed by another retriever than {self.hyperparameters.retriever!r} is now.",
                hint="Put that one back, or make the edits anew.",
            )


def _read(source: str, limit: int | None) -> EditSet:
    try:
        return load_edits(source, limit=limit)
    except SequelaError as error:
        others = (
            "Name others as `demonstrations`, your own .jsonl file or builtin, or set n_demonstrations to 0."
        )
        raise SequelaError(
            f"ike has no edits to make demonstrations of. {error.message}",
            hint=others if error.hint is None else f"{error.hint} {others}",
        ) from error


def _loss(model: LanguageModel, prompt: TokenizedPrompt) -> float:
    """The target's loss in nats a token."""
    losses, _ = target_losses(model, [prompt])
    return float(losses[0])
