"""The machine of a measurement: processor, memory, threads, versions."""

from __future__ import annotations

import importlib.metadata
from pathlib import Path
from typing import Any

import torch
from pydantic import BaseModel, ConfigDict

from sequela.results.environment import Environment, collect_environment

NOTED_FLAGS = ("avx2", "avx512f", "avx512_bf16", "amx_tile", "amx_bf16")
"""Instruction sets that determine the speed of matrix products."""


class Machine(BaseModel):
    """The hardware and software of a benchmark.

    Args:
        environment: The environment, as in the manifest of a run.
        threads: The number of torch's threads.
        flags: The flags of `NOTED_FLAGS` that the processor has; None if unknown.
        onednn: True if torch has oneDNN.
        mkl: True if torch has MKL.
        other_packages: The versions of packages whose speed is compared.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    environment: Environment
    threads: int
    flags: tuple[str, ...] | None
    onednn: bool
    mkl: bool
    other_packages: dict[str, str]


def describe_machine() -> Machine:
    """Returns the description of this machine in its current configuration."""
    return Machine(
        environment=collect_environment(),
        threads=torch.get_num_threads(),
        flags=_flags(),
        onednn=torch.backends.mkldnn.is_available(),
        mkl=torch.backends.mkl.is_available(),
        other_packages={"tokenizers": importlib.metadata.version("tokenizers")},
    )


def available_memory() -> int | None:
    """Returns the bytes that can be allocated without swapping; None if unknown."""
    info = Path("/proc/meminfo")
    if not info.is_file():
        return None
    for line in info.read_text(encoding="utf-8").splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    return None


def _flags() -> tuple[str, ...] | None:
    info = Path("/proc/cpuinfo")
    if not info.is_file():
        return None
    for line in info.read_text(encoding="utf-8", errors="replace").splitlines():
        name, _, value = line.partition(":")
        if name.strip() in ("flags", "Features"):
            present = set(value.split())
            return tuple(flag for flag in NOTED_FLAGS if flag in present)
    return None


def without_folders(value: Any) -> Any:
    """Returns an option for the results file, with paths reduced to their last part."""
    if isinstance(value, list | tuple):
        return [without_folders(one) for one in value]
    return value.name if isinstance(value, Path) else value
