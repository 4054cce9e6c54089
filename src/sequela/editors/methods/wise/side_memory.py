"""WISE's side memories: changed copies of one MLP output projection, of which at most one is used.

A copy is stored as its difference D from the projection's weight W. At the deciding token, the activation of
each copy is computed: the distance `||D x||` of its output from the projection's own for input x. Among the
copies that reach their threshold, the one with the greatest activation replaces the projection at that token
and all following ones. If none does, the output is unchanged.
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
from sequela.models.placement import execution_device
from sequela.models.spans import BLANK


class SideMemory(BaseModel):
    """The description of one copy.

    Args:
        edits: The ids of its edits.
        shards: The numbers of its shards; more than one if it is merged.
        least_activation: The least activation that one of its edits had after its training.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    edits: tuple[str, ...] = ()
    shards: tuple[int, ...]
    least_activation: float = float("inf")

    @property
    def is_merged(self) -> bool:
        """True if it has several shards; it is then no longer trained."""
        return len(self.shards) > 1


class SideMemories(EditorState):
    """WISE's state, with the differences D `[d, d_ff]` as `memory.0`, `memory.1`, … among the tensors.

    Args:
        contexts: The context templates, the bare `{}` first, sampled from the unedited model.
        memories: The copies, in the order of their creation.
    """

    contexts: tuple[str, ...] = Field(default=(BLANK,), min_length=1)
    memories: tuple[SideMemory, ...] = ()

    @property
    def context_templates(self) -> tuple[str, ...]:
        """The contexts in which the method reads every edit's prompt with its target."""
        return self.contexts

    @property
    def changes(self) -> list[torch.Tensor]:
        """The differences D, `[d, d_ff]` each, in the memories' order."""
        return [self.tensors[f"memory.{index}"] for index in range(len(self.memories))]

    def with_memories(self, memories: Sequence[SideMemory], changes: Sequence[torch.Tensor]) -> SideMemories:
        """Returns the state with other memories and their differences."""
        tensors = {f"memory.{index}": change for index, change in enumerate(changes)}
        return self.model_copy(update={"memories": tuple(memories), "tensors": tensors})


def activations(changes: Sequence[torch.Tensor], keys: torch.Tensor) -> torch.Tensor:
    """Returns the distances of the memories' outputs from the projection's own, `[memories, keys]`, fp32.

    Args:
        changes: The differences D, `[d, d_ff]` each.
        keys: The inputs of the projection, `[keys, d_ff]`.
    """
    return torch.stack([torch.linalg.vector_norm(keys.float() @ change.T, dim=-1) for change in changes])


def answered(change: torch.Tensor, inputs: torch.Tensor, outputs: torch.Tensor) -> torch.Tensor:
    """Returns the outputs of a copy, `[..., d]`.

    Args:
        change: The copy's difference D, `[d, d_ff]`.
        inputs: The inputs of the projection, `[..., d_ff]`.
        outputs: The outputs of the projection itself, `[..., d]`.
    """
    return (outputs.float() + inputs.float() @ change.T).to(outputs.dtype)


def answering(activation: torch.Tensor, thresholds: torch.Tensor) -> torch.Tensor:
    """Returns the index of the memory used for each key, `[keys]`; `NO_MATCH` if none reaches its threshold.

    Args:
        activation: The memories' activations, `[memories, keys]`.
        thresholds: The memories' thresholds, `[memories]`.
    """
    reached = torch.where(activation >= thresholds[:, None], activation, -torch.inf)
    greatest = reached.max(dim=0)
    return torch.where(greatest.values > -torch.inf, greatest.indices, NO_MATCH)


@dataclass(frozen=True)
class SideMemoryRouter:
    """The intervention that applies side memories at a layer.

    Args:
        layer: The layer whose MLP output projection has copies.
        state: The copies.
        act_ratio: The threshold of a memory, as a fraction of its least activation on its edits.
    """

    layer: int
    state: SideMemories
    act_ratio: float

    @property
    def thresholds(self) -> list[float]:
        """The minimum activation at which each memory is used."""
        return [self.act_ratio * memory.least_activation for memory in self.state.memories]

    @property
    def content_hash(self) -> str:
        """The hash of the layer, the thresholds and all the copies' tensors."""
        return hash_parts(
            {
                "layer": str(self.layer),
                "thresholds": hash_json(self.thresholds),
                "memories": hash_tensors(self.state.tensors.items()),
            }
        )

    def lowest_block(self, model: LanguageModel) -> int:
        """Returns the layer of the copies."""
        return self.layer

    def install(self, model: LanguageModel, decisions: Decisions) -> InstalledHooks:
        """Hooks the layer's MLP output projection."""
        device = execution_device(model.family.mlp_out_module(model.module, self.layer))
        changes = [change.to(device) for change in self.state.changes]
        thresholds = torch.tensor(self.thresholds, device=device)
        method = self.content_hash

        def decide(keys: torch.Tensor, decision_ids: torch.Tensor) -> None:
            chosen = answering(activations(changes, keys), thresholds)
            decisions.note(decision_ids, chosen != NO_MATCH)
            decisions.choose(method, decision_ids, chosen)

        def hook(inputs: torch.Tensor, outputs: torch.Tensor) -> torch.Tensor | None:
            deciding = decisions.current(inputs)
            if bool(deciding.decides.any()):
                decide(inputs[deciding.decides], deciding.decision_ids[deciding.decides])
            chosen = decisions.chosen(method, deciding.decision_ids)
            if not bool((chosen != NO_MATCH).any()):
                return None
            replaced = outputs.clone()
            for index, change in enumerate(changes):
                here = chosen == index
                replaced[here] = answered(change, inputs[here], outputs[here])
            return replaced

        return InstalledHooks(model, {model.family.mlp_out.format(self.layer): hook})
