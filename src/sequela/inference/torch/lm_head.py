"""Logits and log-probabilities from the last block's output, always in fp32."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch

from sequela.core.precision import SCORING_DTYPE
from sequela.inference.generation_state import GenerationState
from sequela.inference.torch.packed_linear import fastest_linear
from sequela.models import LanguageModel

POSITIONS = 128  # read at a time: their logits stay in the processor's cache


@dataclass(frozen=True)
class TokenLogProbs:
    """Next-token log-probabilities at some positions.

    Args:
        logprobs: `[positions, vocabulary]`, fp32.
        best: The most likely token `[positions]`.
        finite: True if all logits are finite `[positions]`.
    """

    logprobs: torch.Tensor
    best: torch.Tensor
    finite: torch.Tensor


class Head:
    """The final norm and the head of a model with its edits in force.

    Args:
        model: The model; its weights must not change while the head is used.
    """

    def __init__(self, model: LanguageModel) -> None:
        self._model = model
        self._norm = model.module.get_submodule(model.family.final_norm)
        head = model.module.get_submodule(model.family.unembed)
        weight = model.weight(f"{model.family.unembed}.weight").detach().to(SCORING_DTYPE)
        bias = None
        if head.bias is not None:
            bias = model.weight(f"{model.family.unembed}.bias").detach().to(SCORING_DTYPE)
        self._unembed = fastest_linear(weight, bias)

    def logits(self, hidden: torch.Tensor) -> torch.Tensor:
        """Returns logits `[positions, vocabulary]`, fp32, of the last block's output `[positions, d]`."""
        return self.after_norm(self._norm(hidden))

    def after_norm(self, normed: torch.Tensor) -> torch.Tensor:
        """Returns logits `[positions, vocabulary]`, fp32, of normed hidden states `[positions, d]`."""
        logits = self._unembed(normed.to(SCORING_DTYPE))
        return self._model.family.cap_logits(self._model.module, logits)

    def read(self, hidden: torch.Tensor) -> Iterator[tuple[slice, TokenLogProbs]]:
        """Yields log-probabilities for hidden states `[positions, d]` in chunks, with each chunk's slice."""
        for start in range(0, len(hidden), POSITIONS):
            at = slice(start, start + POSITIONS)
            logits = self.logits(hidden[at])
            yield at, TokenLogProbs(logits.log_softmax(-1), logits.max(-1).indices, all_finite(logits))


def all_finite(logits: torch.Tensor) -> torch.Tensor:
    """Returns whether all logits of each row `[rows, vocabulary]` are finite, `[rows]`: then their sum is."""
    return torch.isfinite(logits.sum(-1))


def append_argmax(
    model: LanguageModel, logits: torch.Tensor, states: Sequence[GenerationState]
) -> torch.Tensor:
    """Appends the most likely next token to each state.

    Args:
        model: The model.
        logits: `[states, vocabulary]`, fp32.
        states: The states, in the order of the rows.

    Returns:
        The tokens `[states]`.
    """
    tokens = logits.max(dim=-1).indices
    finite = all_finite(logits).tolist()
    for state, token, is_finite in zip(states, tokens.tolist(), finite, strict=True):
        state.take(model, token, is_finite)
    return tokens
