"""Side memories: changed copies of one MLP output projection, of which one answers, as WISE keeps them.

A copy is kept as its difference D from the projection's weight W. At the token that decides, what enters the
projection is put through all copies; how far a copy's answer is from the projection's own, `||D x||`, is its
activation. The copy with the greatest activation among those that reach their threshold takes the
projection's place, there and at every token behind. If none does, nothing is touched.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from pydantic import BaseModel, ConfigDict, Field

from sequela.core.hashing import hash_json, hash_parts, hash_tensors
from sequela.edited.decisions import NO_MATCH, Decisions
from sequela.editors.base import EditorState
from sequela.models import LanguageModel
from sequela.models.forward.hooks import InstalledHooks
from sequela.models.spans import BLANK


class SideMemory(BaseModel):
    """What is known of one copy.

    Args:
        edits: The edits in it.
        shards: The numbers of the shards in it, more than one once it was merged.
        least_activation: The least activation that one of its edits had when it was made.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    edits: tuple[str, ...] = ()
    shards: tuple[int, ...]
    least_activation: float = float("inf")

    @property
    def is_merged(self) -> bool:
        """Whether it was made of several shards; it isn't trained any more."""
        return len(self.shards) > 1


class SideMemories(EditorState):
    """What WISE remembers; `memory.0`, `memory.1` … among the tensors are the differences D, `[d, d_ff]`.

    Args:
        contexts: The context templates, the bare `{}` first; taken from the unedited model.
        memories: The copies, in the order of their making.
    """

    contexts: tuple[str, ...] = Field(default=(BLANK,), min_length=1)
    memories: tuple[SideMemory, ...] = ()

    @property
    def changes(self) -> list[torch.Tensor]:
        """The differences D, `[d, d_ff]` each, in the memories' order."""
        return [self.tensors[f"memory.{place}"] for place in range(len(self.memories))]

    def with_memories(self, memories: Sequence[SideMemory], changes: Sequence[torch.Tensor]) -> SideMemories:
        """The same with other memories and their differences."""
        tensors = {f"memory.{place}": change for place, change in enumerate(changes)}
        return self.model_copy(update={"memories": tuple(memories), "tensors": tensors})


def activations(changes: Sequence[torch.Tensor], keys: torch.Tensor) -> torch.Tensor:
    """How far the memories' answers are from the projection's own, `[memories, keys]`, fp32.

    Args:
        changes: The differences D, `[d, d_ff]` each.
        keys: What enters the projection, `[keys, d_ff]`.
    """
    return torch.stack([torch.linalg.vector_norm(keys.float() @ change.T, dim=-1) for change in changes])


def answered(change: torch.Tensor, inputs: torch.Tensor, outputs: torch.Tensor) -> torch.Tensor:
    """What leaves a copy, `[..., d]`.

    Args:
        change: The copy's difference D, `[d, d_ff]`.
        inputs: What enters the projection, `[..., d_ff]`.
        outputs: What leaves the projection itself, `[..., d]`.
    """
    return (outputs.float() + inputs.float() @ change.T).to(outputs.dtype)


def answering(found: torch.Tensor, thresholds: torch.Tensor) -> torch.Tensor:
    """Which memory answers each key, `[keys]`; `NO_MATCH` where none reaches its threshold.

    Args:
        found: Activations, `[memories, keys]`.
        thresholds: What a memory's activation must reach, `[memories]`.
    """
    reached = torch.where(found >= thresholds[:, None], found, -torch.inf)
    greatest = reached.max(dim=0)
    return torch.where(greatest.values > -torch.inf, greatest.indices, NO_MATCH)


@dataclass(frozen=True)
class SideMemoryRouter:
    """Side memories in force on a layer.

    Args:
        layer: The layer whose MLP output projection has copies.
        state: The copies.
        act_ratio: What part of a memory's least activation on its edits must be reached.
    """

    layer: int
    state: SideMemories
    act_ratio: float

    @property
    def thresholds(self) -> list[float]:
        """What each memory's activation must reach."""
        return [self.act_ratio * memory.least_activation for memory in self.state.memories]

    @property
    def content_hash(self) -> str:
        """A hash of the layer, the thresholds and every bit of the copies."""
        return hash_parts(
            {
                "layer": str(self.layer),
                "thresholds": hash_json(self.thresholds),
                "memories": hash_tensors(self.state.tensors.items()),
            }
        )

    def lowest_block(self, model: LanguageModel) -> int:
        """The layer."""
        return self.layer

    def install(self, model: LanguageModel, decisions: Decisions) -> InstalledHooks:
        """Watches the layer's MLP output projection."""
        device = model.module.get_parameter(model.family.mlp_out_name(self.layer)).device
        changes = [change.to(device) for change in self.state.changes]
        thresholds = torch.tensor(self.thresholds, device=device)
        method = self.content_hash

        def decide(keys: torch.Tensor, decision_ids: torch.Tensor) -> None:
            found = answering(activations(changes, keys), thresholds)
            decisions.note(decision_ids, found != NO_MATCH)
            decisions.choose(method, decision_ids, found)

        def hook(inputs: torch.Tensor, outputs: torch.Tensor) -> torch.Tensor | None:
            places = decisions.current(inputs)
            if bool(places.decides.any()):
                decide(inputs[places.decides], places.decision_ids[places.decides])
            under = decisions.chosen(method, places.decision_ids)
            if not bool((under != NO_MATCH).any()):
                return None
            replaced = outputs.clone()
            for place, change in enumerate(changes):
                here = under == place
                replaced[here] = answered(change, inputs[here], outputs[here])
            return replaced

        return InstalledHooks(model, {model.family.mlp_out.format(self.layer): hook})
