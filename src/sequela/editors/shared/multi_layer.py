"""Editing a range of layers: what MEMIT, PMET, EMMET and AlphaEdit have in common.

Target values are sought above the last edited layer; then the layers are changed in order, each
taking its share of what is still missing. A method says where targets are sought, how a layer's
keys are weighed, and whether earlier edits are remembered.
"""

from __future__ import annotations

import abc
from collections.abc import Sequence
from typing import ClassVar, Generic, TypeVar

import torch

from sequela.edited import Delta, EditedModel, LowRank
from sequela.editors.base import Editor, EditOutcome, EditReport, Resources, relative_norms
from sequela.editors.shared.keys import in_contexts, mean_weights, read_at_subject
from sequela.editors.shared.locate_state import LocateState, check_statistics, initial_state
from sequela.editors.shared.settings import MultiLayerHyperparameters
from sequela.editors.shared.solve import Adjustment, ridge_adjustment
from sequela.editors.shared.target_optimization import StoppingRule, Target, optimize_targets
from sequela.edits import Edit
from sequela.models import LanguageModel, TokenizedPrompt
from sequela.models.forward.activations import Site

N_LAYERS = 5
"""How many layers share the work by default (Meng et al. 2023)."""

DEFAULT_LAST_DEPTH = 1 / 3
"""Where the last edited layer is by default, as a part of the depth."""


S = TypeVar("S", bound=MultiLayerHyperparameters)


class MultiLayerEditor(Editor[S, LocateState], Generic[S]):
    """Writes a batch of facts into the MLP output projections of several layers."""

    state_class = LocateState

    @abc.abstractmethod
    def ridge_weight(self, model: LanguageModel) -> float:
        """The weight in `ridge_adjustment`."""

    def precondition_keys(self, layer: int, keys: torch.Tensor, resources: Resources) -> torch.Tensor:
        """`G keys` for keys `[d_ff, n]` of a layer, see `ridge_adjustment`: here `C⁻¹ keys`."""
        return resources.statistics.whitening(layer, self.ridge(resources.statistics.model)).solve(keys)

    def ridge(self, model: LanguageModel) -> float:
        """What is added to the diagonal of C."""
        return 0.0

    def keeps_history(self) -> bool:
        """Whether the keys of earlier batches stay in the solve."""
        return False

    def target_site(self, model: LanguageModel) -> Site:
        """Where targets are sought and residuals are taken."""
        return Site("block", self.layers_of(model)[-1])

    rule: ClassVar[type[StoppingRule]] = StoppingRule
    """When the search for an edit's target ends."""

    def target_sites(self, model: LanguageModel) -> list[Site]:
        """Where something is added while targets are sought, `target_site` first."""
        return [self.target_site(model)]

    def residual_divisor(self, n_left: int) -> float:
        """What the residual is divided by with so many layers left, this one included."""
        return n_left

    def find_targets(
        self, model: LanguageModel, edits: Sequence[Edit], state: LocateState, resources: Resources
    ) -> list[Target]:
        """The target of each edit at `target_site`."""
        sites = self.target_sites(model)
        found = optimize_targets(
            model,
            edits,
            state.contexts,
            sites,
            self.hyperparameters,
            self.rule,
            resources.progress,
            f"{self.name} targets",
        )
        return [targets[sites[0]] for targets in found]

    def layers_of(self, model: LanguageModel) -> tuple[int, ...]:
        """The layers that are edited, ascending."""
        layers = self.hyperparameters.layers
        if layers is not None:
            return tuple(sorted(set(layers)))
        last = min(round(DEFAULT_LAST_DEPTH * model.n_layers), model.n_layers - 1)
        return tuple(range(max(0, last - N_LAYERS + 1), last + 1))

    def prepare(self, model: LanguageModel, resources: Resources) -> LocateState:
        """Samples contexts and collects the second moments of the layers' keys in one pass."""
        return initial_state(
            model, resources, self.hyperparameters.n_contexts, self.layers_of(model), whiten=True
        )

    def edit(
        self, model: LanguageModel, edits: Sequence[Edit], state: LocateState, resources: Resources
    ) -> EditOutcome[LocateState]:
        """Makes a batch of edits together."""
        check_statistics(state, resources)
        targets = self.find_targets(model, edits, state, resources)
        kept = [n for n, target in enumerate(targets) if not target.failure]
        made = [edits[n] for n in kept]
        delta, conditions = Delta.empty(model.fingerprint), list[float]()
        if made:
            target_values = torch.stack([targets[n].value for n in kept])
            delta, conditions = self._edit_layers(model, made, target_values, state, resources)
        failure = "" if delta.finite else "the change of the batch is not finite"
        if failure:
            delta = Delta.empty(model.fingerprint)
        elif self.keeps_history() and made:
            state = self._with_keys(model, made, delta, state)
        norm = max(relative_norms(model, delta).values(), default=0.0)
        solved = {"solve_condition": max(conditions)} if conditions else {}
        reports = tuple(
            EditReport(
                edit_id=edit.id,
                optimization_steps=len(target.losses),
                first_loss=target.losses[0].total,
                final_loss=target.losses[-1].total,
                relative_norm=norm,
                dropped=target.failure or failure,
                diagnostics={"target_loss": target.losses[-1].likelihood, **solved},
            )
            for edit, target in zip(edits, targets, strict=True)
        )
        return EditOutcome(delta, state, reports)

    def _edit_layers(
        self,
        model: LanguageModel,
        edits: Sequence[Edit],
        target_values: torch.Tensor,
        state: LocateState,
        resources: Resources,
    ) -> tuple[Delta, list[float]]:
        """Changes the layers in order; keys and residuals are read anew after each.

        Args:
            model: The model as it is now.
            edits: The edits that have a target.
            target_values: The targets, `[edits, d]`.
            state: Contexts and earlier keys.
            resources: The statistics.

        Returns:
            The change, and the condition number of each layer's solve.
        """
        total = Delta.empty(model.fingerprint)
        layers, conditions = self.layers_of(model), list[float]()
        for number, layer in enumerate(layers):
            with EditedModel(model, total):
                keys, current = self._keys_and_current(model, edits, state, layer)
            adjustment = self._adjusted(model, keys, state, layer, resources)
            n_left = len(layers) - number
            residual = (target_values.double() - current.double()) / self.residual_divisor(n_left)
            update = LowRank(residual.T.float().contiguous(), adjustment.keys.T.float().contiguous())
            total = total + Delta(model.fingerprint, {model.family.mlp_out_name(layer): update})
            conditions.append(adjustment.condition)
        return total, conditions

    def _adjusted(
        self, model: LanguageModel, keys: torch.Tensor, state: LocateState, layer: int, resources: Resources
    ) -> Adjustment:
        """The solve of one layer for the batch's keys `[edits, d_ff]`, earlier keys held still."""
        earlier = state.tensors.get(_name(layer))
        together = keys if earlier is None else torch.cat([earlier, keys])
        mapped = self.precondition_keys(layer, together.T, resources)
        return ridge_adjustment(mapped, together.T, self.ridge_weight(model), len(keys))

    def _keys_and_current(
        self, model: LanguageModel, edits: Sequence[Edit], state: LocateState, layer: int
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Mean keys at `layer` `[n, d_ff]` and what is at the bare prompts' target site `[n, d]`."""
        key, target = Site("key", layer), self.target_site(model)
        read = read_at_subject(model, _in_all_contexts(model, edits, state), [key, target])
        current = read[target].reshape(len(edits), len(state.contexts), -1)[:, 0]
        return _mean_keys(read[key], len(state.contexts)), current

    def _with_keys(
        self, model: LanguageModel, edits: Sequence[Edit], delta: Delta, state: LocateState
    ) -> LocateState:
        """The state with the batch's keys added, as the model has them after the change."""
        sites = [Site("key", layer) for layer in self.layers_of(model)]
        with EditedModel(model, delta):
            read = read_at_subject(model, _in_all_contexts(model, edits, state), sites)
        tensors = dict(state.tensors)
        for site in sites:
            keys, name = _mean_keys(read[site], len(state.contexts)), _name(site.layer)
            tensors[name] = torch.cat([tensors[name], keys]) if name in tensors else keys
        return state.model_copy(update={"tensors": tensors})


def _in_all_contexts(
    model: LanguageModel, edits: Sequence[Edit], state: LocateState
) -> list[TokenizedPrompt]:
    """Every edit's prompt in every context, edit by edit."""
    return [prompt for edit in edits for prompt in in_contexts(model, edit, state.contexts)]


def _name(layer: int) -> str:
    """What a layer's earlier keys are called in the state."""
    return f"keys.{layer}"


def _mean_keys(read: torch.Tensor, n_contexts: int) -> torch.Tensor:
    """Keys `[edits * contexts, d_ff]` as one for each edit, the bare prompt weighing half, fp32."""
    weights = mean_weights(n_contexts, bare_half=True).to(read.device)
    return torch.einsum("c,nck->nk", weights, read.float().reshape(-1, n_contexts, read.shape[-1]))
