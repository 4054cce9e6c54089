"""Drawing random numbers from a seed without disturbing anybody else's."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def seeded(seed: int, device: torch.device) -> Iterator[None]:
    """For the length of a block torch draws from a seed; afterwards its generators go on where they were.

    Args:
        seed: The seed.
        device: Where is drawn besides the processor.
    """
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        yield
