"""Drawing random numbers from a seed without changing the state of the global generators."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def seeded(seed: int, device: torch.device) -> Iterator[None]:
    """Seeds torch's generators within the `with` block and restores their states afterwards.

    Args:
        seed: The seed.
        device: The device whose generator is seeded in addition to the CPU's.
    """
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        yield
