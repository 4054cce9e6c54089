"""Demonstrations of how to use a new fact, built from other edits (Zheng et al. 2023).

There are three kinds. Each contains a fact, a prompt and the prompt's continuation:

* `copy`: the edit's own prompt, continued with the new answer.
* `update`: a paraphrase, continued with the new answer.
* `retain`: a prompt about another subject, continued with its unchanged answer.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import cycle, islice
from typing import Literal

import torch

from sequela.core.errors import BadInputError
from sequela.core.joining import continued
from sequela.editors.methods.ike.retrieval import Retriever, by_nearness
from sequela.edits import Edit, EditSet

Kind = Literal["copy", "update", "retain"]

ORDER: tuple[Kind, ...] = ("retain", "update", "retain", "copy", "update", "retain", "update", "retain")
"""The repeating order of kinds, from the nearest demonstration on: one copy, three updates, four retains."""


def kinds_of(count: int) -> tuple[Kind, ...]:
    """Returns the kinds of `count` demonstrations, from the nearest on."""
    return tuple(islice(cycle(ORDER), count))


def in_context(facts: Sequence[str], prompt: str) -> str:
    """Returns a prompt after new facts, in the format given to the model."""
    return "".join(f"New Fact: {fact}\n" for fact in facts) + f"Prompt: {prompt}"


def demonstration(edit: Edit, kind: Kind) -> str | None:
    """Returns an edit as a demonstration; None if it lacks the data for the kind."""
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
    """The edits from which demonstrations are built.

    Args:
        edits: The edits.
        keys: The retriever's embeddings of their facts, `[edits, width]`.
        retriever: The retriever.
    """

    edits: EditSet
    keys: torch.Tensor
    retriever: Retriever

    @classmethod
    def of(cls, edits: EditSet, count: int, retriever: Retriever) -> DemonstrationPool:
        """Returns a pool for `count` demonstrations at a time.

        Raises:
            BadInputError: There are too few edits for some kind.
        """
        for kind, needed in Counter(kinds_of(count)).items():
            available = sum(demonstration(edit, kind) is not None for edit in edits)
            if available < needed:
                raise BadInputError(
                    f"The edits of {edits.name!r} give {available} demonstrations of kind {kind!r}; {needed} "
                    "are needed.",
                    hint="An update needs an edit with a paraphrase, and a retain one with a neighbor that "
                    "has an answer. Name another source as `demonstrations`, or lower `n_demonstrations`.",
                )
        facts = [continued(edit.question, edit.target_new) for edit in edits]
        return cls(edits, retriever.encode(facts), retriever)

    def nearest(self, question: str, target: str, count: int) -> tuple[str, ...] | None:
        """Returns the demonstrations nearest to a fact, nearest first; None if there are too few edits.

        No edit is used twice, and none with the same question.
        """
        (query,) = self.retriever.encode([continued(question, target)])
        indices, _ = by_nearness(query, self.keys)
        left = [self.edits[index] for index in indices if self.edits[index].question != question]
        chosen = []
        for kind in kinds_of(count):
            candidates = ((at, demonstration(edit, kind)) for at, edit in enumerate(left))
            first = next(((at, text) for at, text in candidates if text is not None), None)
            if first is None:
                return None
            at, text = first
            del left[at]
            chosen.append(text)
        return tuple(chosen)
