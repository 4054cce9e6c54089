"""The names of devices and dtypes, which are checked without importing PyTorch."""

from __future__ import annotations

import re

from sequela.core.arguments import check_choice
from sequela.core.errors import BadInputError, shown

DEVICE_TYPES = ("cpu", "cuda", "mps", "xpu")
"""The types of devices that a model can run on; ROCm's devices are called `cuda` too."""

DTYPE_NAMES = ("float32", "bfloat16", "float16")
"""The dtypes that weights can be loaded in."""

AUTO = "auto"
"""The name that leaves the dtype to the hardware."""

_DEVICE = re.compile(r"(?:cpu|mps)(?::0)?|(?:cuda|xpu)(?::(?:0|[1-9][0-9]?))?")
"""There is one processor and one Apple GPU, and there can be several of the others."""


def check_device_name(name: str) -> str:
    """Checks the form of a device's name, a type with or without an index, and returns the name.

    Whether this machine has such a device is known only when PyTorch is loaded.

    Raises:
        BadInputError: It is not the name of a device.
    """
    if not isinstance(name, str) or not _DEVICE.fullmatch(name):
        raise BadInputError(
            f"Unknown device {shown(name)}.",
            hint="Choose cpu, cuda, cuda:0 (or the index of another GPU), mps or xpu, or leave the "
            "device out: the best available one is used.",
        )
    return name


def check_dtype_name(name: str) -> str:
    """Checks the name of a dtype, and returns it.

    Raises:
        UnknownNameError: It is neither a dtype that weights can be loaded in nor `auto`.
        BadInputError: It is not a string.
    """
    check_choice("dtype", name, (*DTYPE_NAMES, AUTO))
    return name
