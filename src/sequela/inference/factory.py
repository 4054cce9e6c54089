"""Opening an engine by its name."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sequela.core.progress import SILENT, Progress
from sequela.inference.engine import Engine
from sequela.inference.registry import ENGINE_REGISTRY, EngineOptions
from sequela.models import LanguageModel


@contextmanager
def open_engine(
    name: str,
    model: LanguageModel,
    memory: int | None = None,
    expected: frozenset[int] | None = None,
    progress: Progress = SILENT,
) -> Iterator[Engine]:
    """Opens an engine by its name for the duration of the `with` block.

    Args:
        name: A name in `ENGINE_REGISTRY`.
        model: The model to run.
        memory: The memory limit of the process in bytes; None for no limit.
        expected: The blocks at which edits will begin, if the same requests will be run repeatedly; hidden
            states are kept there. None keeps no hidden states.
        progress: Receives a message on how a memory limit is divided.

    Raises:
        UnknownNameError: There is no such engine.
        BadInputError: The package that provides the engine can't be used, or the engine supports no memory
            limit.
        SequelaError: vLLM isn't installed, or the memory limit is too low.
    """
    opener = ENGINE_REGISTRY.load(name, ENGINE_REGISTRY.get(name).opener)
    if not callable(opener):
        raise ENGINE_REGISTRY.misfit(name, opener, "is not a function that opens an engine")
    with opener(model, EngineOptions(memory, expected, progress)) as engine:
        yield engine
