"""ROME: one fact, one layer, one rank-one change.

Meng, Bau, Andonian, Belinkov, "Locating and Editing Factual Associations in GPT" (NeurIPS 2022). The released
code mixes two keys: the direction `u = C⁻¹ k` uses the mean key over contexts, the divisor `u . k` the bare
prompt's key. If their directions differ, the change explodes and a single edit breaks the model. Gupta,
Baskaran, Anumanchipalli, "Rebuilding ROME" (EMNLP 2024) give two consistent variants.
"""

from __future__ import annotations

import torch

from sequela.edited import Delta
from sequela.editors.base import EditReport, Resources, relative_norms
from sequela.editors.methods.rome.settings import ROME, RomeHyperparameters
from sequela.editors.one_by_one import OneByOneEditor
from sequela.editors.shared.keys import in_contexts, mean_weights, read_at_subject
from sequela.editors.shared.locate_state import LocateState, check_statistics, initial_state
from sequela.editors.shared.solve import rank_one
from sequela.editors.shared.target_optimization import optimize_targets, target_revision
from sequela.edits import Edit
from sequela.models import LanguageModel
from sequela.models.forward.activations import Site


class Rome(OneByOneEditor[RomeHyperparameters, LocateState]):
    """Writes one fact at a time into the MLP output projection of one layer."""

    info = ROME
    state_class = LocateState

    @property
    def variant(self) -> str:
        """The key variant, with `no covariance` if the covariance is not used."""
        return self.hyperparameters.variant + (
            "" if self.hyperparameters.mom2_adjustment else ", no covariance"
        )

    def layers_of(self, model: LanguageModel) -> tuple[int, ...]:
        """Returns the layer that is edited."""
        return self.hyperparameters.layers or (model.layer_at(DEFAULT_DEPTH),)

    def revision(self, model: LanguageModel) -> str:
        """Returns the revision of the target optimization."""
        return target_revision(model)

    def prepare(self, model: LanguageModel, resources: Resources) -> LocateState:
        """Samples contexts and computes the key covariance of the layer."""
        settings = self.hyperparameters
        layers, whiten = self.layers_of(model), settings.mom2_adjustment
        return initial_state(model, resources, settings.n_contexts, layers, whiten=whiten)

    def edit_one(
        self, model: LanguageModel, edit: Edit, state: LocateState, resources: Resources
    ) -> tuple[Delta, EditReport]:
        """Optimizes the target value and computes the rank-one change that produces it."""
        check_statistics(state, resources)
        settings, (layer,) = self.hyperparameters, self.layers_of(model)
        key_site, value_site = Site("key", layer), Site("value", layer)
        read = read_at_subject(model, in_contexts(model, edit, state.contexts), [key_site, value_site])
        weights = mean_weights(len(state.contexts), bare_half=False).to(model.device)
        mean_key, bare_key = weights @ read[key_site].float(), read[key_site][0].float()
        mean_value, bare_value = weights @ read[value_site].float(), read[value_site][0].float()

        (targets,) = optimize_targets(
            model, [edit], state.contexts, [value_site], settings, progress=resources.progress
        )
        target = targets[value_site]
        direction_key = bare_key if settings.variant == "p-rome" else mean_key
        division_key = mean_key if settings.variant == "r-rome" else bare_key
        current_value = mean_value if settings.variant == "r-rome" else bare_value
        direction = direction_key
        if settings.mom2_adjustment:
            direction = resources.statistics.whitening(layer).solve(direction_key[:, None])[:, 0]
        update = rank_one(direction, division_key, target.value - current_value)

        delta = Delta(model.fingerprint, {model.family.mlp_out_name(layer): update})
        finite = delta.finite
        report = EditReport(
            edit_id=edit.id,
            optimization_steps=len(target.losses),
            first_loss=target.losses[0].total,
            final_loss=target.losses[-1].total,
            relative_norm=max(relative_norms(model, delta).values()) if finite else float("nan"),
            dropped=target.failure or ("" if finite else "the change is not finite"),
            diagnostics={
                "key_direction_cosine": _cosine(direction, division_key),
                "bare_mean_key_cosine": _cosine(bare_key, mean_key),
                "target_loss": target.losses[-1].likelihood,
            },
        )
        return delta, report


DEFAULT_DEPTH = 0.23
"""The layer's default position, as a fraction of the depth: layer 7 of 30 (docs/results/rome-layer.md)."""


def _cosine(a: torch.Tensor, b: torch.Tensor) -> float:
    return float(torch.nn.functional.cosine_similarity(a.double(), b.double(), dim=0))
