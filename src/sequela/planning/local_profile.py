"""The profile of this machine, from what its system says about it."""

from __future__ import annotations

import torch

from sequela.core.errors import SequelaError
from sequela.planning.device_profiles import PROFILES, DeviceProfile
from sequela.results.environment import collect_environment

CLOCK = 2.5e9
"""A typical number of cycles of a processor per second."""

OPERATIONS = {"AVX512": 64, "AVX2": 32}
"""The fp32 operations per cycle and core: two vector units, each multiplying and adding."""

OTHER_OPERATIONS = 16

CORE_BANDWIDTH = 10e9
"""A typical memory bandwidth for each core, in bytes per second."""


def profile_of_this_machine(device: torch.device) -> DeviceProfile:
    """Returns a profile of a device of this machine: that of a known GPU, or a rough one of the processor.

    Raises:
        SequelaError: It is a GPU of which there is no profile.
    """
    if device.type == "cpu":
        threads, memory = torch.get_num_threads(), collect_environment().memory_bytes
        wide = OPERATIONS.get(torch.backends.cpu.get_cpu_capability(), OTHER_OPERATIONS)
        peak = threads * CLOCK * wide
        return DeviceProfile(
            name="of this processor",
            device="cpu",
            flops={"float32": peak, "bfloat16": peak / 2, "float16": peak / 4},
            bandwidth=threads * CORE_BANDWIDTH,
            memory=memory or 2**33,
        )
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
    for profile in PROFILES.values():
        words = profile.name.replace("-", " ").split()
        if all(word in name.casefold() for word in words):
            return profile
    raise SequelaError(
        f"There is no profile of the device {name}.",
        hint="Measure it with --calibrate, or describe it in a file: --device-profile FILE.",
    )
