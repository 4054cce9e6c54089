"""Edits that ruin a model in one blow, and what is done about them.

A disabling edit (Yang et al. 2024, "The Butterfly Effect of Model Editing"; Gupta et al. 2024, "Rebuilding
ROME") changes a weight by as much as the weight itself. What it does to scores is seen at the next
checkpoint; that it was one edit which did it is seen here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field

from sequela.core.errors import UnknownNameError

if TYPE_CHECKING:
    from sequela.editors.base import EditOutcome

EXPLOSIVE = 0.5
"""A batch that changes a weight by more than this part of its norm is called explosive by default."""

Action = Literal["report", "skip", "stop"]
ACTIONS: tuple[Action, ...] = get_args(Action)
"""The actions that may follow a bad edit."""


class BadEditPolicy(BaseModel):
    """When an edit is bad, and what follows.

    Args:
        action: `report` makes it and says so; `skip` leaves it out; `stop` leaves it out and ends there.
        relative_norm: The greatest `||Delta|| / ||W||` of one batch that is not bad.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    action: Action = Field(default="report", description="What follows: report, skip or stop.")
    relative_norm: float = Field(
        default=EXPLOSIVE, gt=0, description="The greatest ||Delta||/||W|| of a batch that is not bad."
    )

    @classmethod
    def of(cls, policy: BadEditPolicy | str) -> BadEditPolicy:
        """Returns a policy, or the one with an action and the usual norm.

        Args:
            policy: A policy, or `report`, `skip` or `stop`.

        Raises:
            UnknownNameError: There is no such action.
        """
        if isinstance(policy, BadEditPolicy):
            return policy
        for action in ACTIONS:
            if action == policy:
                return cls(action=action)
        raise UnknownNameError("policy for bad edits", policy, ACTIONS)

    def violation(self, outcome: EditOutcome[Any]) -> str:
        """What is wrong with a batch; empty if nothing is."""
        norm = max((report.relative_norm for report in outcome.reports if not report.dropped), default=0.0)
        if norm <= self.relative_norm:
            return ""
        return f"an explosive update: ||Delta|| is {norm:.2g} ||W||, more than {self.relative_norm:g}"
