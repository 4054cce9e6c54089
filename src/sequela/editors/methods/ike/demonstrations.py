"""Demonstrations of what to do with a new fact, made of other edits (Zheng et al. 2023).

There are three kinds, and each says a fact, a prompt and how the prompt goes on:

* `copy`: the edit's own prompt, and the new answer.
* `update`: a paraphrase, and the new answer.
* `retain`: a prompt about another subject, and the answer that this has anyway.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import cycle, islice
from typing import Literal

import torch

from sequela.core.errors import BadInputError
from sequela.editors.methods.ike.retrieval import Retriever, by_nearness
from sequela.edits import Edit, EditSet
from sequela.models.spans import continued

Kind = Literal["copy", "update", "retain"]

ORDER: tuple[Kind, ...] = ("retain", "update", "retain", "copy", "update", "retain", "update", "retain")
"""The kinds from the nearest demonstration on, again and again: one copy, three updates and four retains."""


def kinds_of(count: int) -> tuple[Kind, ...]:
    """The kinds of so many demonstrations, from the nearest on."""
    return tuple(islice(cycle(ORDER), count))


def in_context(facts: Sequence[str], prompt: str) -> str:
    """A prompt behind new facts, as the model is shown it."""
    return "".join(f"New Fact: {fact}\n" for fact in facts) + f"Prompt: {prompt}"


def demonstration(edit: Edit, kind: Kind) -> str | None:
    """An edit as a demonstration; None if it hasn't what the kind needs."""
    shown: str | None = None
    if kind == "copy":
        shown = continued(edit.question, edit.target_new)
    elif kind == "update" and edit.paraphrases:
        shown = continued(edit.paraphrases[0], edit.target_new)
    elif kind == "retain":
        known = ((probe.prompt, probe.answer) for probe in edit.neighborhood)
        shown = next((continued(prompt, answer) for prompt, answer in known if answer), None)
    if shown is None:
        return None
    return in_context([continued(edit.question, edit.target_new)], shown) + "\n\n"


@dataclass(frozen=True)
class DemonstrationPool:
    """Edits that demonstrations are made of.

    Args:
        edits: The edits.
        keys: Where the retriever puts their facts, `[edits, width]`.
        retriever: The retriever.
    """

    edits: EditSet
    keys: torch.Tensor
    retriever: Retriever

    @classmethod
    def of(cls, edits: EditSet, count: int, retriever: Retriever) -> DemonstrationPool:
        """A pool for `count` demonstrations at a time.

        Raises:
            BadInputError: There are too few edits for some kind.
        """
        for kind, needed in Counter(kinds_of(count)).items():
            there = sum(demonstration(edit, kind) is not None for edit in edits)
            if there < needed:
                raise BadInputError(
                    f"The edits of {edits.name!r} can show {kind!r} {there} times; {needed} are needed.",
                    hint="An update needs an edit with a paraphrase, a retain one with a neighbor whose "
                    "answer is given. Name another source as `demonstrations`, or lower `n_demonstrations`.",
                )
        facts = [continued(edit.question, edit.target_new) for edit in edits]
        return cls(edits, retriever.encode(facts), retriever)

    def nearest(self, question: str, target: str, count: int) -> tuple[str, ...] | None:
        """The demonstrations nearest to a fact, nearest first; None if too few edits are left for them.

        No edit is shown twice, and none that asks the very question.
        """
        (query,) = self.retriever.encode([continued(question, target)])
        places, _ = by_nearness(query, self.keys)
        left = [self.edits[place] for place in places if self.edits[place].question != question]
        chosen = []
        for kind in kinds_of(count):
            made = ((at, demonstration(edit, kind)) for at, edit in enumerate(left))
            found = next(((at, text) for at, text in made if text is not None), None)
            if found is None:
                return None
            at, text = found
            del left[at]
            chosen.append(text)
        return tuple(chosen)
