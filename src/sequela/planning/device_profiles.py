"""Device profiles: public figures of known devices, from which times are estimated without a measurement.

The figures are peaks from data sheets; how much of them programs get is a rule of thumb. So the estimates are
marked as untried.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from sequela.core.errors import BadInputError, UnknownNameError
from sequela.core.paths import user_path
from sequela.core.validation import in_words
from sequela.core.yaml_files import read_yaml

EFFICIENCY = 0.4
"""The share of the peak that a forward pass over many tokens reaches."""

SHORT_EFFICIENCY = 0.25
"""The same for short requests and for editing, whose products are smaller."""

BANDWIDTH_EFFICIENCY = 0.6
"""The share of the memory bandwidth that generation reaches."""

GPU_CALL_SECONDS = 0.005
"""The fixed time of a call, and of each step of generation, on a GPU: the launches of its kernels."""

DISK_BYTES_PER_SECOND = 1e9
"""The speed at which weights are read."""


class DeviceProfile(BaseModel):
    """A device.

    Args:
        name: Its name.
        device: Its type: `cpu` or `cuda`.
        flops: The peak of dense floating-point operations per second, by dtype.
        bandwidth: The memory bandwidth in bytes per second.
        memory: The memory in bytes.
        source: Where the figures are from.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    name: str = ""
    device: str = Field(default="cuda", pattern="^(cpu|cuda)$")
    flops: Mapping[str, float]
    bandwidth: float = Field(gt=0)
    memory: int = Field(gt=0)
    source: str = ""

    def peak(self, dtype: str) -> float:
        """Returns the peak for a dtype.

        Raises:
            BadInputError: The profile has none for it.
        """
        if dtype not in self.flops:
            raise BadInputError(
                f"The device profile {self.name!r} has no figure for {dtype}.",
                hint=f"It has {', '.join(self.flops)}; choose one of these with `--precision`.",
            )
        return self.flops[dtype]


_GIB = 2**30

# fp32 is that of the CUDA cores: PyTorch doesn't use TF32 unless it is allowed.
_PROFILES = (
    DeviceProfile(
        name="h100",
        flops={"float32": 67e12, "bfloat16": 989e12, "float16": 989e12},
        bandwidth=3.35e12,
        memory=80 * _GIB,
        source="NVIDIA H100 data sheet, SXM, dense",
    ),
    DeviceProfile(
        name="h200",
        flops={"float32": 67e12, "bfloat16": 989e12, "float16": 989e12},
        bandwidth=4.8e12,
        memory=141 * 10**9,
        source="NVIDIA H200 data sheet, SXM, dense",
    ),
    DeviceProfile(
        name="a100-80gb",
        flops={"float32": 19.5e12, "bfloat16": 312e12, "float16": 312e12},
        bandwidth=2.039e12,
        memory=80 * _GIB,
        source="NVIDIA A100 data sheet, 80GB SXM, dense",
    ),
    DeviceProfile(
        name="a100-40gb",
        flops={"float32": 19.5e12, "bfloat16": 312e12, "float16": 312e12},
        bandwidth=1.555e12,
        memory=40 * _GIB,
        source="NVIDIA A100 data sheet, 40GB SXM, dense",
    ),
    DeviceProfile(
        name="l4",
        flops={"float32": 30.3e12, "bfloat16": 121e12, "float16": 121e12},
        bandwidth=0.3e12,
        memory=24 * _GIB,
        source="NVIDIA L4 data sheet; tensor cores without sparsity",
    ),
    DeviceProfile(
        name="rtx-4090",
        flops={"float32": 82.6e12, "bfloat16": 165.2e12, "float16": 165.2e12},
        bandwidth=1.008e12,
        memory=24 * _GIB,
        source="NVIDIA Ada GPU architecture paper; tensor cores, dense, fp32 accumulate",
    ),
    DeviceProfile(
        name="rtx-3090",
        flops={"float32": 35.6e12, "bfloat16": 71e12, "float16": 71e12},
        bandwidth=0.936e12,
        memory=24 * _GIB,
        source="NVIDIA Ampere GA102 architecture paper; tensor cores, dense, fp32 accumulate",
    ),
    # Two cores at 2.5 GHz: 2 vector units of 16 (AVX-512) or 8 (AVX2) floats, two operations each.
    DeviceProfile(
        name="cpu-2-core-avx512",
        device="cpu",
        flops={"float32": 320e9, "bfloat16": 320e9, "float16": 80e9},
        bandwidth=20e9,
        memory=8 * _GIB,
        source="computed from the width of the vector units at 2.5 GHz",
    ),
    DeviceProfile(
        name="cpu-2-core",
        device="cpu",
        flops={"float32": 160e9, "bfloat16": 80e9, "float16": 40e9},
        bandwidth=20e9,
        memory=8 * _GIB,
        source="computed from the width of the vector units (AVX2) at 2.5 GHz",
    ),
    DeviceProfile(
        name="cpu-32-core",
        device="cpu",
        flops={"float32": 5e12, "bfloat16": 5e12, "float16": 1e12},
        bandwidth=200e9,
        memory=128 * _GIB,
        source="computed from the width of the vector units (AVX-512) at 2.5 GHz, 8 channels of DDR4-3200",
    ),
)

PROFILES: Mapping[str, DeviceProfile] = MappingProxyType({profile.name: profile for profile in _PROFILES})
"""The built-in profiles by name."""


def device_profile(name: str) -> DeviceProfile:
    """Returns a device profile by its name or file.

    Raises:
        UnknownNameError: There is no such profile; the message has the most similar names.
        BadInputError: The file can't be read, or isn't a device profile.
    """
    if name in PROFILES:
        return PROFILES[name]
    if not name.endswith((".yaml", ".yml", ".json")):
        raise UnknownNameError("device profile", name, PROFILES)
    path: Path = user_path(name)
    try:
        content = read_yaml(path).content
        profile = DeviceProfile.model_validate(content)
    except BadInputError as error:
        raise BadInputError(f"The device profile {error.message}", hint=error.hint) from error
    except ValidationError as error:
        problem = in_words(error, allowed=list(DeviceProfile.model_fields))
        raise BadInputError(
            f"{path} is not a device profile: {problem}.",
            hint="It has flops (a table by dtype), bandwidth and memory; "
            "`sequela plan --device-profile list` shows examples.",
        ) from error
    return profile if profile.name else profile.model_copy(update={"name": name})
