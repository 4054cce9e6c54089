"""A codebook: keys with a radius and a value each, as GRACE keeps them.

It watches one MLP output projection. At the token that decides, what enters the projection is compared with
the keys; if the nearest is within its radius, its value takes the place of what leaves the projection there.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from sequela.core.hashing import hash_parts, hash_tensors
from sequela.edited.decisions import Decisions
from sequela.editors.shared.clusters import Clusters
from sequela.models import LanguageModel
from sequela.models.forward.hooks import InstalledHooks


class CodebookState(Clusters):
    """What GRACE remembers: for each key a value, `values` `[n, d]` among the tensors.

    Args:
        edits: The edits behind each key, the one that made it first.
    """

    edits: tuple[tuple[str, ...], ...] = ()

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

    def install(self, model: LanguageModel, decisions: Decisions) -> InstalledHooks:
        """Watches the layer's MLP output projection."""
        state = self.state
        values = state.tensors["values"].to(model.device)

        def hook(inputs: torch.Tensor, outputs: torch.Tensor) -> torch.Tensor | None:
            places = decisions.current(inputs)
            rows, columns = places.decides.nonzero(as_tuple=True)
            if not len(rows):
                return None
            nearest, hit = state.found(inputs[rows, columns])
            decisions.note(places.decision_ids[rows, columns], hit)
            if not bool(hit.any()):
                return None
            replaced = outputs.clone()
            replaced[rows[hit], columns[hit]] = values.to(outputs.device, outputs.dtype)[nearest[hit]]
            return replaced

        return InstalledHooks(model, {model.family.mlp_out.format(self.layer): hook})
