"""MEMIT: many facts at once, spread over a range of layers.

Meng, Sharma, Andonian, Belinkov, Bau, "Mass-Editing Memory in a Transformer" (ICLR 2023).
Target values are sought in the residual stream above the last edited layer; then the
layers are changed in order, each taking its share of what is still missing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import torch
from pydantic import Field, NonNegativeInt

from sequela.deltas import Delta, LowRank
from sequela.editors.editor import Editor, EditReport, Outcome, Resources, relative_norms
from sequela.editors.locate.keys import in_contexts, mean_weights, read_at_subject
from sequela.editors.locate.settings import N_CONTEXTS, LocateState, first_state
from sequela.editors.locate.solve import WhitenedSolver
from sequela.editors.locate.targets import Target, TargetHyperparameters, optimize_target
from sequela.edits import Edit
from sequela.ground.progress import tracked
from sequela.models import LanguageModel
from sequela.models.reading import Site


class MemitHyperparameters(TargetHyperparameters):
    """MEMIT's settings."""

    layers: tuple[NonNegativeInt, ...] | None = Field(
        default=None, min_length=1, description="The layers to edit, ascending; by default five."
    )
    mom2_update_weight: float | None = Field(
        default=None, gt=0, description="lambda: how strongly C holds other keys still; by default d_ff."
    )
    n_contexts: int = Field(default=N_CONTEXTS, ge=0, description="Sampled contexts beside the bare prompt.")


class Memit(Editor[MemitHyperparameters, LocateState]):
    """Writes a batch of facts into the MLP output projections of several layers."""

    name: ClassVar[str] = "memit"
    summary: ClassVar[str] = "Batch least-squares change of several MLP layers (Meng et al. 2023)."
    hyperparameters_class = MemitHyperparameters
    state_class = LocateState

    def layers_of(self, model: LanguageModel) -> tuple[int, ...]:
        """The layers that are edited, ascending."""
        layers = self.hyperparameters.layers
        if layers is not None:
            return tuple(sorted(set(layers)))
        last = min(round(DEFAULT_LAST_DEPTH * model.n_layers), model.n_layers - 1)
        return tuple(range(max(0, last - N_LAYERS + 1), last + 1))

    def weight_of(self, model: LanguageModel) -> float:
        """Lambda, the weight of C against the batch's own keys.

        The mean of `kᵀ C⁻¹ k` is d_ff, so with lambda = d_ff a typical key is written half by each
        layer, whatever the model's width. The published 15,000 is this for GPT-J (d_ff = 16,384); on a
        narrow model it all but forbids the edit (docs/results/memit-lambda.md).
        """
        weight = self.hyperparameters.mom2_update_weight
        return weight if weight is not None else float(model.key_size)

    def lowest_block(self, model: LanguageModel) -> int:
        """The lowest edited layer."""
        return self.layers_of(model)[0]

    def prepare(self, model: LanguageModel, resources: Resources) -> LocateState:
        """Samples contexts and collects the second moments of the layers' keys in one pass."""
        return first_state(
            model, resources, self.hyperparameters.n_contexts, self.layers_of(model), whiten=True
        )

    def edit(
        self, model: LanguageModel, edits: Sequence[Edit], state: LocateState, resources: Resources
    ) -> Outcome[LocateState]:
        """Makes a batch of edits together."""
        layers = self.layers_of(model)
        site = Site("block", layers[-1])
        targets: dict[str, Target] = {}
        for edit in tracked(edits, resources.progress, "MEMIT targets", len(edits)):
            targets[edit.id] = optimize_target(model, edit, state.contexts, site, self.hyperparameters)
        kept = [edit for edit in edits if not targets[edit.id].failure]
        delta = self._spread(model, kept, targets, state, layers, resources)
        failure = "" if delta.finite else "the change of the batch is not finite"
        if failure:
            delta = Delta.empty(model.fingerprint)
        norm = max(relative_norms(model, delta).values(), default=0.0)
        reports = tuple(
            EditReport(
                edit_id=edit.id,
                steps=len(targets[edit.id].losses),
                first_loss=targets[edit.id].losses[0].total,
                final_loss=targets[edit.id].losses[-1].total,
                relative_norm=norm,
                dropped=targets[edit.id].failure or failure,
                diagnostics={"target_loss": targets[edit.id].losses[-1].likelihood},
            )
            for edit in edits
        )
        return Outcome(delta, state, reports)

    def _spread(
        self,
        model: LanguageModel,
        edits: Sequence[Edit],
        targets: dict[str, Target],
        state: LocateState,
        layers: tuple[int, ...],
        resources: Resources,
    ) -> Delta:
        """Changes the layers in order; keys and residuals are read anew after each."""
        total = Delta.empty(model.fingerprint)
        if not edits:
            return total
        wished = torch.stack([targets[edit.id].value for edit in edits]).double()
        for number, layer in enumerate(layers):
            in_force = total.apply(model)
            try:
                keys, current = self._keys_and_outputs(model, edits, state, layer, layers[-1])
            finally:
                in_force.revert()
            second_moment = resources.statistics.second_moment(layer).matrix
            solver = WhitenedSolver(second_moment, self.weight_of(model))
            residual = (wished - current) / (len(layers) - number)
            adjusted = solver.batch_adjustment(keys.T)
            update = LowRank(residual.T.float().contiguous(), adjusted.T.float().contiguous())
            total = total + Delta(model.fingerprint, {model.family.mlp_out_name(layer): update})
        return total

    def _keys_and_outputs(
        self, model: LanguageModel, edits: Sequence[Edit], state: LocateState, layer: int, last: int
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Mean keys at `layer` `[n, d_ff]` and the bare prompts' outputs of block `last` `[n, d]`."""
        key_site, block_site = Site("key", layer), Site("block", last)
        prompts = [prompt for edit in edits for prompt in in_contexts(model, edit, state.contexts)]
        read = read_at_subject(model, prompts, [key_site, block_site])
        n_contexts = len(state.contexts)
        weights = mean_weights(n_contexts, bare_half=True).to(model.device)
        keys = read[key_site].float().reshape(len(edits), n_contexts, -1)
        outputs = read[block_site].reshape(len(edits), n_contexts, -1)
        return torch.einsum("c,nck->nk", weights, keys), outputs[:, 0].double()


N_LAYERS = 5
"""How many layers share the work by default (Meng et al. 2023)."""

DEFAULT_LAST_DEPTH = 1 / 3
"""Where the last edited layer is by default, as a part of the depth."""
