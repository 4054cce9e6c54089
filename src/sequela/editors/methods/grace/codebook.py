"""GRACE's codebook: keys, each with a radius and a value.

The codebook acts on one MLP output projection. At the deciding token, the projection's input is compared with
the keys; if it is within the radius of the nearest key, that key's value replaces the projection's output.
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
    """GRACE's state: clusters with a value for each key, `values` `[n, d]` among the tensors.

    Args:
        edits: The ids of each key's edits, the one that created the key first.
    """

    edits: tuple[tuple[str, ...], ...] = ()

    def changed(
        self, index: int, key: torch.Tensor, value: torch.Tensor, label: tuple[int, ...], edit: str
    ) -> CodebookState:
        """Returns the state with another value for a key, or with a new key appended; radii are unchanged.

        Args:
            index: The index of the key; the number of keys for a new one, whose radius must then be set.
            key: The new key, `[d_ff]`.
            value: The value, `[d]`.
            label: The token ids of the target.
            edit: The edit's id.
        """
        if index == len(self):
            parts = {"keys": key, "values": value}
            tensors = {
                name: torch.cat([self.tensors[name], part[None]]) if len(self) else part[None]
                for name, part in parts.items()
            }
            new = {"labels": (*self.labels, label), "edits": (*self.edits, (edit,))}
            return self.model_copy(update={**new, "tensors": {**self.tensors, **tensors}})
        values = self.tensors["values"].clone()
        values[index] = value
        labels, edits = list(self.labels), list(self.edits)
        same = labels[index] == label
        labels[index], edits[index] = label, (*edits[index], edit) if same else (edit,)
        tensors = {**self.tensors, "values": values}
        return self.model_copy(update={"labels": tuple(labels), "edits": tuple(edits), "tensors": tensors})

    def with_radii(self, radii: torch.Tensor) -> CodebookState:
        """Returns the state with other radii, `[n]`."""
        return self.model_copy(update={"tensors": {**self.tensors, "radii": radii}})


@dataclass(frozen=True)
class Codebook:
    """The intervention that applies a codebook at a layer.

    Args:
        layer: The layer whose MLP output projection is intercepted.
        state: The codebook.
    """

    layer: int
    state: CodebookState

    @property
    def content_hash(self) -> str:
        """The hash of the layer and of all the codebook's tensors."""
        return hash_parts({"layer": str(self.layer), "codebook": hash_tensors(self.state.tensors.items())})

    def lowest_block(self, model: LanguageModel) -> int:
        """Returns the intercepted layer."""
        return self.layer

    def install(self, model: LanguageModel, decisions: Decisions) -> InstalledHooks:
        """Hooks the layer's MLP output projection."""
        state = self.state
        values = state.tensors["values"].to(model.device)

        def hook(inputs: torch.Tensor, outputs: torch.Tensor) -> torch.Tensor | None:
            deciding = decisions.current(inputs)
            rows, columns = deciding.decides.nonzero(as_tuple=True)
            if not len(rows):
                return None
            nearest, hit = state.found(inputs[rows, columns])
            decisions.note(deciding.decision_ids[rows, columns], hit)
            if not bool(hit.any()):
                return None
            replaced = outputs.clone()
            replaced[rows[hit], columns[hit]] = values.to(outputs.device, outputs.dtype)[nearest[hit]]
            return replaced

        return InstalledHooks(model, {model.family.mlp_out.format(self.layer): hook})
