"""A codebook: keys with a radius and a value each, as GRACE keeps them.

It watches one MLP output projection. At the token that decides, what enters the projection is compared with
the keys; if the nearest is within its radius, its value takes the place of what leaves the projection there.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from sequela.editors.editor import EditorState
from sequela.ground.hashing import hash_parts, hash_tensors
from sequela.models import LanguageModel
from sequela.models.decisions import Decisions
from sequela.models.hooks import Watched


class CodebookState(EditorState):
    """What GRACE remembers: `keys` `[n, d_ff]`, `values` `[n, d]` and `radii` `[n]` among the tensors.

    Args:
        labels: The target's tokens behind each key.
        edits: The edits behind each key, the one that made it first.
    """

    labels: tuple[tuple[int, ...], ...] = ()
    edits: tuple[tuple[str, ...], ...] = ()

    def __len__(self) -> int:
        return len(self.labels)

    def changed(
        self, place: int, key: torch.Tensor, value: torch.Tensor, label: tuple[int, ...], edit: str
    ) -> CodebookState:
        """The same with another value behind a key, or with a new key behind the last; radii as they are.

        Args:
            place: Which key; their number for a new one, whose radius is then still to be given.
            key: The new key, `[d_ff]`.
            value: The value, `[d]`.
            label: The target's tokens.
            edit: The edit.
        """
        if place == len(self):
            parts = {"keys": key, "values": value}
            tensors = {
                name: torch.cat([self.tensors[name], part[None]]) if len(self) else part[None]
                for name, part in parts.items()
            }
            new = {"labels": (*self.labels, label), "edits": (*self.edits, (edit,))}
            return self.model_copy(update={**new, "tensors": {**self.tensors, **tensors}})
        values = self.tensors["values"].clone()
        values[place] = value
        labels, edits = list(self.labels), list(self.edits)
        same = labels[place] == label
        labels[place], edits[place] = label, (*edits[place], edit) if same else (edit,)
        tensors = {**self.tensors, "values": values}
        return self.model_copy(update={"labels": tuple(labels), "edits": tuple(edits), "tensors": tensors})

    def with_radii(self, radii: torch.Tensor) -> CodebookState:
        """The same with other radii, `[n]`."""
        return self.model_copy(update={"tensors": {**self.tensors, "radii": radii}})

    def nearest(self, queries: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The nearest key of each query, the earlier one of equals.

        Args:
            queries: `[queries, d_ff]`.

        Returns:
            Distance and place, `[queries]` each; infinity and 0 where there are no keys.
        """
        if not len(self):
            far = torch.full((len(queries),), torch.inf, device=queries.device)
            return far, torch.zeros(len(queries), dtype=torch.long, device=queries.device)
        keys = self.tensors["keys"].to(queries.device)
        # Through products the distance of a key from itself would be lost in rounding.
        distances = torch.cdist(queries.float(), keys, compute_mode="donot_use_mm_for_euclid_dist")
        nearest = distances.min(dim=1)
        return nearest.values, nearest.indices


@dataclass(frozen=True)
class Codebook:
    """A codebook in force on a layer.

    Args:
        layer: The layer whose MLP output projection is watched.
        state: The codebook.
    """

    layer: int
    state: CodebookState

    @property
    def content_hash(self) -> str:
        """A hash of the layer and every bit of the codebook."""
        return hash_parts({"layer": str(self.layer), "codebook": hash_tensors(self.state.tensors.items())})

    def lowest_block(self, model: LanguageModel) -> int:
        """The watched layer."""
        return self.layer

    def install(self, model: LanguageModel, decisions: Decisions) -> Watched:
        """Watches the layer's MLP output projection."""
        state = self.state
        radii, values = (state.tensors[name].to(model.device) for name in ("radii", "values"))

        def watch(entering: torch.Tensor, leaving: torch.Tensor) -> torch.Tensor | None:
            places = decisions.of_pass(entering)
            rows, columns = places.decides.nonzero(as_tuple=True)
            if not len(rows):
                return None
            distances, nearest = state.nearest(entering[rows, columns])
            hit = distances <= radii.to(distances.device)[nearest]
            decisions.note(places.owners[rows, columns], hit)
            if not bool(hit.any()):
                return None
            replaced = leaving.clone()
            replaced[rows[hit], columns[hit]] = values.to(leaving.device, leaving.dtype)[nearest[hit]]
            return replaced

        return Watched(model, {model.family.mlp_out.format(self.layer): watch})
