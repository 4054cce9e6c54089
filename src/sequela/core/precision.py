"""The dtype policy.

* Weights stay in the dtype they were loaded in: float32 unless the user chooses another or
  `auto`, which is bfloat16 where the hardware multiplies it natively and float32 elsewhere.
* Logits and log-probabilities are always read in float32.
* Covariances, solves and deltas are computed in float64 where the device has it.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from sequela.core.hardware_names import AUTO, DTYPE_NAMES, check_dtype_name

DTYPES: dict[str, torch.dtype] = {name: getattr(torch, name) for name in DTYPE_NAMES}
"""The dtypes that weights can be loaded in."""

SCORING_DTYPE = torch.float32
"""The dtype in which logits become log-probabilities."""


def solve_dtype(device: torch.device) -> torch.dtype:
    """Returns float64, or float32 on devices without it (Apple's `mps`)."""
    return torch.float32 if device.type == "mps" else torch.float64


@dataclass(frozen=True)
class Precision:
    """The dtype of a model's weights.

    Args:
        name: The name of the dtype, one of `DTYPES`.
        reason: The reason for the choice; empty if the user named the dtype.
    """

    name: str
    reason: str = ""

    @property
    def dtype(self) -> torch.dtype:
        """The PyTorch dtype."""
        return DTYPES[self.name]

    def __str__(self) -> str:
        return f"{self.name} (auto: {self.reason})" if self.reason else self.name


def choose_precision(name: str, device: torch.device) -> Precision:
    """Returns the precision that the user named, or for `auto` the best one for a device.

    Args:
        name: One of `DTYPES`, or `auto`.
        device: The device that the model will run on.

    Raises:
        UnknownNameError: `name` is none of these.
        BadInputError: `name` is not a string.
    """
    if name != AUTO:
        return Precision(check_dtype_name(name))
    native = _native_bfloat16(device)
    if native:
        return Precision("bfloat16", f"{native} computes it natively")
    return Precision("float32", f"the device {device} has no known native bfloat16")


def _native_bfloat16(device: torch.device) -> str:
    """Returns the hardware feature for native bfloat16 on a device; empty if none is known."""
    if device.type == "cuda":
        native = bool(torch.version.hip) or torch.cuda.get_device_capability(device) >= (8, 0)
        return torch.cuda.get_device_name(device) if native else ""
    if device.type == "cpu":
        for feature, function in _CPU_FEATURES.items():
            supported = getattr(torch.cpu, function, None)  # older versions of PyTorch lack some
            if supported is not None and supported():
                return feature
    return ""


_CPU_FEATURES = {"AMX": "_is_amx_tile_supported", "AVX-512 BF16": "_is_avx512_bf16_supported"}
"""Features of x86 processors, each with the function of `torch.cpu` that detects it."""
