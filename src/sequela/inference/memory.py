"""How much goes through a model at once."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import torch

from sequela.ground.errors import SequelaError
from sequela.models import LanguageModel

logger = logging.getLogger(__name__)

Answer = TypeVar("Answer")

MIB = 2**20
WIDTHS = 12  # about how many numbers as wide as an MLP's inside a token needs while a block runs


@dataclass(frozen=True)
class WorkingMemory:
    """Room for what exists only while requests are answered.

    Args:
        size: Bytes for activations at once, and again for keys and values of what is generated.
        most_tokens: No more tokens than this at once, however much room: beyond, nothing is gained.
        most_rows: No more texts than this are continued at once.
    """

    size: int = 1024 * MIB
    most_tokens: int = 2048
    most_rows: int = 128

    def tokens_at_once(self, model: LanguageModel) -> int:
        """How many tokens may go through the model together."""
        bytes_per_token = WIDTHS * model.key_size * model.dtype.itemsize
        return max(1, min(self.most_tokens, self.size // bytes_per_token))

    def tokens_kept(self, model: LanguageModel) -> int:
        """For how many tokens keys and values may be kept while texts are generated."""
        return max(1, self.size // model.key_value_bytes)

    def within_reach(self, tokens: int, attempt: Callable[[int], Answer]) -> Answer:
        """Tries with so many tokens and, whenever memory doesn't suffice, with half as many.

        Raises:
            SequelaError: Not even one token fits.
        """
        while True:
            try:
                return attempt(tokens)
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
                if tokens == 1:
                    raise SequelaError(
                        "The memory doesn't suffice for a single token of this request.",
                        hint="Free memory, or use a smaller model or bfloat16.",
                    ) from error
            tokens //= 2
            logger.warning("Out of memory: trying again with %d tokens at once.", tokens)
            if torch.cuda.is_available():
                torch.cuda.empty_cache()


def is_out_of_memory(error: BaseException) -> bool:
    """Whether memory, of the processor or of an accelerator, didn't suffice."""
    return isinstance(error, (MemoryError, torch.OutOfMemoryError)) or "can't allocate memory" in str(error)
