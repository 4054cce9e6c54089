"""The editing of a range of layers, shared by MEMIT, PMET, EMMET and AlphaEdit.

Target values are optimized at the last edited layer. Then the layers are changed in order, each by its share
of the remaining residual, in the residual stream or, in families with norms after the MLP, at the MLP's
output. A method defines the site of the targets, the weighting of a layer's keys, and whether the keys of
earlier edits are kept.
"""

from __future__ import annotations

import abc
from collections.abc import Sequence
from typing import ClassVar, Generic, TypeVar

import torch

from sequela.edited import Delta, EditedModel, LowRank
from sequela.editors.base import Editor, EditOutcome, EditReport, Resources, relative_norms
from sequela.editors.shared.keys import in_contexts, mean_weights, read_at_subject
from sequela.editors.shared.locate_settings import MultiLayerHyperparameters
from sequela.editors.shared.locate_state import LocateState, check_statistics, initial_state
from sequela.editors.shared.solve import Adjustment, ridge_adjustment, same_question
from sequela.editors.shared.target_optimization import (
    StoppingRule,
    Target,
    has_no_length,
    optimize_targets,
    target_revision,
)
from sequela.edits import Edit
from sequela.models import LanguageModel, TokenizedPrompt
from sequela.models.forward.activations import Site

N_LAYERS = 5
"""The default number of edited layers (Meng et al. 2023)."""

DEFAULT_LAST_DEPTH = 1 / 3
"""The default position of the last edited layer, as a fraction of the depth."""


S = TypeVar("S", bound=MultiLayerHyperparameters)


class MultiLayerEditor(Editor[S, LocateState], Generic[S]):
    """The base class of methods that write a batch of facts into several layers' MLP output projections."""

    state_class = LocateState

    @abc.abstractmethod
    def ridge_weight(self, model: LanguageModel) -> float:
        """Returns the weight in `ridge_adjustment`."""

    def precondition_keys(self, layer: int, keys: torch.Tensor, resources: Resources) -> torch.Tensor:
        """Returns `G keys` for keys `[d_ff, n]` of a layer, see `ridge_adjustment`; by default `C⁻¹ keys`."""
        return resources.statistics.whitening(layer, self.ridge(resources.statistics.model)).solve(keys)

    def ridge(self, model: LanguageModel) -> float:
        """Returns the term added to the diagonal of C."""
        return 0.0

    def keeps_history(self) -> bool:
        """Returns whether the keys of earlier batches stay in the solve."""
        return False

    def target_site(self, model: LanguageModel) -> Site:
        """Returns the site at which targets are optimized and residuals are computed.

        This is the residual stream after the last layer. If a norm is between the MLP's output and the
        stream, a difference of the stream can't be added to that output: it would have another length and
        direction behind the norm, and most differences can't be reached at all. There the target is
        optimized through the norm, at the MLP's output in the last layer.
        """
        return Site("value" if model.family.post_norms else "block", self.layers_of(model)[-1])

    rule: ClassVar[type[StoppingRule]] = StoppingRule
    """The class of the stopping rule of the target optimization."""

    def target_sites(self, model: LanguageModel) -> list[Site]:
        """Returns the sites at which changes are optimized, `target_site` first."""
        return [self.target_site(model)]

    def residual_divisor(self, n_left: int) -> float:
        """Returns the divisor of the residual, given the number of layers left, including the current one."""
        return n_left

    def find_targets(
        self, model: LanguageModel, edits: Sequence[Edit], state: LocateState, resources: Resources
    ) -> list[Target]:
        """Returns the target of each edit at `target_site`."""
        sites = self.target_sites(model)
        targets_by_site = optimize_targets(
            model,
            edits,
            state.contexts,
            sites,
            self.hyperparameters,
            self.rule,
            resources.progress,
            f"{self.name} targets",
        )
        return [targets[sites[0]] for targets in targets_by_site]

    def layers_of(self, model: LanguageModel) -> tuple[int, ...]:
        """Returns the layers that are edited, ascending."""
        layers = self.hyperparameters.layers
        if layers is not None:
            return tuple(sorted(set(layers)))
        last = model.layer_at(DEFAULT_LAST_DEPTH)
        return tuple(range(max(0, last - N_LAYERS + 1), last + 1))

    def revision(self, model: LanguageModel) -> str:
        """Returns the revisions of the target optimization and of the memory."""
        memory = "keys replaced" if self.keeps_history() else ""
        return ", ".join(part for part in (target_revision(model), memory) if part)

    def prepare(self, model: LanguageModel, resources: Resources) -> LocateState:
        """Samples contexts and computes the key covariances of all edited layers in one pass."""
        return initial_state(
            model, resources, self.hyperparameters.n_contexts, self.layers_of(model), whiten=True
        )

    def edit(
        self, model: LanguageModel, edits: Sequence[Edit], state: LocateState, resources: Resources
    ) -> EditOutcome[LocateState]:
        """Computes the joint change of weights for a batch of edits."""
        check_statistics(state, resources)
        targets = self.find_targets(model, edits, state, resources)
        failures = [target.failure for target in targets]
        kept = [n for n, reason in enumerate(failures) if not reason]
        kept_edits = [edits[n] for n in kept]
        delta, conditions = Delta.empty(model.fingerprint), list[float]()
        if kept_edits:
            target_values = torch.stack([targets[n].value for n in kept])
            delta, conditions = self._edit_layers(model, kept_edits, target_values, state, resources)
        failure = "" if delta.finite else "the change of the batch is not finite"
        if failure:
            delta = Delta.empty(model.fingerprint)
        elif self.keeps_history() and kept_edits:
            state = self._with_keys(model, kept_edits, delta, state)
        norm = max(relative_norms(model, delta).values(), default=0.0)
        solved = {"solve_condition": max(conditions)} if conditions else {}
        reports = tuple(
            EditReport(
                edit_id=edit.id,
                optimization_steps=len(target.losses),
                first_loss=target.losses[0].total,
                final_loss=target.losses[-1].total,
                relative_norm=norm,
                dropped=reason or failure,
                diagnostics={"target_loss": target.losses[-1].likelihood, **solved},
            )
            for edit, target, reason in zip(edits, targets, failures, strict=True)
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
        """Changes the layers in order; keys and residuals are recomputed after each.

        Args:
            model: The model with all earlier edits applied.
            edits: The edits that have a target.
            target_values: The targets, `[edits, d]`.
            state: The state, with contexts and earlier keys.
            resources: The resources, with the statistics.

        Returns:
            The change, and the condition number of each layer's solve.
        """
        total = Delta.empty(model.fingerprint)
        layers, conditions = self.layers_of(model), list[float]()
        memory = state.tensors
        for number, layer in enumerate(layers):
            with EditedModel(model, total):
                keys, current, units = self._read_layer(model, edits, state, layer)
            if number == 0:
                memory = _without(memory, _name(layer), keys)
            adjustment = self._adjusted(model, keys, memory.get(_name(layer)), layer, resources)
            n_left = len(layers) - number
            if n_left > 1 and has_no_length(model, self.target_site(model)):
                n_left = len(layers)  # lower layers' changes don't reduce the residual at this site
            residual = units * (target_values.double() - current.double()) / self.residual_divisor(n_left)
            update = LowRank(residual.T.float().contiguous(), adjustment.keys.T.float().contiguous())
            total = total + Delta(model.fingerprint, {model.family.mlp_out_name(layer): update})
            conditions.append(adjustment.condition)
        return total, conditions

    def _adjusted(
        self,
        model: LanguageModel,
        keys: torch.Tensor,
        earlier: torch.Tensor | None,
        layer: int,
        resources: Resources,
    ) -> Adjustment:
        """Solves one layer for the batch's keys `[edits, d_ff]`, preserving the values of earlier keys."""
        together = keys if earlier is None else torch.cat([earlier, keys])
        mapped = self.precondition_keys(layer, together.T, resources)
        return ridge_adjustment(mapped, together.T, self.ridge_weight(model), len(keys))

    def _read_layer(
        self, model: LanguageModel, edits: Sequence[Edit], state: LocateState, layer: int
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Returns what one layer's change is computed from.

        Returns:
            The mean keys at `layer` `[n, d_ff]`, the target site's values at the bare prompts `[n, d]`, and
            the factors `[n, 1]` that convert the residual to the units of the layer's own value.
        """
        key, target, own = Site("key", layer), self.target_site(model), Site("value", layer)
        sites = [key, target, *([own] if has_no_length(model, target) else [])]
        read = read_at_subject(model, _in_all_contexts(model, edits, state), sites)
        bare = {
            site: read[site].reshape(len(edits), len(state.contexts), -1)[:, 0].double() for site in sites[1:]
        }
        keys, current = _mean_keys(read[key], len(state.contexts)), bare[target]
        if own not in bare:
            return keys, current, current.new_ones(len(edits), 1)
        lengths = {site: torch.linalg.norm(values, dim=-1, keepdim=True) for site, values in bare.items()}
        return keys, current, lengths[own] / lengths[target]

    def _with_keys(
        self, model: LanguageModel, edits: Sequence[Edit], delta: Delta, state: LocateState
    ) -> LocateState:
        """Returns the state with the batch's keys, as computed by the model after the change.

        They take the place of the keys of the same questions.
        """
        sites = [Site("key", layer) for layer in self.layers_of(model)]
        with EditedModel(model, delta):
            read = read_at_subject(model, _in_all_contexts(model, edits, state), sites)
        new = {_name(site.layer): _mean_keys(read[site], len(state.contexts)) for site in sites}
        lowest = _name(sites[0].layer)
        kept = _without(state.tensors, lowest, new[lowest])
        tensors = {
            name: torch.cat([kept[name], keys]) if name in kept else keys for name, keys in new.items()
        }
        return state.model_copy(update={"tensors": {**kept, **tensors}})


def _in_all_contexts(
    model: LanguageModel, edits: Sequence[Edit], state: LocateState
) -> list[TokenizedPrompt]:
    """Returns every edit's prompt in every context, edit by edit."""
    return [prompt for edit in edits for prompt in in_contexts(model, edit, state.contexts)]


def _name(layer: int) -> str:
    """Returns the name of a layer's earlier keys in the state."""
    return f"keys.{layer}"


def _without(memory: dict[str, torch.Tensor], lowest: str, new: torch.Tensor) -> dict[str, torch.Tensor]:
    """Returns the earlier keys of all layers without those of questions that are edited again.

    A question is recognized in the lowest edited layer, where no edit has changed its key.

    Args:
        memory: The earlier keys by layer, `[n, d_ff]`, in one order for all layers.
        lowest: The name of the lowest edited layer's keys.
        new: The new edits' keys in that layer, `[edits, d_ff]`.
    """
    if lowest not in memory:
        return dict(memory)
    kept = ~same_question(memory[lowest], new)
    return {name: keys[kept] for name, keys in memory.items()}


def _mean_keys(read: torch.Tensor, n_contexts: int) -> torch.Tensor:
    """Averages keys `[edits * contexts, d_ff]` to one per edit, with weight 1/2 for the bare prompt, fp32."""
    weights = mean_weights(n_contexts, bare_half=True).to(read.device)
    return torch.einsum("c,nck->nk", weights, read.float().reshape(-1, n_contexts, read.shape[-1]))
