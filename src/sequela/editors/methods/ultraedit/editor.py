"""UltraEdit: one linear solve on normalised gradients, without a subject and without training.

Gu et al., "UltraEdit: Training-, Subject-, and Memory-Free Lifelong Editing in Large Language Models"
(2025, arXiv 2505.14679). At the positions of an edit the keys h `[n, d_ff]` of an MLP's output projection and
the gradients g `[n, d]` of the target's loss by its output are normalised feature by feature with the
mean and the deviation over all edits so far, `[k; e] = ([h; g] - mean) / deviation`. Each row wishes the
change `v = -lr |k|² e` of the output for its key, and the weight gets the ridge solution
`Delta = Vᵀ (H Hᵀ + I)⁻¹ H`.

What is different from the released code and from EasyEdit's copy of it:

* With `token: ans` the positions are those that predict the target. EasyEdit takes the first positions of
  the sentence, as many as the target has tokens.
* The normaliser goes on from batch to batch, as the paper has it; EasyEdit begins it anew at every call.
* Its deviation is the exact one of all rows, whatever the batches; the released update counts the spread
  within a part of m rows m / (m - 1) times. One row has no deviation: such edits are dropped with the
  reason, where the released code makes the weight NaN.
* Padding is never a target.
* The solve has as many rows as there are positions, in float64; the released code solves `[d_ff, d_ff]`.
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
"""Where the higher of the two default layers is, as a part of the depth."""

MIN_DEVIATION = 1e-7
"""What is added to a feature's deviation, so that one that never varies is 0 and not NaN (released code)."""


class UltraEditState(EditorState):
    """The normaliser: how many rows it has seen, and for each feature their mean and summed squares.

    Args:
        count: The rows.
    """

    count: int = 0


class UltraEdit(Editor[UltraEditHyperparameters, UltraEditState]):
    """Writes edits into MLP output projections by one ridge regression for each layer."""

    info = ULTRAEDIT
    state_class = UltraEditState

    def layers_of(self, model: LanguageModel) -> tuple[int, ...]:
        """The layers that are edited, ascending."""
        layers = self.hyperparameters.layers
        if layers is not None:
            return tuple(sorted(set(layers)))
        high = round(DEFAULT_DEPTH * model.n_layers)
        return (max(0, high - 1), high)

    def prepare(self, model: LanguageModel, resources: Resources) -> UltraEditState:
        """Begins the normaliser with nothing seen."""
        model.check_layers(self.layers_of(model))
        return UltraEditState()

    def edit(
        self, model: LanguageModel, edits: Sequence[Edit], state: UltraEditState, resources: Resources
    ) -> EditOutcome[UltraEditState]:
        """Makes a batch of edits together."""
        prompts = tokenize_edits(model, edits)
        layers = self.layers_of(model)
        before, _ = target_losses(model, prompts)
        read = read_features(model, prompts, layers, self.hyperparameters.token)
        failures = [failure_of(by_layer) for by_layer in read]
        made = [by_layer for by_layer, failure in zip(read, failures, strict=True) if not failure]
        after_batch = updated_state(state, [by[layer] for layer in layers for by in made])
        failure = ""
        if after_batch.count < 2:
            failure = "one row has no deviation: make more edits at once, or choose token: mask"
        delta = Delta.empty(model.fingerprint)
        if made and not failure:
            updates = {
                model.family.mlp_out_name(layer): self._update([by[layer] for by in made], after_batch)
                for layer in layers
            }
            delta = Delta(model.fingerprint, updates)
            failure = "" if delta.finite else "the change of the batch is not finite"
        if failure or not made:
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
    """The change of one weight for rows of keys `[n, d_ff]` and gradients `[n, d]`.

    Args:
        keys: h.
        gradients: g.
        mean: Of `[h; g]`, `[d_ff + d]`.
        deviation: Of `[h; g]`, `[d_ff + d]`.
        lr: How far each row goes.
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
    """The normaliser after more rows; one serves all layers, as published."""
    if not rows:
        return state
    both = torch.cat([torch.cat([one.keys, one.gradients], dim=1) for one in rows])
    both = both.to(solve_dtype(both.device))
    count, mean = len(both), both.mean(0)
    squares = (both - mean).square().sum(0)
    if state.count:
        total = state.count + count
        apart = mean - state.tensors["mean"]
        squares = state.tensors["squares"] + squares + apart.square() * (state.count * count / total)
        mean = state.tensors["mean"] + apart * (count / total)
        count = total
    return UltraEditState(count=count, tensors={"mean": mean, "squares": squares})


def _deviation(state: UltraEditState) -> torch.Tensor:
    deviation: torch.Tensor = (state.tensors["squares"] / (state.count - 1)).sqrt()
    return deviation
