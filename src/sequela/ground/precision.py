"""The dtype policy, in one place.

* Weights stay in the dtype they were loaded in (float32 unless the user asks for another).
* Logits and log-probabilities are always read in float32.
* Covariances, solves and deltas are computed in float64 where the device has it.
"""

from __future__ import annotations

import torch

SCORING_DTYPE = torch.float32
"""The dtype in which logits become log-probabilities."""


def solve_dtype(device: torch.device) -> torch.dtype:
    """float64, or float32 on devices without it (Apple's `mps`)."""
    return torch.float32 if device.type == "mps" else torch.float64
