"""Keys with a radius and a label each: how methods that watch a layer find what applies to a query.

GRACE keeps a value behind each key (`editors/methods/grace/codebook.py`), MELO low-rank blocks
(`editors/methods/melo/lora_blocks.py`). Where an edit's key goes is the same for both: far from the others it
gets a radius of its own; near one of the same label it joins that one; near one of another label the two
share the distance between them.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from sequela.editors.base import EditorState
from sequela.editors.shared.settings import SameKey

MARGIN = 1e-5
"""So much less than half of their distance the earlier of two keys gets that part for different targets."""

SAME = 1e-3
"""Keys nearer than this part of a new key's radius are one key: the same prompt in another batch."""


@dataclass(frozen=True)
class Placement:
    """Where an edit goes among the keys.

    Args:
        place: Which key is its; their number for a new one.
        fresh: Whether it is a new one.
        distance: How far the nearest key was; infinity if there was none.
        radii: All radii as they are then, that of a new key last, `[n]`.
    """

    place: int
    fresh: bool
    distance: float
    radii: torch.Tensor


class Clusters(EditorState):
    """What is found by keys: `keys` `[n, d_key]` and `radii` `[n]` among the tensors.

    Args:
        labels: The target's tokens behind each key.
    """

    labels: tuple[tuple[int, ...], ...] = ()

    def __len__(self) -> int:
        return len(self.labels)

    def nearest(self, queries: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The nearest key of each query, the earlier one of equals.

        Args:
            queries: `[queries, d_key]`.

        Returns:
            Distance and place, `[queries]` each; infinity and 0 where there are no keys.
        """
        if not len(self):
            far = torch.full((len(queries),), torch.inf, device=queries.device)
            return far, torch.zeros(len(queries), dtype=torch.long, device=queries.device)
        nearest = distances(queries, self.tensors["keys"]).min(dim=1)
        return nearest.values, nearest.indices

    def found(self, queries: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The nearest key of each query and whether it is within that one's radius, `[queries]` each."""
        found, nearest = self.nearest(queries)
        return nearest, found <= self.tensors["radii"].to(queries.device)[nearest]

    def placement(
        self, key: torch.Tensor, label: tuple[int, ...], radius: float, same_key: SameKey
    ) -> Placement:
        """Where an edit goes.

        Args:
            key: Its key, `[d_key]`.
            label: The target's tokens.
            radius: A new key's radius.
            same_key: What becomes of an earlier edit with this very key and another label.
        """
        if not len(self):
            return Placement(0, True, torch.inf, key.new_tensor([radius]))
        found, nearest = self.nearest(key[None])
        distance, place, radii = float(found), int(nearest), self.tensors["radii"].clone()
        near = float(radii[place])
        if distance > radius + near:
            return Placement(len(self), True, distance, torch.cat([radii, radii.new_tensor([radius])]))
        if self.labels[place] == label:
            radii[place] = max(near, distance)
            return Placement(place, False, distance, radii)
        if distance <= SAME * radius and same_key == "take over":
            return Placement(place, False, distance, radii)
        radii[place] = distance / 2 - MARGIN
        return Placement(len(self), True, distance, torch.cat([radii, radii.new_tensor([distance / 2])]))


def distances(queries: torch.Tensor, keys: torch.Tensor) -> torch.Tensor:
    """The Euclidean distance of each query `[queries, d_key]` from each key `[n, d_key]`, `[queries, n]`."""
    # Through products the distance of a key from itself would be lost in rounding.
    return torch.cdist(queries.float(), keys.to(queries.device), compute_mode="donot_use_mm_for_euclid_dist")
