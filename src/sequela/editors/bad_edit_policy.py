"""The policy for disabling edits, which break a model at once.

A disabling edit (Yang et al. 2024, "The Butterfly Effect of Model Editing"; Gupta et al. 2024, "Rebuilding
ROME") changes a weight by as much as the weight itself. Its effect on scores is measured at the next
checkpoint; the policy identifies the batch that caused it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, get_args

from pydantic import ConfigDict, Field

from sequela.core.arguments import check_choice
from sequela.core.validation import CheckedModel, NumericModel

if TYPE_CHECKING:
    from sequela.editors.base import EditOutcome

EXPLOSIVE = 0.5
"""The default limit on `||Delta|| / ||W||`; a batch that exceeds it is called explosive."""

Action = Literal["report", "skip", "stop"]
ACTIONS: tuple[Action, ...] = get_args(Action)
"""The actions that may follow a bad edit."""


class BadEditPolicy(NumericModel, CheckedModel):
    """The criterion for bad edits, and the action taken.

    Args:
        action: `report` applies the batch with a warning; `skip` leaves it out; `stop` leaves it out and ends
            the editing.
        relative_norm: The greatest `||Delta|| / ||W||` that a batch may have.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    action: Action = Field(default="report", description="The action taken: report, skip or stop.")
    relative_norm: float = Field(
        default=EXPLOSIVE, gt=0, description="The greatest ||Delta||/||W|| that a batch may have."
    )

    @classmethod
    def of(cls, policy: BadEditPolicy | str) -> BadEditPolicy:
        """Returns a policy unchanged, or creates one from an action with the default norm.

        Args:
            policy: A policy, or the action `report`, `skip` or `stop`.

        Raises:
            UnknownNameError: The action is unknown.
            BadInputError: It is neither a policy nor a string.
        """
        if isinstance(policy, BadEditPolicy):
            return policy
        check_choice("policy for bad edits", policy, ACTIONS)
        return cls.model_validate({"action": policy})

    def violation(self, outcome: EditOutcome[Any]) -> str:
        """Returns a description of how a batch violates the policy; empty if it doesn't."""
        norm = max((report.relative_norm for report in outcome.reports if not report.dropped), default=0.0)
        if norm <= self.relative_norm:
            return ""
        return f"an explosive update: ||Delta|| is {norm:.2g} ||W||, more than {self.relative_norm:g}"
