"""An editor from another package: it scales one MLP output projection, once for every edit."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict, Field

from sequela.edited import Delta, Dense
from sequela.editors import Editor, EditorState, EditReport, MethodInfo, Outcome, Resources
from sequela.edits import Edit
from sequela.models import LanguageModel


class DoublingHyperparameters(BaseModel):
    """The plug-in's settings."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    layer: int = Field(default=0, ge=0, description="The layer to scale.")
    factor: float = Field(default=2.0, gt=0, description="What the weight is multiplied by, once per edit.")


DOUBLING = MethodInfo(
    name="doubling",
    summary="Scales one MLP layer; a plug-in's example.",
    settings=DoublingHyperparameters,
    implementation="sequela_doubling:Doubling",
)


class DoublingState(EditorState):
    """How many edits have been made."""

    made: int = 0


class Doubling(Editor[DoublingHyperparameters, DoublingState]):
    """Scales a weight."""

    info = DOUBLING
    state_class = DoublingState

    def prepare(self, model: LanguageModel, resources: Resources) -> DoublingState:
        """Checks the layer."""
        model.check_layers((self.hyperparameters.layer,))
        return DoublingState()

    def edit(
        self, model: LanguageModel, edits: Sequence[Edit], state: DoublingState, resources: Resources
    ) -> Outcome[DoublingState]:
        """Scales the weight by `factor ** len(edits)`."""
        layer, factor = self.hyperparameters.layer, self.hyperparameters.factor ** len(edits)
        weight = model.family.as_out_in(model.mlp_out_weight(layer).detach())
        update = Dense((weight * (factor - 1)).contiguous())
        delta = Delta(model.fingerprint, {model.family.mlp_out_name(layer): update})
        reports = tuple(
            EditReport(
                edit_id=edit.id,
                optimization_steps=1,
                first_loss=0.0,
                final_loss=0.0,
                relative_norm=abs(factor - 1),
            )
            for edit in edits
        )
        return Outcome(delta, DoublingState(made=state.made + len(edits)), reports)
