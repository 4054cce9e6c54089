"""TIES-Merging of several changes of one weight (Yadav et al. 2023, arXiv 2306.01708).

The greatest entries of each change are kept and the others set to 0 (trim). Then each entry gets the sign
with the greater total (elect sign). The values with that sign are averaged; those with the other sign are
ignored.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch


def merged(changes: Sequence[torch.Tensor], weights: Sequence[float], density: float) -> torch.Tensor:
    """Returns the TIES merge of several changes.

    An entry is the weighted mean of the values with the elected sign; zeros have no sign. An entry that only
    one of the changes has is therefore kept unchanged, and a common factor of the weights has no effect.

    Args:
        changes: The changes, all of the same shape.
        weights: The weight of each change.
        density: The fraction of each change's entries that is kept.
    """
    kept = torch.stack([trimmed(change, density) for change in changes])
    weigh = kept.new_tensor(list(weights)).reshape(-1, *[1] * changes[0].dim())
    elected = torch.where((weigh * kept).sum(dim=0) >= 0, 1, -1)
    counted = weigh * (kept.sign() == elected)
    total = counted.sum(dim=0)
    return (counted * kept).sum(dim=0) / torch.where(total > 0, total, torch.ones_like(total))


def trimmed(change: torch.Tensor, density: float) -> torch.Tensor:
    """Returns a change with all entries set to 0 except the greatest in absolute value.

    Args:
        change: The change, of any shape.
        density: The fraction of entries that is kept, rounded down, but at least one entry.
    """
    flat = change.flatten()
    indices = flat.abs().topk(max(1, int(density * len(flat)))).indices
    return torch.zeros_like(flat).index_copy(0, indices, flat[indices]).reshape(change.shape)
