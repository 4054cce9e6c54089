"""A method and a regularizer."""

from __future__ import annotations

from collections.abc import Sequence

from sequela.edited import Delta, Dense
from sequela.editors import Editor, EditOutcome, EditReport, NoState, Regularizer, Resources, relative_norms
from sequela.edits import Edit
from sequela.models import LanguageModel
from sequela_example_plugin.records import DOUBLING, HALVING, DoublingHyperparameters, HalvingSettings


class Doubling(Editor[DoublingHyperparameters, NoState]):
    """Scales a weight by a factor for every edit."""

    info = DOUBLING

    def prepare(self, model: LanguageModel, resources: Resources) -> NoState:
        """Checks the layer."""
        model.check_layers((self.hyperparameters.layer,))
        return NoState()

    def edit(
        self, model: LanguageModel, edits: Sequence[Edit], state: NoState, resources: Resources
    ) -> EditOutcome[NoState]:
        """Returns the change that scales the weight by `factor ** len(edits)`."""
        layer, factor = self.hyperparameters.layer, self.hyperparameters.factor ** len(edits)
        weight = model.family.as_out_in(model.mlp_out_weight(layer).detach())
        update = Dense((weight * (factor - 1)).contiguous())
        delta = Delta(model.fingerprint, {model.family.mlp_out_name(layer): update})
        norm = max(relative_norms(model, delta).values())
        reports = tuple(
            EditReport(edit_id=one.id, optimization_steps=0, first_loss=0, final_loss=0, relative_norm=norm)
            for one in edits
        )
        return EditOutcome(delta, state, reports)


class Halving(Regularizer[HalvingSettings]):
    """Scales every batch's change by a factor."""

    info = HALVING

    def regularize_batch(self, model: LanguageModel, change: Delta) -> Delta:
        """Returns the scaled change."""
        smaller = {name: Dense(one.to_dense() * self.settings.share) for name, one in change.updates.items()}
        return Delta(change.base_fingerprint, smaller)
