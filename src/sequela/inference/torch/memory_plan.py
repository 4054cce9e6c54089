"""The division of a memory limit of the whole process."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from sequela.core.precision import SCORING_DTYPE
from sequela.inference.memory_limit import ALLOWANCE, MIB, MIN_REQUEST_BYTES, MemoryLimitError, in_units
from sequela.inference.torch.lm_head import POSITIONS
from sequela.inference.torch.packed_linear import packed_bytes, ways_of
from sequela.models import LanguageModel

MIN_TOKENS = 256  # `near` allows at least this many tokens at once: with fewer, weights are read too often
LOGITS = 3  # the numbers stored for each logit while log-probabilities are computed
WIDTHS = 12  # about how many vectors of the MLP's inner width a token needs while a block runs


@dataclass(frozen=True)
class WorkingMemory:
    """The memory limits for running requests.

    Args:
        size: The maximum number of bytes for activations, and as many again for keys and values.
        most_tokens: The maximum number of tokens at once, regardless of memory; more gain nothing.
        near: On CPUs, the maximum number of bytes of an MLP's inner activations, so that they stay in the
            processor's cache.
        most_rows: The maximum number of texts that are continued at once.
        pack_weights: If true, the blocks' weights may be in memory a second time, packed
            (`packed_linear.py`).
    """

    size: int = 1024 * MIB
    most_tokens: int = 8192
    near: int = 3 * MIB
    most_rows: int = 128
    pack_weights: bool = True

    def tokens_at_once(self, model: LanguageModel) -> int:
        """Returns the maximum number of tokens in one forward pass."""
        bytes_inside = model.key_size * model.dtype.itemsize
        most = min(self.most_tokens, self.size // (WIDTHS * bytes_inside))
        if model.device.type == "cpu":
            most = min(most, max(MIN_TOKENS, self.near // bytes_inside))
        return max(1, most)

    def tokens_kept(self, model: LanguageModel) -> int:
        """Returns the maximum number of tokens whose keys and values are kept during generation."""
        return max(1, self.size // model.key_value_bytes)


@dataclass(frozen=True)
class MemoryPlan:
    """The division of a memory limit of the whole process, in bytes.

    Args:
        weights: The model's weights.
        packed: The second, packed copy of the blocks' weights; 0 if there is none.
        reading: The head in fp32, and logits.
        allowance: Everything else, see `ALLOWANCE`.
        working: The memory for requests; its `size` counts twice.
        depth_cache: Hidden states kept in memory; 0 if none are.
    """

    weights: int
    packed: int
    reading: int
    allowance: int
    working: WorkingMemory
    depth_cache: int

    @classmethod
    def within(cls, limit: int, model: LanguageModel, keeps_states: bool = False) -> MemoryPlan:
        """Divides a memory limit.

        Weights, reading and allowance come first. Packed copies are used only if at least
        `MIN_REQUEST_BYTES` remains for requests next to them. Half of the remainder is for requests, up to
        what an engine takes without a limit, and the rest for hidden states.

        Args:
            limit: The memory limit of the process in bytes.
            model: The model.
            keeps_states: If true, hidden states are kept from one checkpoint to the next.

        Raises:
            MemoryLimitError: The limit is too low; the message has the amount that is needed.
        """
        weights = _bytes_of(model.module)
        reading = _reading_bytes(model)
        packed = packed_bytes(model)
        needed = weights + reading + ALLOWANCE + MIN_REQUEST_BYTES
        if limit < needed:
            raise MemoryLimitError(
                f"A memory limit of {in_units(limit)} is too low for {model.name}: it needs at least "
                f"{in_units(needed)} ({in_units(weights)} for the weights, {in_units(reading)} to compute "
                f"logits, {in_units(ALLOWANCE)} for the program and the editor, "
                f"{in_units(MIN_REQUEST_BYTES)} for requests)."
            )
        pack = limit >= needed + packed
        packed = packed if pack else 0
        room = limit - weights - reading - ALLOWANCE - packed
        size = min(WorkingMemory.size, room // 4 if keeps_states else room // 2)
        working = WorkingMemory(size, pack_weights=pack)
        return cls(weights, packed, reading, ALLOWANCE, working, room - 2 * size if keeps_states else 0)

    def summary(self) -> str:
        """Returns the plan in one line."""
        copies = (
            f"{in_units(self.packed)} packed copies of them" if self.packed else "no packed copies of them"
        )
        kept = f", {in_units(self.depth_cache)} hidden states" if self.depth_cache else ""
        return (
            f"memory: {in_units(self.weights)} weights, {copies}, {in_units(self.reading)} logits, "
            f"{in_units(2 * self.working.size)} requests{kept}, {in_units(self.allowance)} everything else"
        )


def working_memory(limit: int | None, model: LanguageModel) -> WorkingMemory:
    """Returns the memory for requests if no hidden states are kept: within a limit, or the default.

    Raises:
        MemoryLimitError: The limit is too low.
    """
    return WorkingMemory() if limit is None else MemoryPlan.within(limit, model).working


def _bytes_of(module: nn.Module) -> int:
    # Tied weights occur once; offloaded ones are in memory only while their layer runs.
    return sum(weight.numel() * weight.itemsize for weight in module.parameters() if not weight.is_meta)


def _reading_bytes(model: LanguageModel) -> int:
    """Returns the bytes of the head in fp32, of its packed copy, and of the logits held at a time."""
    head: torch.Tensor = model.module.get_submodule(model.family.unembed).weight
    n_out, n_in = head.shape
    packed = "packed" in ways_of((n_out, n_in), SCORING_DTYPE, model.device)
    copies = packed + (head.dtype != SCORING_DTYPE)
    return SCORING_DTYPE.itemsize * (copies * head.numel() + LOGITS * POSITIONS * head.shape[0])
