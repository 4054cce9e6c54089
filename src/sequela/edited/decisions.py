"""Where methods that watch activations decide, and for whom.

Such a method looks once at each sequence, at the last token of what is asked, and what it decides there holds
for that token or for all behind it. Which token that is can't be told from a pass: rows are padded, packed
into a tree with others, or arrive a token at a time. So whoever runs the model says it before each pass, and
a pass that doesn't say it is refused: nothing is taken over from the pass before.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch

from sequela.core.errors import SequelaError

NO_DECISION = -1
"""The owner of tokens that stand before any decision."""

NO_MATCH = -1
"""What is chosen where nothing that is kept applies."""


@dataclass(frozen=True)
class DecisionTokens:
    """The tokens of one pass.

    Args:
        decides: Whether a decision is made at a token, `[rows, width]`, bool.
        decision_ids: Whose decision a token is under, `[rows, width]`; `NO_DECISION` before any. A number
            stands for the same decision in all passes between two calls of `Decisions.begin`.
    """

    decides: torch.Tensor
    decision_ids: torch.Tensor

    @classmethod
    def at(
        cls, lengths: torch.Tensor, width: int, decision_ids: torch.Tensor | None = None
    ) -> DecisionTokens:
        """Rows that each decide at one token.

        Args:
            lengths: How many tokens stand up to the deciding one, itself included, `[rows]`.
            width: The tokens of a row.
            decision_ids: The number of each row's decision, `[rows]`; by default the row's.
        """
        numbers = torch.arange(len(lengths), device=lengths.device) if decision_ids is None else decision_ids
        columns = torch.arange(width, device=lengths.device)[None]
        last = lengths[:, None] - 1
        under = torch.where(columns >= last, numbers[:, None], torch.full_like(numbers, NO_DECISION)[:, None])
        return cls(columns == last, under)

    @classmethod
    def under(cls, decision_ids: torch.Tensor) -> DecisionTokens:
        """Tokens under decisions that were made in an earlier pass, `[rows, width]`."""
        return cls(torch.zeros_like(decision_ids, dtype=torch.bool), decision_ids)


class Decisions:
    """What is known of the pass at hand, and what was decided since the beginning.

    `hits` tells, by the decision's number, whether something that was kept was found to apply.
    """

    def __init__(self) -> None:
        self.hits: dict[int, bool] = {}
        self._chosen: dict[str, dict[int, int]] = {}
        self._now: DecisionTokens | None = None

    def begin(self) -> None:
        """Forgets all decisions: numbers get a new meaning."""
        self.hits.clear()
        self._chosen.clear()

    @contextmanager
    def for_pass(self, tokens: DecisionTokens) -> Iterator[None]:
        """For the length of a block, passes have these tokens."""
        before, self._now = self._now, tokens
        try:
            yield
        finally:
            self._now = before

    def current(self, inputs: torch.Tensor) -> DecisionTokens:
        """The tokens of the pass at hand, on the device of what entered a layer, `[rows, width, ...]`.

        Raises:
            SequelaError: Nobody said which tokens the pass has, or they are not so many.
        """
        if self._now is None:
            raise SequelaError(
                "The model was run with a method that watches activations, and nobody said where it decides.",
                hint="Run it with an engine, or inside `decisions.during(...)` of the edited model.",
            )
        if self._now.decides.shape != inputs.shape[:2]:
            raise SequelaError(
                f"A pass of {list(inputs.shape[:2])} tokens was told of as {list(self._now.decides.shape)}."
            )
        return DecisionTokens(self._now.decides.to(inputs.device), self._now.decision_ids.to(inputs.device))

    def note(self, decision_ids: torch.Tensor, hit: torch.Tensor) -> None:
        """Notes decisions; one that several methods make is a hit if one of them hit.

        Args:
            decision_ids: The decisions' numbers, `[decisions]`.
            hit: Whether each is a hit, `[decisions]`.
        """
        for decision_id, one in zip(decision_ids.tolist(), hit.tolist(), strict=True):
            self.hits[decision_id] = self.hits.get(decision_id, False) or one

    def choose(self, method: str, decision_ids: torch.Tensor, choices: torch.Tensor) -> None:
        """Keeps what a method chose, for the passes to come under the same decisions.

        Args:
            method: The hash of what decides.
            decision_ids: The decisions' numbers, `[decisions]`.
            choices: The number of what each chose, or `NO_MATCH`, `[decisions]`.
        """
        chosen = self._chosen.setdefault(method, {})
        chosen.update(zip(decision_ids.tolist(), choices.tolist(), strict=True))

    def chosen(self, method: str, decision_ids: torch.Tensor) -> torch.Tensor:
        """What a method chose for tokens, shaped as their owners; `NO_MATCH` before any decision.

        Args:
            method: As given to `choose`.
            decision_ids: Whose decision each token is under.

        Raises:
            SequelaError: A token is under a decision that wasn't made since the beginning.
        """
        numbers, places = torch.unique(decision_ids, return_inverse=True)
        present, chosen = numbers.tolist(), self._chosen.get(method, {})
        missing = sorted({*present} - chosen.keys() - {NO_DECISION})
        if missing:
            raise SequelaError(
                f"A pass has tokens under decision {missing[0]}, which was not made.",
                hint="Run the pass that decides before, through the layer that decides.",
            )
        found = [chosen.get(decision_id, NO_MATCH) for decision_id in present]
        return torch.tensor(found, device=decision_ids.device)[places]
