"""The tokens at which interventions decide, and the decisions they made.

An intervention decides once for each sequence, at the last token of the context or prompt. The decision
applies to that token, or to it and all later ones. A hook can't infer this token from a pass: rows are
padded, packed into a tree with others, or run one token at a time. So an engine declares the tokens before
each pass. A pass without that declaration is an error: nothing is taken over from an earlier pass.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch

from sequela.core.errors import SequelaError

NO_DECISION = -1
"""The decision id of tokens before any decision."""

NO_MATCH = -1
"""The choice of a method if none of its edits applies."""


@dataclass(frozen=True)
class DecisionTokens:
    """The decision positions of one pass.

    Args:
        decides: True for tokens at which a decision is made, `[rows, width]`, bool.
        decision_ids: The id of the decision that applies to a token, `[rows, width]`; `NO_DECISION` before
            any. An id denotes the same decision in all passes between two calls of `Decisions.begin`.
    """

    decides: torch.Tensor
    decision_ids: torch.Tensor

    @classmethod
    def at(
        cls, lengths: torch.Tensor, width: int, decision_ids: torch.Tensor | None = None
    ) -> DecisionTokens:
        """Returns the positions for rows that each decide at one token.

        Args:
            lengths: The number of tokens up to the deciding one, itself included, `[rows]`.
            width: The number of tokens of a row.
            decision_ids: The id of each row's decision, `[rows]`; by default the row's index.
        """
        numbers = torch.arange(len(lengths), device=lengths.device) if decision_ids is None else decision_ids
        columns = torch.arange(width, device=lengths.device)[None]
        last = lengths[:, None] - 1
        under = torch.where(columns >= last, numbers[:, None], torch.full_like(numbers, NO_DECISION)[:, None])
        return cls(columns == last, under)

    @classmethod
    def under(cls, decision_ids: torch.Tensor) -> DecisionTokens:
        """Returns the positions for tokens under decisions of an earlier pass, `[rows, width]`."""
        return cls(torch.zeros_like(decision_ids, dtype=torch.bool), decision_ids)


class Decisions:
    """The decision positions of the current pass, and the decisions made since `begin`.

    Attributes:
        hits: For each decision id, True if a method found an edit that applies.
    """

    def __init__(self) -> None:
        self.hits: dict[int, bool] = {}
        self._chosen: dict[str, dict[int, int]] = {}
        self._now: DecisionTokens | None = None

    def begin(self) -> None:
        """Discards all decisions; decision ids get a new meaning."""
        self.hits.clear()
        self._chosen.clear()

    @contextmanager
    def for_pass(self, tokens: DecisionTokens) -> Iterator[None]:
        """Sets the decision positions of all passes within the `with` block."""
        before, self._now = self._now, tokens
        try:
            yield
        finally:
            self._now = before

    def current(self, inputs: torch.Tensor) -> DecisionTokens:
        """Returns the decision positions of the current pass, on the device of a layer's inputs.

        Args:
            inputs: The inputs of the layer, `[rows, width, ...]`.

        Raises:
            SequelaError: The pass has no declared positions, or they have another shape than the inputs.
        """
        if self._now is None:
            raise SequelaError(
                "The model was run with an intervention on activations, but without decision tokens.",
                hint="Run it with an engine, or inside `decisions.for_pass(...)` of the edited model.",
            )
        if self._now.decides.shape != inputs.shape[:2]:
            raise SequelaError(
                f"A pass of {list(inputs.shape[:2])} tokens was given decision tokens of shape "
                f"{list(self._now.decides.shape)}."
            )
        return DecisionTokens(self._now.decides.to(inputs.device), self._now.decision_ids.to(inputs.device))

    def note(self, decision_ids: torch.Tensor, hit: torch.Tensor) -> None:
        """Records decisions; a decision of several methods is a hit if it is one for any of them.

        Args:
            decision_ids: The decision ids, `[decisions]`.
            hit: True for each decision that is a hit, `[decisions]`.
        """
        for decision_id, is_hit in zip(decision_ids.tolist(), hit.tolist(), strict=True):
            self.hits[decision_id] = self.hits.get(decision_id, False) or is_hit

    def choose(self, method: str, decision_ids: torch.Tensor, choices: torch.Tensor) -> None:
        """Stores a method's choices, for later passes under the same decisions.

        Args:
            method: The hash of the method's intervention.
            decision_ids: The decision ids, `[decisions]`.
            choices: The index of the entry that each decision chose, or `NO_MATCH`, `[decisions]`.
        """
        chosen = self._chosen.setdefault(method, {})
        chosen.update(zip(decision_ids.tolist(), choices.tolist(), strict=True))

    def chosen(self, method: str, decision_ids: torch.Tensor) -> torch.Tensor:
        """Returns a method's choice for each token, shaped like the ids; `NO_MATCH` before any decision.

        Args:
            method: As given to `choose`.
            decision_ids: The id of the decision that applies to each token.

        Raises:
            SequelaError: A token is under a decision that was not made since `begin`.
        """
        unique_ids, inverse = torch.unique(decision_ids, return_inverse=True)
        present, chosen = unique_ids.tolist(), self._chosen.get(method, {})
        missing = sorted({*present} - chosen.keys() - {NO_DECISION})
        if missing:
            raise SequelaError(
                f"A pass has tokens under decision {missing[0]}, which was not made.",
                hint="Run the pass with the deciding token first, through the layer that decides.",
            )
        choices = [chosen.get(decision_id, NO_MATCH) for decision_id in present]
        return torch.tensor(choices, device=decision_ids.device)[inverse]
