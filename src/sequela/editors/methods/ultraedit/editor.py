"""UltraEdit: one linear solve on normalized gradients, without a subject and without training.

Gu et al., "UltraEdit: Training-, Subject-, and Memory-Free Lifelong Editing in Large Language Models"
(2025, arXiv 2505.14679). At the positions of an edit, the keys h `[n, d_ff]` of an MLP's output projection
and the gradients g `[n, d]` of the target's loss with respect to its output are normalized per feature with
the mean and the standard deviation over all edits so far, `[k; e] = ([h; g] - mean) / deviation`. The target
change of the output for each row is `v = -lr |k|² e`, and the weight gets the ridge solution
`Delta = Vᵀ (H Hᵀ + I)⁻¹ H`.

Differences from the released code and from EasyEdit's copy of it:

* With `token: ans` the positions are those that predict the target. EasyEdit uses the first positions of the
  sentence, as many as the target has tokens.
* The normalization statistics are kept from batch to batch, as in the paper; EasyEdit resets them at every
  call.
* The deviation is exact over all rows, independent of the batches; the released update multiplies the
  variance within a part of m rows by m / (m - 1). A single row has no deviation: such edits are dropped with
  a reason, while in the released code the weight becomes NaN.
* Padding is never a target.
* The system has one row per position, in float64; the released code solves a `[d_ff, d_ff]` system.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from sequela.core.precision import solve_dtype
from sequela.edited import Delta, LowRank
from sequela.editors.base import Editor, EditorState, EditOutcome, Resources
from sequela.editors.methods.ultraedit.settings import ULTRAEDIT, UltraEditHyperparameters
from sequela.editors.shared.target_loss import step_reports, target_losses, tokenize_edits
from sequela.editors.shared.token_features import Features, failure_of, read_features
from sequela.edits import Edit
from sequela.models import LanguageModel

DEFAULT_DEPTH = 0.9
"""The position of the higher of the two default layers, as a fraction of the depth."""

MIN_DEVIATION = 1e-7
"""The term added to a feature's deviation, so that a constant feature becomes 0, not NaN (released code)."""


class UltraEditState(EditorState):
    """The normalization statistics: `mean` and summed `squares` of each feature are among the tensors.

    Args:
        count: The number of rows so far.
    """

    count: int = 0


class UltraEdit(Editor[UltraEditHyperparameters, UltraEditState]):
    """Writes edits into MLP output projections by one ridge regression for each layer."""

    info = ULTRAEDIT
    state_class = UltraEditState

    def layers_of(self, model: LanguageModel) -> tuple[int, ...]:
        """Returns the layers that are edited, ascending."""
        layers = self.hyperparameters.layers
        if layers is not None:
            return tuple(sorted(set(layers)))
        high = model.layer_at(DEFAULT_DEPTH)
        return tuple(range(max(0, high - 1), high + 1))

    def prepare(self, model: LanguageModel, resources: Resources) -> UltraEditState:
        """Returns empty normalization statistics."""
        model.check_layers(self.layers_of(model))
        return UltraEditState()

    def edit(
        self, model: LanguageModel, edits: Sequence[Edit], state: UltraEditState, resources: Resources
    ) -> EditOutcome[UltraEditState]:
        """Computes the joint change of weights for a batch of edits."""
        prompts = tokenize_edits(model, edits)
        layers = self.layers_of(model)
        before, _ = target_losses(model, prompts)
        read = read_features(model, prompts, layers, self.hyperparameters.token)
        failures = [failure_of(by_layer) for by_layer in read]
        usable = [by_layer for by_layer, failure in zip(read, failures, strict=True) if not failure]
        after_batch = updated_state(state, [by[layer] for layer in layers for by in usable])
        failure = ""
        if after_batch.count < 2:
            failure = "one row has no deviation: apply more edits at once, or choose token: mask"
        delta = Delta.empty(model.fingerprint)
        if usable and not failure:
            updates = {
                model.family.mlp_out_name(layer): self._update([by[layer] for by in usable], after_batch)
                for layer in layers
            }
            delta = Delta(model.fingerprint, updates)
            failure = "" if delta.finite else "the change of the batch is not finite"
        if failure or not usable:
            delta = Delta.empty(model.fingerprint)
        descriptions = [one or failure for one in failures]
        reports = step_reports(model, edits, prompts, before, delta, descriptions)
        return EditOutcome(delta, after_batch, reports)

    def _update(self, rows: Sequence[Features], state: UltraEditState) -> LowRank:
        return ridge_update(
            torch.cat([features.keys for features in rows]),
            torch.cat([features.gradients for features in rows]),
            state.tensors["mean"],
            _deviation(state),
            self.hyperparameters.lr,
        )


def ridge_update(
    keys: torch.Tensor, gradients: torch.Tensor, mean: torch.Tensor, deviation: torch.Tensor, lr: float
) -> LowRank:
    """Returns the change of one weight, given the rows of keys and gradients.

    Args:
        keys: The keys h, `[n, d_ff]`.
        gradients: The gradients g, `[n, d]`.
        mean: The mean of `[h; g]`, `[d_ff + d]`.
        deviation: The standard deviation of `[h; g]`, `[d_ff + d]`.
        lr: The step size of each row.
    """
    dtype = solve_dtype(keys.device)
    rows = torch.cat([keys, gradients], dim=1).to(dtype)
    normal = (rows - mean.to(dtype)) / (deviation.to(dtype) + MIN_DEVIATION)
    k, e = normal[:, : keys.shape[1]], normal[:, keys.shape[1] :]
    target_change = -lr * k.square().sum(1, keepdim=True) * e
    h = keys.to(dtype)
    inner = h @ h.T
    inner.diagonal().add_(1.0)
    b = torch.linalg.solve(inner, target_change).T
    return LowRank(b.float().contiguous(), keys.float().contiguous())


def updated_state(state: UltraEditState, rows: Sequence[Features]) -> UltraEditState:
    """Returns the statistics after more rows; all layers share one state, as published."""
    if not rows:
        return state
    both = torch.cat([torch.cat([one.keys, one.gradients], dim=1) for one in rows])
    both = both.to(solve_dtype(both.device))
    count, mean = len(both), both.mean(0)
    squares = (both - mean).square().sum(0)
    if state.count:
        total = state.count + count
        shift = mean - state.tensors["mean"]
        squares = state.tensors["squares"] + squares + shift.square() * (state.count * count / total)
        mean = state.tensors["mean"] + shift * (count / total)
        count = total
    return UltraEditState(count=count, tensors={"mean": mean, "squares": squares})


def _deviation(state: UltraEditState) -> torch.Tensor:
    deviation: torch.Tensor = (state.tensors["squares"] / (state.count - 1)).sqrt()
    return deviation
