"""Low-rank blocks that are looked up by a vector index, as MELO keeps them.

The index is a set of clusters (`editors/shared/clusters.py`). Each has points, the keys of the edits that it
is made of, and its own key is their mean. At the token that decides, the nearest cluster is found; if it is
within its radius, its nearest point names a block, and that block adds its low-rank product to linear layers
above, at that token and all behind it. So one large LoRA lies over those layers, and every sequence is given
a few rows of it, or none.
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
"""Before the name of a linear layer: its factors among a state's tensors."""


class Member(BaseModel):
    """An edit in the index.

    Args:
        edit: The edit.
        cluster: The cluster that its point is in.
        block: The block that is in force for it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    edit: str
    cluster: int
    block: int


@dataclass(frozen=True)
class LoraFactors:
    """What blocks add to the output of one linear layer.

    Args:
        down: `[blocks, rank, in]`, fp32.
        up: `[blocks, rank, out]`, fp32.
        scale: What their product is scaled by.
    """

    down: torch.Tensor
    up: torch.Tensor
    scale: float = 1.0

    @property
    def finite(self) -> bool:
        """Whether all numbers are."""
        return bool(self.down.isfinite().all()) and bool(self.up.isfinite().all())

    def detached(self) -> LoraFactors:
        """The same numbers without gradients, the scale in `up`."""
        return LoraFactors(self.down.detach(), self.scale * self.up.detach())

    def __call__(self, inputs: torch.Tensor, blocks: torch.Tensor) -> torch.Tensor:
        """What is added at some tokens.

        All blocks that occur are one wide product, in which every token keeps its own block's rows.

        Args:
            inputs: `[tokens, in]`.
            blocks: Each token's block, `[tokens]`.

        Returns:
            `[tokens, out]`, fp32.
        """
        present: torch.Tensor = blocks.unique()  # type: ignore[no-untyped-call]
        down, up = (part[present.to(part.device)].to(inputs.device) for part in (self.down, self.up))
        own = blocks[:, None] == present
        rows = torch.einsum("ti,bri->tbr", inputs.float(), down) * own[..., None]
        return self.scale * torch.einsum("tbr,bro->to", rows, up)


class LoraBlocks(Clusters):
    """What MELO remembers: among the tensors also `points` `[m, d_key]` and each linear layer's factors.

    Args:
        members: The edits behind the points.
        n_blocks: How many blocks there are.
    """

    members: tuple[Member, ...] = ()
    n_blocks: int = 0

    @property
    def linears(self) -> tuple[str, ...]:
        """The names of the linear layers that have blocks."""
        return tuple(name.removeprefix(DOWN) for name in self.tensors if name.startswith(DOWN))

    def factors(self, linear: str) -> LoraFactors:
        """The factors of all blocks for a linear layer."""
        return LoraFactors(self.tensors[DOWN + linear], self.tensors[UP + linear])

    def selected(self, queries: torch.Tensor) -> torch.Tensor:
        """Which member each query finds, the latest of equals, or `NO_MATCH`.

        Args:
            queries: `[queries, d_key]`.

        Returns:
            `[queries]`.
        """
        if not self.members:
            return torch.full((len(queries),), NO_MATCH, device=queries.device)
        clusters, hit = self.found(queries)
        own = torch.tensor([member.cluster for member in self.members], device=queries.device)
        apart = distances(queries, self.tensors["points"])
        latest = apart.masked_fill(own != clusters[:, None], torch.inf).flip(1).min(dim=1)
        members = len(self.members) - 1 - latest.indices
        return torch.where(hit & latest.values.isfinite(), members, NO_MATCH)

    def blocks_of(self, members: torch.Tensor) -> torch.Tensor:
        """The blocks of members; `NO_MATCH` stays that."""
        blocks = [*(member.block for member in self.members), NO_MATCH]
        return torch.tensor(blocks, device=members.device)[members]

    def leads(self, member: int, block: int, label: tuple[int, ...]) -> bool:
        """Whether a selected member, or `NO_MATCH`, stands for a block and a label."""
        if member == NO_MATCH:
            return False
        found = self.members[member]
        return found.block == block and self.labels[found.cluster] == label

    def with_edit(
        self, edit: str, key: torch.Tensor, label: tuple[int, ...], radius: float, same_key: SameKey
    ) -> tuple[LoraBlocks, Placement]:
        """The same with an edit in the index, whose block is the next one to be made.

        Args:
            edit: The edit.
            key: Its key, `[d_key]`.
            label: The target's tokens.
            radius: A new cluster's radius.
            same_key: What becomes of an earlier edit with this very key and another label.
        """
        placed = self.placement(key, label, radius, same_key)
        place, takes_over = placed.place, not placed.fresh and self.labels[placed.place] != label
        kept = [n for n, one in enumerate(self.members) if not (takes_over and one.cluster == place)]
        members = (*(self.members[n] for n in kept), Member(edit=edit, cluster=place, block=self.n_blocks))
        points = torch.cat([self.tensors["points"][kept], key[None]]) if self.members else key[None]
        centers = self.tensors["keys"] if len(self) else key[None][:0]
        centers = torch.cat([centers, key[None]]) if placed.fresh else centers.clone()
        radii = placed.radii.clone()
        if not placed.fresh:
            own = points[[one.cluster == place for one in members]]
            centers[place] = own.mean(0)
            widest = float((own - centers[place]).norm(dim=1).max())
            radii[place] = max(radius, widest * (1 + SAME))  # at the very rim, rounding would decide
        clusters = torch.tensor([one.cluster for one in members], device=points.device)
        inside = (points - centers[clusters]).norm(dim=1) <= radii[clusters]
        made = self.model_copy(
            update={
                "labels": (*self.labels[:place], label, *self.labels[place + 1 :]),
                "members": members,
                "tensors": {**self.tensors, "keys": centers, "radii": radii, "points": points},
            }
        )
        return made.with_members(inside.nonzero()[:, 0].tolist()), placed

    def with_members(self, kept: Sequence[int]) -> LoraBlocks:
        """The same with some of the members only; the clusters stay."""
        if len(kept) == len(self.members):
            return self
        points = self.tensors["points"][list(kept)]
        members = tuple(self.members[n] for n in kept)
        return self.model_copy(update={"members": members, "tensors": {**self.tensors, "points": points}})

    def with_block(self, block: Mapping[str, LoraFactors]) -> LoraBlocks:
        """The same with one block more behind the last.

        Args:
            block: By the linear layers' names its factors, one block each.
        """
        tensors = dict(self.tensors)
        for linear, factors in block.items():
            for name, part in ((DOWN + linear, factors.down), (UP + linear, factors.up)):
                tensors[name] = torch.cat([tensors[name], part]) if self.n_blocks else part
        return self.model_copy(update={"tensors": tensors, "n_blocks": self.n_blocks + 1})


@dataclass(frozen=True)
class IndexedBlocks:
    """Low-rank blocks in force.

    Args:
        layer: The layer that the index watches; the linear layers with blocks are above it.
        state: The index and the blocks.
    """

    layer: int
    state: LoraBlocks

    @cached_property
    def content_hash(self) -> str:
        """A hash of the layer, the index and every bit of the blocks."""
        content = {"layer": str(self.layer), "index": self.state.model_dump_json()}
        return hash_parts({**content, "blocks": hash_tensors(self.state.tensors.items())})

    def lowest_block(self, model: LanguageModel) -> int:
        """The watched layer: it must run for a decision to be made, though what leaves it is as ever."""
        return self.layer

    def install(self, model: LanguageModel, decisions: Decisions) -> InstalledHooks:
        """Watches the layer that decides, and the linear layers with blocks."""
        hooks = {linear: self._add(linear, decisions) for linear in self.state.linears}
        return InstalledHooks(model, {key_module(model, self.layer): self._decide(decisions), **hooks})

    def _decide(self, decisions: Decisions) -> OutputHook:
        def hook(_: torch.Tensor, outputs: torch.Tensor) -> None:
            places = decisions.current(outputs)
            rows, columns = places.decides.nonzero(as_tuple=True)
            if len(rows):
                members = self.state.selected(outputs[rows, columns])
                decision_ids = places.decision_ids[rows, columns]
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
    """The names of the linear layers that some layers' MLPs begin with: one each, or two with a gate."""
    outputs = {model.family.mlp_out.format(layer) for layer in layers}
    return tuple(name for name in mlp_linears(model, layers) if name not in outputs)


def key_module(model: LanguageModel, layer: int) -> str:
    """The linear layer whose output is the key: the first one of a layer's MLP."""
    return input_projections(model, [layer])[0]
