"""IKE's facts, which are added as text to the prompts of nearby requests."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import torch
from pydantic import BaseModel, ConfigDict

from sequela.core.hashing import hash_json
from sequela.core.joining import continued
from sequela.edited.protocols import Route, Routed
from sequela.editors.base import EditorState
from sequela.editors.methods.ike.demonstrations import in_context
from sequela.editors.methods.ike.retrieval import Retriever, by_nearness


class Fact(BaseModel):
    """An edit as a fact.

    Args:
        edit: The edit's id.
        question: The edit's prompt with its subject.
        target: The new answer.
        demonstrations: The demonstrations that precede it in the prompt, nearest first.
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
    """IKE's state: the facts, with the `keys` of their questions `[n, width]` among the tensors.

    Args:
        retriever: The fingerprint of the retriever that computed the keys.
        pool: The hash of the edits from which demonstrations are built; empty without demonstrations.
        facts: The facts; one with the same question as an earlier one replaces it.
    """

    retriever: str = ""
    pool: str = ""
    facts: tuple[Fact, ...] = ()

    def with_fact(self, fact: Fact, key: torch.Tensor) -> IkeState:
        """Returns the state with one more fact, whose question has the embedding `key` `[width]`."""
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
    """The router that adds facts to the prompts of requests.

    Args:
        state: The state, with at least one fact.
        retriever: The retriever that computed the state's keys.
        n_facts: The maximum number of facts per request.
        threshold: The minimum cosine similarity at which a fact is added; None adds the nearest always.
    """

    state: IkeState
    retriever: Retriever
    n_facts: int = 1
    threshold: float | None = None
    _nearest: dict[str, tuple[int, ...]] = field(default_factory=dict, compare=False, repr=False)

    @property
    def content_hash(self) -> str:
        """The hash of the facts and of everything that determines their selection."""
        content = self.state.model_dump(mode="json", include={"retriever", "facts"})
        return hash_json({**content, "n_facts": self.n_facts, "threshold": self.threshold})

    def nearest(self, prompt: str) -> tuple[int, ...]:
        """Returns the indices of the facts for a request, nearest first; empty if none is near enough."""
        if len(self.state.facts) == 1 and self.threshold is None:
            return (0,)
        if prompt not in self._nearest:  # multiple-choice benchmarks repeat a prompt for each choice
            (query,) = self.retriever.encode([prompt])
            indices, cosines = by_nearness(query, self.state.tensors["keys"])
            minimum = -math.inf if self.threshold is None else self.threshold
            near = [index for index, cosine in zip(indices, cosines, strict=True) if cosine >= minimum]
            self._nearest[prompt] = tuple(near[: self.n_facts])
        return self._nearest[prompt]

    def route(self, prompt: str) -> Routed:
        """Returns the request after the nearest fact's demonstrations and the nearest facts, nearest last."""
        facts = [self.state.facts[index] for index in self.nearest(prompt)]
        if not facts:
            return Routed(prompt, Route(hit=False))
        shown = "".join(reversed(facts[0].demonstrations))
        context = in_context([fact.text for fact in reversed(facts)], prompt)
        return Routed(shown + context, Route(hit=True))
