"""Clusters of edits, each with a key, a radius and a label, in which memory-based methods look up queries.

GRACE stores a value for each key (`editors/methods/grace/codebook.py`), MELO low-rank blocks
(`editors/methods/melo/lora_blocks.py`). Both place an edit's key in the same way: far from all other keys it
becomes a new key with a radius of its own; near a key with the same label it joins that key; near a key with
another label it becomes a new key, and the two radii are set to half of their distance.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from sequela.editors.base import EditorState
from sequela.editors.shared.settings import SameKey

MARGIN = 1e-5
"""The margin subtracted from the radius of the earlier key when two keys with different labels split."""

SAME = 1e-3
"""The fraction of a new key's radius within which two keys count as the same prompt, from another batch."""


@dataclass(frozen=True)
class Placement:
    """The key to which an edit is assigned.

    Args:
        index: The index of the edit's key; the number of existing keys for a new key.
        fresh: True if the key is new.
        distance: The distance to the nearest existing key; infinity if there is none.
        radii: All radii after the assignment, that of a new key last, `[n]`.
    """

    index: int
    fresh: bool
    distance: float
    radii: torch.Tensor


class Clusters(EditorState):
    """The clusters of a method's edits, with `keys` `[n, d_key]` and `radii` `[n]` among the tensors.

    Args:
        labels: The label of each key: the token ids of the target.
    """

    labels: tuple[tuple[int, ...], ...] = ()

    def __len__(self) -> int:
        return len(self.labels)

    def nearest(self, queries: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Returns the nearest key of each query; on ties the earlier key.

        Args:
            queries: The queries, `[queries, d_key]`.

        Returns:
            The distance and the index of the nearest key, `[queries]` each; infinity and 0 without keys.
        """
        if not len(self):
            far = torch.full((len(queries),), torch.inf, device=queries.device)
            return far, torch.zeros(len(queries), dtype=torch.long, device=queries.device)
        nearest = distances(queries, self.tensors["keys"]).min(dim=1)
        return nearest.values, nearest.indices

    def found(self, queries: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Returns each query's nearest key and whether the query is within its radius, `[queries]` each."""
        distance, nearest = self.nearest(queries)
        return nearest, distance <= self.tensors["radii"].to(queries.device)[nearest]

    def placement(
        self, key: torch.Tensor, label: tuple[int, ...], radius: float, same_key: SameKey
    ) -> Placement:
        """Returns the assignment of an edit to a key.

        Args:
            key: The edit's key, `[d_key]`.
            label: The token ids of the edit's target.
            radius: The radius of a new key.
            same_key: The rule for an earlier edit with the same key and another label.
        """
        if not len(self):
            return Placement(0, True, torch.inf, key.new_tensor([radius]))
        nearest_distance, nearest = self.nearest(key[None])
        distance, index, radii = float(nearest_distance), int(nearest), self.tensors["radii"].clone()
        nearest_radius = float(radii[index])
        if distance > radius + nearest_radius:
            return Placement(len(self), True, distance, torch.cat([radii, radii.new_tensor([radius])]))
        if self.labels[index] == label:
            radii[index] = max(nearest_radius, distance)
            return Placement(index, False, distance, radii)
        if distance <= SAME * radius and same_key == "take over":
            return Placement(index, False, distance, radii)
        radii[index] = distance / 2 - MARGIN
        return Placement(len(self), True, distance, torch.cat([radii, radii.new_tensor([distance / 2])]))


def distances(queries: torch.Tensor, keys: torch.Tensor) -> torch.Tensor:
    """Returns the Euclidean distances `[queries, n]` of queries `[queries, d_key]` from keys `[n, d_key]`."""
    # Computed by matrix products, the distance of a key from itself would be lost in rounding.
    return torch.cdist(queries.float(), keys.to(queries.device), compute_mode="donot_use_mm_for_euclid_dist")
