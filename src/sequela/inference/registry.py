"""The engines by name, built in or brought by installed packages; known without importing any of them.

A package brings an engine through the entry-point group `sequela.engines`, which names its `EngineInfo`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from sequela.core.progress import SILENT, Progress
from sequela.core.registry import Registry, instance_of


@dataclass(frozen=True)
class EngineInfo:
    """What is known of an engine before it is opened.

    Args:
        name: The engine's name, as in a study file.
        summary: One line that says what it is.
        opener: The function that opens it, as `module:function`. It takes the `LanguageModel` and the
            `EngineOptions`, and returns a context manager of an `Engine`.
    """

    name: str
    summary: str
    opener: str


@dataclass(frozen=True)
class EngineOptions:
    """What an engine is opened with besides the model.

    Args:
        memory: The most bytes the process shall hold; None if there is no limit. An engine that can't keep
            to a limit refuses it.
        expected: The blocks at which edits will begin, if the same requests will come again and again, so
            that hidden states are worth keeping; else None.
        progress: Is told how a limit for memory is shared out.
    """

    memory: int | None = None
    expected: frozenset[int] | None = None
    progress: Progress = field(default=SILENT, compare=False)


ENGINES: Mapping[str, EngineInfo] = MappingProxyType(
    {
        info.name: info
        for info in (
            EngineInfo(
                "torch",
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
"""The engines that come with the program."""

ENGINE_REGISTRY = Registry(
    kind="engine",
    group="sequela.engines",
    built_in=lambda: ENGINES,
    check=instance_of(EngineInfo),
    expected="a `sequela.inference.EngineInfo`",
)
"""The engines."""
