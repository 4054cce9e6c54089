"""IKE: edits told to the model in front of each request (Zheng et al. 2023, arXiv 2305.12740).

A request is put behind the new fact and behind demonstrations of what a model is to do with new facts
(`demonstrations.py`). No weight is changed and nothing is trained, but each request grows by what stands
before it, and one that outgrows the model's context is refused.

Published is one edit at a time. Here all edits are remembered, and those whose questions are nearest to the
request are told. Unless there is a `threshold`, some fact stands in front of every request, whatever it asks.

What is different from the released code: kinds of demonstrations stand in a fixed order and not a shuffled
one, an edit's first paraphrase and neighbor are shown and not random ones, and the fact in force is not told
a second time as a demonstration of itself.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Literal

import torch
from pydantic import BaseModel, ConfigDict, Field

from sequela.deltas import Delta
from sequela.editors.demonstrations import DemonstrationPool, continued, in_context
from sequela.editors.editor import Editor, EditorState, EditReport, Outcome, Resources
from sequela.editors.hyperparameters import Hyperparameters
from sequela.editors.likelihood import target_losses
from sequela.editors.retrieval import Retriever, by_nearness, load_retriever
from sequela.edits import Edit, EditSet, load_edits
from sequela.ground.errors import FingerprintMismatchError, SequelaError
from sequela.ground.hashing import hash_json
from sequela.ground.progress import Progress
from sequela.models import LanguageModel, TokenizedPrompt, tokenize_prompt
from sequela.models.seats import RequestRouter, Route, Routed
from sequela.models.sentence_encoder import MINILM


class IkeHyperparameters(Hyperparameters):
    """IKE's settings."""

    demonstrations: str = Field(
        default="counterfact-easyedit-train",
        description="The source of edits that demonstrations are made of, or your own .jsonl file.",
    )
    pool: int | None = Field(
        default=None, ge=1, description="How many edits of that source, from the first; all by default."
    )
    n_demonstrations: int = Field(
        default=16, ge=0, description="Demonstrations in front of a request; 0 tells the fact alone."
    )
    n_facts: int = Field(default=1, ge=1, description="The most facts that are told with one request.")
    threshold: float | None = Field(
        default=None,
        gt=-1,
        lt=1,
        description="The least cosine of a request and an edit's question at which the fact is told; by "
        "default the nearest facts are told with every request.",
    )
    retriever: str = Field(
        default=MINILM,
        description="What finds near texts: all-minilm-l6-v2, another sentence encoder's folder or hub id, "
        "or words, which compares words and needs no encoder.",
    )


class Fact(BaseModel):
    """An edit in force.

    Args:
        edit: The edit's id.
        question: Its prompt with the subject in place.
        target: Its new answer.
        demonstrations: What is shown before it, nearest first.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    edit: str
    question: str
    target: str
    demonstrations: tuple[str, ...]

    @property
    def text(self) -> str:
        """The fact as a sentence."""
        return continued(self.question, self.target)


class IkeState(EditorState):
    """What IKE remembers: the facts, and among the tensors the `keys` of their questions, `[n, width]`.

    Args:
        retriever: The fingerprint of what made the keys.
        pool: A hash of the edits that demonstrations are made of; empty without demonstrations.
        facts: The edits in force; one that asks what an earlier one asked is in its place.
    """

    retriever: str = ""
    pool: str = ""
    facts: tuple[Fact, ...] = ()

    def with_fact(self, fact: Fact, key: torch.Tensor) -> IkeState:
        """The state with one more fact, whose question is at `key` `[width]`."""
        questions = [earlier.question for earlier in self.facts]
        if fact.question in questions:
            facts = list(self.facts)
            facts[questions.index(fact.question)] = fact
            return self.model_copy(update={"facts": tuple(facts)})
        known = self.tensors.get("keys", key.new_zeros(0, len(key)))
        keys = torch.cat([known, key[None].to(known.device)])
        return self.model_copy(update={"facts": (*self.facts, fact), "tensors": {"keys": keys}})


@dataclass(frozen=True)
class FactsInContext:
    """Tells facts in front of requests.

    Args:
        state: The facts; at least one.
        retriever: What made their keys.
        n_facts: The most that are told at once.
        threshold: The least cosine at which one is told; None: always.
    """

    state: IkeState
    retriever: Retriever
    n_facts: int = 1
    threshold: float | None = None
    _nearest: dict[str, tuple[int, ...]] = field(default_factory=dict, compare=False, repr=False)

    @property
    def content_hash(self) -> str:
        """A hash of the facts and of what chooses among them."""
        told = self.state.model_dump(mode="json", include={"retriever", "facts"})
        return hash_json({**told, "n_facts": self.n_facts, "threshold": self.threshold})

    def nearest(self, prompt: str) -> tuple[int, ...]:
        """The facts that are told with a request, nearest first; none if no one is near enough."""
        if len(self.state.facts) == 1 and self.threshold is None:
            return (0,)
        if prompt not in self._nearest:  # a benchmark asks the same once for each choice
            (query,) = self.retriever.encode([prompt])
            places, cosines = by_nearness(query, self.state.tensors["keys"])
            least = -math.inf if self.threshold is None else self.threshold
            near = [place for place, cosine in zip(places, cosines, strict=True) if cosine >= least]
            self._nearest[prompt] = tuple(near[: self.n_facts])
        return self._nearest[prompt]

    def route(self, prompt: str) -> Routed:
        """The request behind the nearest facts and the nearest one's demonstrations; nearest last."""
        facts = [self.state.facts[place] for place in self.nearest(prompt)]
        if not facts:
            return Routed(prompt, Route(hit=False))
        shown = "".join(reversed(facts[0].demonstrations))
        told = in_context([fact.text for fact in reversed(facts)], prompt)
        return Routed(shown + told, Route(hit=True))


class Ike(Editor[IkeHyperparameters, IkeState]):
    """Tells the model new facts in front of requests."""

    name: ClassVar[str] = "ike"
    summary: ClassVar[str] = "New facts and demonstrations in front of each request (Zheng et al. 2023)."
    paper: ClassVar[str] = "Zheng et al. 2023, arXiv 2305.12740"
    seat: ClassVar[Literal["weights", "activations", "requests"]] = "requests"
    needs_subject: ClassVar[bool] = False
    hyperparameters_class = IkeHyperparameters
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
    ) -> Outcome[IkeState]:
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
        return Outcome(Delta.empty(model.fingerprint), state, tuple(reports))

    def _add(
        self, model: LanguageModel, edit: Edit, state: IkeState, pool: DemonstrationPool | None
    ) -> tuple[IkeState, EditReport]:
        count, question = self.hyperparameters.n_demonstrations, edit.question
        shown = () if pool is None else pool.nearest(question, edit.target_new, count)
        if shown is None:
            return state, _dropped(edit, "too few edits are left to make demonstrations of")
        retriever = self._retriever(model)
        (key,) = retriever.encode([question])
        fact = Fact(edit=edit.id, question=question, target=edit.target_new, demonstrations=shown)
        made = state.with_fact(fact, key)
        (router,) = self.routers(model, made)
        bare, told = (
            tokenize_prompt(model.tokenizer, prompt, target=edit.target_new)
            for prompt in (question, router.route(question).prompt)
        )
        if len(told.ids) - 1 > model.context_length:
            return state, _dropped(
                edit,
                f"with what stands before it, its request takes {len(told.ids) - 1} tokens; the context has "
                f"{model.context_length}",
            )
        before, after = (_loss(model, prompt) for prompt in (bare, told))
        if not math.isfinite(before) or not math.isfinite(after):
            return state, _dropped(edit, "the loss is not finite")
        report = EditReport(
            edit_id=edit.id,
            steps=0,
            first_loss=before,
            final_loss=after,
            relative_norm=0.0,
            diagnostics={
                "context_tokens": float(len(told.ids) - len(bare.ids)),
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


def _dropped(edit: Edit, reason: str) -> EditReport:
    return EditReport(
        edit_id=edit.id, steps=0, first_loss=math.nan, final_loss=math.nan, relative_norm=0.0, dropped=reason
    )
