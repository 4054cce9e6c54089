"""Facts kept as text, and told in front of the requests they are near to, as IKE does."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import torch
from pydantic import BaseModel, ConfigDict

from sequela.core.hashing import hash_json
from sequela.edited.protocols import Route, Routed
from sequela.editors.base import EditorState
from sequela.editors.methods.ike.demonstrations import in_context
from sequela.editors.methods.ike.retrieval import Retriever, by_nearness
from sequela.models.spans import continued


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
        content = self.state.model_dump(mode="json", include={"retriever", "facts"})
        return hash_json({**content, "n_facts": self.n_facts, "threshold": self.threshold})

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
        context = in_context([fact.text for fact in reversed(facts)], prompt)
        return Routed(shown + context, Route(hit=True))
