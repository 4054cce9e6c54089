"""On what a figure was measured: processor, memory, threads, versions."""

from __future__ import annotations

import importlib.metadata
from pathlib import Path
from typing import Any

import torch
from pydantic import BaseModel, ConfigDict

from sequela.results.environment import Environment, collect_environment

NOTED_FLAGS = ("avx2", "avx512f", "avx512_bf16", "amx_tile", "amx_bf16")
"""Instruction sets that decide how fast matrices are multiplied."""


class Machine(BaseModel):
    """The hardware and software of a benchmark.

    Args:
        environment: What every run's manifest notes too.
        threads: How many threads torch computes with.
        flags: Which of `NOTED_FLAGS` the processor has; None if the system doesn't say.
        onednn: Whether torch has oneDNN.
        mkl: Whether torch has MKL.
        other_packages: Versions of packages whose speed is compared.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    environment: Environment
    threads: int
    flags: tuple[str, ...] | None
    onednn: bool
    mkl: bool
    other_packages: dict[str, str]


def describe_machine() -> Machine:
    """This machine, as it is set up now."""
    return Machine(
        environment=collect_environment(),
        threads=torch.get_num_threads(),
        flags=_flags(),
        onednn=torch.backends.mkldnn.is_available(),
        mkl=torch.backends.mkl.is_available(),
        other_packages={"tokenizers": importlib.metadata.version("tokenizers")},
    )


def available_memory() -> int | None:
    """Bytes that can be taken without swapping; None if the system doesn't say."""
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
    """An option as the file of results tells it: of a path its last part, since the rest is one machine's."""
    if isinstance(value, list | tuple):
        return [without_folders(one) for one in value]
    return value.name if isinstance(value, Path) else value
