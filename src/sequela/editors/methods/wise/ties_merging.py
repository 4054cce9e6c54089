"""TIES: several changes of one weight made into one (Yadav et al. 2023, arXiv 2306.01708).

Of each change the greatest entries are kept, the rest is zeroed (trim). Each entry then gets the sign that
has the greater total (elect sign). What has that sign is averaged, and what has the other is left out.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch


def merged(changes: Sequence[torch.Tensor], weights: Sequence[float], density: float) -> torch.Tensor:
    """One change in place of several.

    An entry is the weighted mean of those that have the elected sign; zeros have none. So what only one of
    the changes has comes through as it is, and a common factor of the weights makes no difference.

    Args:
        changes: The changes, all of one shape.
        weights: What each counts for.
        density: The share of each change's entries that is kept.
    """
    kept = torch.stack([trimmed(change, density) for change in changes])
    weigh = kept.new_tensor(list(weights)).reshape(-1, *[1] * changes[0].dim())
    elected = torch.where((weigh * kept).sum(dim=0) >= 0, 1, -1)
    counted = weigh * (kept.sign() == elected)
    total = counted.sum(dim=0)
    return (counted * kept).sum(dim=0) / torch.where(total > 0, total, torch.ones_like(total))


def trimmed(change: torch.Tensor, density: float) -> torch.Tensor:
    """A change with its greatest entries only.

    Args:
        change: Of any shape.
        density: The share of the entries that is kept, rounded down, but at least one entry.
    """
    flat = change.flatten()
    places = flat.abs().topk(max(1, int(density * len(flat)))).indices
    return torch.zeros_like(flat).index_copy(0, places, flat[places]).reshape(change.shape)
