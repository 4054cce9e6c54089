"""MELO's low-rank blocks, which are looked up in a vector index.

The index is a set of clusters (`editors/shared/clusters.py`). A cluster has points, which are the keys of its
edits, and its own key is their mean. At the deciding token the nearest cluster is looked up. If the query is
within its radius, the block of the cluster's nearest point adds its low-rank product to linear layers above,
at that token and all following ones. The blocks thus form one large LoRA on these layers, of which each
sequence uses a few rows or none.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from pydantic import BaseModel, ConfigDict

from sequela.core.hashing import hash_parts, hash_tensors
from sequela.edited.decisions import NO_MATCH, Decisions
from sequela.editors.shared.clusters import SAME, Clusters, Placement, distances
from sequela.editors.shared.gradient_factors import mlp_linears
from sequela.editors.shared.settings import SameKey
from sequela.models import LanguageModel
from sequela.models.forward.hooks import InstalledHooks, OutputHook

DOWN, UP = "down ", "up "
"""The prefixes of a linear layer's name for its factors among a state's tensors."""


class Member(BaseModel):
    """An edit in the index.

    Args:
        edit: The edit's id.
        cluster: The index of the cluster of its point.
        block: The index of its block.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    edit: str
    cluster: int
    block: int


@dataclass(frozen=True)
class LoraFactors:
    """The factors of blocks for one linear layer, whose product is added to its output.

    Args:
        down: The factors applied to the input, `[blocks, rank, in]`, fp32.
        up: The factors that give the output, `[blocks, rank, out]`, fp32.
        scale: The scale of the product.
    """

    down: torch.Tensor
    up: torch.Tensor
    scale: float = 1.0

    @property
    def finite(self) -> bool:
        """True if all entries are finite."""
        return bool(self.down.isfinite().all()) and bool(self.up.isfinite().all())

    def detached(self) -> LoraFactors:
        """Returns the factors without gradients, with the scale included in `up`."""
        return LoraFactors(self.down.detach(), self.scale * self.up.detach())

    def __call__(self, inputs: torch.Tensor, blocks: torch.Tensor) -> torch.Tensor:
        """Returns the outputs of blocks at some tokens.

        All blocks that occur are computed as one product, in which every token uses its own block's rows.

        Args:
            inputs: The inputs of the linear layer, `[tokens, in]`.
            blocks: The index of each token's block, `[tokens]`.

        Returns:
            The terms to add to the layer's outputs, `[tokens, out]`, fp32.
        """
        present: torch.Tensor = blocks.unique()  # type: ignore[no-untyped-call]
        down, up = (part[present.to(part.device)].to(inputs.device) for part in (self.down, self.up))
        own = blocks[:, None] == present
        rows = torch.einsum("ti,bri->tbr", inputs.float(), down) * own[..., None]
        return self.scale * torch.einsum("tbr,bro->to", rows, up)


class LoraBlocks(Clusters):
    """MELO's state: clusters with `points` `[m, d_key]` and each linear layer's factors among the tensors.

    Args:
        members: The edits of the points.
        n_blocks: The number of blocks.
    """

    members: tuple[Member, ...] = ()
    n_blocks: int = 0

    @property
    def linears(self) -> tuple[str, ...]:
        """The names of the linear layers that have blocks."""
        return tuple(name.removeprefix(DOWN) for name in self.tensors if name.startswith(DOWN))

    def factors(self, linear: str) -> LoraFactors:
        """Returns the factors of all blocks for a linear layer."""
        return LoraFactors(self.tensors[DOWN + linear], self.tensors[UP + linear])

    def selected(self, queries: torch.Tensor) -> torch.Tensor:
        """Returns the member that each query matches, on ties the latest.

        Args:
            queries: The queries, `[queries, d_key]`.

        Returns:
            The index of each query's member, or `NO_MATCH`, `[queries]`.
        """
        if not self.members:
            return torch.full((len(queries),), NO_MATCH, device=queries.device)
        clusters, hit = self.found(queries)
        own = torch.tensor([member.cluster for member in self.members], device=queries.device)
        to_points = distances(queries, self.tensors["points"])
        latest = to_points.masked_fill(own != clusters[:, None], torch.inf).flip(1).min(dim=1)
        members = len(self.members) - 1 - latest.indices
        return torch.where(hit & latest.values.isfinite(), members, NO_MATCH)

    def blocks_of(self, members: torch.Tensor) -> torch.Tensor:
        """Returns the block indices of members; `NO_MATCH` is kept."""
        blocks = [*(member.block for member in self.members), NO_MATCH]
        return torch.tensor(blocks, device=members.device)[members]

    def leads(self, member: int, block: int, label: tuple[int, ...]) -> bool:
        """Returns whether a selected member has a given block and label; False for `NO_MATCH`."""
        if member == NO_MATCH:
            return False
        selected = self.members[member]
        return selected.block == block and self.labels[selected.cluster] == label

    def with_edit(
        self, edit: str, key: torch.Tensor, label: tuple[int, ...], radius: float, same_key: SameKey
    ) -> tuple[LoraBlocks, Placement]:
        """Returns the state with an edit added to the index, whose block is the next one, and its placement.

        Args:
            edit: The edit's id.
            key: The edit's key, `[d_key]`.
            label: The token ids of the target.
            radius: The radius of a new cluster.
            same_key: The rule for an earlier edit with the same key and another label.
        """
        placed = self.placement(key, label, radius, same_key)
        index, takes_over = placed.index, not placed.fresh and self.labels[placed.index] != label
        kept = [n for n, one in enumerate(self.members) if not (takes_over and one.cluster == index)]
        members = (*(self.members[n] for n in kept), Member(edit=edit, cluster=index, block=self.n_blocks))
        points = torch.cat([self.tensors["points"][kept], key[None]]) if self.members else key[None]
        centers = self.tensors["keys"] if len(self) else key[None][:0]
        centers = torch.cat([centers, key[None]]) if placed.fresh else centers.clone()
        radii = placed.radii.clone()
        if not placed.fresh:
            own = points[[one.cluster == index for one in members]]
            centers[index] = own.mean(0)
            widest = float((own - centers[index]).norm(dim=1).max())
            radii[index] = max(radius, widest * (1 + SAME))  # a margin against rounding at the boundary
        clusters = torch.tensor([one.cluster for one in members], device=points.device)
        inside = (points - centers[clusters]).norm(dim=1) <= radii[clusters]
        extended = self.model_copy(
            update={
                "labels": (*self.labels[:index], label, *self.labels[index + 1 :]),
                "members": members,
                "tensors": {**self.tensors, "keys": centers, "radii": radii, "points": points},
            }
        )
        return extended.with_members(inside.nonzero()[:, 0].tolist()), placed

    def with_members(self, kept: Sequence[int]) -> LoraBlocks:
        """Returns the state with only some members, given by index; the clusters are unchanged."""
        if len(kept) == len(self.members):
            return self
        points = self.tensors["points"][list(kept)]
        members = tuple(self.members[n] for n in kept)
        return self.model_copy(update={"members": members, "tensors": {**self.tensors, "points": points}})

    def with_block(self, block: Mapping[str, LoraFactors]) -> LoraBlocks:
        """Returns the state with one more block appended.

        Args:
            block: The block's factors by the name of the linear layer, with one block each.
        """
        tensors = dict(self.tensors)
        for linear, factors in block.items():
            for name, part in ((DOWN + linear, factors.down), (UP + linear, factors.up)):
                tensors[name] = torch.cat([tensors[name], part]) if self.n_blocks else part
        return self.model_copy(update={"tensors": tensors, "n_blocks": self.n_blocks + 1})


@dataclass(frozen=True)
class IndexedBlocks:
    """The intervention that applies low-rank blocks.

    Args:
        layer: The layer of the index; the linear layers with blocks are above it.
        state: The index and the blocks.
    """

    layer: int
    state: LoraBlocks

    @cached_property
    def content_hash(self) -> str:
        """The hash of the layer, the index and all the blocks' tensors."""
        content = {"layer": str(self.layer), "index": self.state.model_dump_json()}
        return hash_parts({**content, "blocks": hash_tensors(self.state.tensors.items())})

    def lowest_block(self, model: LanguageModel) -> int:
        """Returns the layer of the index; it must run for the decision, although its output is unchanged."""
        return self.layer

    def install(self, model: LanguageModel, decisions: Decisions) -> InstalledHooks:
        """Hooks the layer of the index and the linear layers with blocks."""
        hooks = {linear: self._add(linear, decisions) for linear in self.state.linears}
        return InstalledHooks(model, {key_module(model, self.layer): self._decide(decisions), **hooks})

    def _decide(self, decisions: Decisions) -> OutputHook:
        def hook(_: torch.Tensor, outputs: torch.Tensor) -> None:
            deciding = decisions.current(outputs)
            rows, columns = deciding.decides.nonzero(as_tuple=True)
            if len(rows):
                members = self.state.selected(outputs[rows, columns])
                decision_ids = deciding.decision_ids[rows, columns]
                decisions.note(decision_ids, members != NO_MATCH)
                decisions.choose(self.content_hash, decision_ids, self.state.blocks_of(members))

        return hook

    def _add(self, linear: str, decisions: Decisions) -> OutputHook:
        factors = self.state.factors(linear)

        def hook(inputs: torch.Tensor, outputs: torch.Tensor) -> torch.Tensor | None:
            blocks = decisions.chosen(self.content_hash, decisions.current(inputs).decision_ids)
            rows, columns = (blocks != NO_MATCH).nonzero(as_tuple=True)
            if not len(rows):
                return None
            changed = outputs.clone()
            changed[rows, columns] += factors(inputs[rows, columns], blocks[rows, columns]).to(outputs.dtype)
            return changed

        return hook


def input_projections(model: LanguageModel, layers: Sequence[int]) -> tuple[str, ...]:
    """Returns the names of the input projections of some layers' MLPs: one per layer, or two with a gate."""
    outputs = {model.family.mlp_out.format(layer) for layer in layers}
    return tuple(name for name in mlp_linears(model, layers) if name not in outputs)


def key_module(model: LanguageModel, layer: int) -> str:
    """Returns the name of the linear layer whose output is the key: the first one of a layer's MLP."""
    return input_projections(model, [layer])[0]
