"""A constraint on the size of the change inside the solve, in the manner of ENCORE.

Gupta et al., "Lifelong Sequential Knowledge Editing without Model Degradation" (2025, arXiv 2502.01636):
`weight ||Delta||²` joins what the batch methods minimise, `Delta = R Kᵀ (lambda C + K Kᵀ + weight I)⁻¹`.
(ENCORE also ends the search for target values earlier; that part is not here.)
"""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from sequela.editors.editor import AnyEditor
from sequela.editors.restraints.restraint import Restraint, RestraintSettings
from sequela.ground.errors import BadInputError


class NormSettings(RestraintSettings):
    """The constraint's settings."""

    weight: float = Field(default=10.0, gt=0, description="The weight of ||Delta||² in the solve.")


class NormConstraint(Restraint[NormSettings]):
    """Adds the size of the change to what the solve minimises."""

    name: ClassVar[str] = "norm"
    summary: ClassVar[str] = "The size of the change counts in the solve (ENCORE, Gupta et al. 2025)."
    paper: ClassVar[str] = "Gupta et al. 2025, arXiv 2502.01636"
    settings_class = NormSettings

    def adapted(self, editor: AnyEditor) -> AnyEditor:
        """The method with the weight among its settings.

        Raises:
            BadInputError: The method has no solve with C.
        """
        settings = editor.hyperparameters
        if "norm_weight" not in type(settings).model_fields:
            raise BadInputError(
                f"The restraint 'norm' belongs into a solve with C; {editor.name} has none.",
                hint="Use it with memit or pmet.",
            )
        return editor.with_settings(settings.model_copy(update={"norm_weight": self.settings.weight}))
