"""The covariance of keys, `C = E[k kᵀ]`, that locate-then-edit methods whiten with.

Meng et al., "Locating and Editing Factual Associations in GPT" (2022), eq. 2: k is the input of a layer's MLP
output projection; the covariance is uncentered.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from sequela.core.errors import SequelaError
from sequela.core.precision import solve_dtype
from sequela.core.progress import SILENT, Progress, tracked
from sequela.models import LanguageModel
from sequela.models.forward.activations import Site, read_activations
from sequela.models.forward.batch import pad_right
from sequela.statistics.corpus import Corpus

TOKENS_AT_ONCE = 2048


@dataclass(frozen=True)
class KeyCovariance:
    """The key covariance `C = E[k kᵀ]` of one layer.

    Args:
        layer: The layer.
        matrix: `[d_ff, d_ff]`, float32, symmetric.
        n_tokens: The number of keys that it was computed from.
        corpus: A description of the corpus.
    """

    layer: int
    matrix: torch.Tensor
    n_tokens: int
    corpus: str


@torch.inference_mode()
def collect_key_covariances(
    model: LanguageModel, corpus: Corpus, layers: Sequence[int], progress: Progress = SILENT
) -> dict[int, KeyCovariance]:
    """Computes the key covariances of several layers in one pass over a corpus.

    Products are computed in float32 within a batch and summed in float64 over batches.

    Args:
        model: The unedited model.
        corpus: The text; every position counts, the first included.
        layers: The layers; blocks above the highest are not run.
        progress: Receives progress reports.

    Returns:
        The key covariance of each layer.

    Raises:
        SequelaError: Edits are in force on the model, or a key is not finite.
    """
    if model.changes:
        raise SequelaError(f"Key statistics come from the unedited model; {model.name!r} has edits in force.")
    model.check_layers(tuple(layers))
    sites = [Site("key", layer) for layer in layers]
    size, dtype = model.key_size, solve_dtype(model.device)
    sums = {layer: torch.zeros(size, size, dtype=dtype, device=model.device) for layer in layers}
    rows = max(1, TOKENS_AT_ONCE // corpus.sequences.shape[1])
    batches = torch.split(corpus.sequences, rows)
    for rows_of_ids in tracked(batches, progress, f"key statistics of {len(layers)} layers", len(batches)):
        batch = pad_right(rows_of_ids.tolist(), model.pad_id, model.device)
        for site, keys in read_activations(model, batch, sites).items():
            flat = keys.reshape(-1, size).float()
            sums[site.layer] += flat.T @ flat
    for layer, total in sums.items():
        if not torch.isfinite(total).all():
            raise SequelaError(f"The keys of layer {layer} of {model.name!r} are not all finite.")
    return {
        layer: KeyCovariance(layer, total.div_(corpus.n_tokens).float(), corpus.n_tokens, corpus.description)
        for layer, total in sums.items()
    }
