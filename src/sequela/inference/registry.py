"""The registry of engines, built in or provided by installed packages; listing them imports no engine.

A package provides an engine through the entry-point group `sequela.engines`, which names its `EngineInfo`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from sequela.core.progress import SILENT, Progress
from sequela.core.registry import Registry, instance_of


@dataclass(frozen=True)
class EngineInfo:
    """A description of an engine that is available without importing it.

    Args:
        name: The engine's name, as in a study file.
        summary: A description in one line.
        opener: The function that opens it, as `module:function`. It takes the `LanguageModel` and the
            `EngineOptions`, and returns a context manager of an `Engine`.
    """

    name: str
    summary: str
    opener: str


@dataclass(frozen=True)
class EngineOptions:
    """The options that an engine is opened with.

    Args:
        memory: The memory limit of the process in bytes; None for no limit. An engine that can't observe a
            limit raises an error.
        expected: The blocks at which edits will begin, if the same requests will be run repeatedly, so that
            hidden states are worth keeping; else None.
        progress: Receives a message on how a memory limit is divided.
    """

    memory: int | None = None
    expected: frozenset[int] | None = None
    progress: Progress = field(default=SILENT, compare=False)


DEFAULT_ENGINE = "torch"
"""The engine that is used if none is named."""

ENGINES: Mapping[str, EngineInfo] = MappingProxyType(
    {
        info.name: info
        for info in (
            EngineInfo(
                DEFAULT_ENGINE,
                "Runs requests in this process with PyTorch; shares prefixes and keeps hidden states.",
                "sequela.inference.torch.opening:open_torch",
            ),
            EngineInfo(
                "vllm",
                "Hands requests to a vLLM server; for GPUs.",
                "sequela.inference.vllm.opening:open_vllm",
            ),
        )
    }
)
"""The built-in engines."""

ENGINE_REGISTRY = Registry(
    kind="engine",
    group="sequela.engines",
    built_in=lambda: ENGINES,
    check=instance_of(EngineInfo),
    expected="a `sequela.inference.EngineInfo`",
)
"""The registry of engines."""
