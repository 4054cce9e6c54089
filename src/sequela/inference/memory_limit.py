"""The smallest memory limit of a process, which is known before PyTorch or a model is loaded."""

from __future__ import annotations

from collections.abc import Iterable

from sequela.core.errors import SequelaError
from sequela.core.wording import size_in_words
from sequela.models.aliases import ALIASES

MIB = 2**20
ALLOWANCE = 1024 * MIB
"""The memory for everything except the model and the requests: Python, PyTorch and the other libraries
(about 500 MiB), data sets, key statistics, an editor at work."""

MIN_REQUEST_BYTES = 128 * MIB
"""The minimum memory for requests; with less, a limit is rejected."""

WEIGHT_BYTES = {"float32": 4}
"""The bytes of a weight by dtype; other dtypes take two, or four if `auto` chooses float32."""


class MemoryLimitError(SequelaError):
    """A memory limit that is too low.

    Args:
        message: A sentence with the limit and what is needed.
        setting: The name of the setting that has the limit, as the user knows it.
    """

    def __init__(self, message: str, setting: str = "the memory limit") -> None:
        super().__init__(message, hint=f"Raise {setting}, or use a smaller model or bfloat16.")

    def naming(self, setting: str) -> MemoryLimitError:
        """Returns the error with the name of the setting that has the limit."""
        return MemoryLimitError(self.message, setting)


def check_memory_limit(limit: int | None, models: Iterable[str] = (), dtype: str = "float32") -> None:
    """Rejects a limit that is too low for any model, or for the weights of a model with an alias.

    Whether the limit suffices for a model is known when it is loaded.

    Args:
        limit: The memory limit of the process in bytes; None for no limit.
        models: The names of the models.
        dtype: The dtype of their weights.

    Raises:
        MemoryLimitError: The limit is too low.
    """
    if limit is None:
        return
    least = ALLOWANCE + MIN_REQUEST_BYTES
    if limit < least:
        raise MemoryLimitError(
            f"A memory limit of {in_units(limit)} is too low for any model: the program and its requests "
            f"need {in_units(least)}, and the weights come on top."
        )
    for name in models:
        weights = ALIASES[name].parameters * WEIGHT_BYTES.get(dtype, 2) if name in ALIASES else 0
        if limit < least + weights:
            raise MemoryLimitError(
                f"A memory limit of {in_units(limit)} is too low for {name}: it needs more than "
                f"{in_units(least + weights)}, of which {in_units(weights)} are for the weights."
            )


def in_units(size: int) -> str:
    """Returns a size in words, rounded up: a limit of what it says suffices."""
    return size_in_words(size, up=True)
