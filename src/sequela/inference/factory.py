"""Opens the engine of a name."""

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
    """Opens an engine by its name, for as long as the block lasts.

    Args:
        name: A name of `ENGINE_REGISTRY`.
        model: The model it will run.
        memory: The most bytes the process shall hold.
        expected: The blocks at which edits will begin, if the same requests will come again and again;
            hidden states are kept there. None keeps nothing.
        progress: Is told how a limit for memory is shared out.

    Raises:
        UnknownNameError: There is no such engine.
        BadInputError: The package that brings it can't be used, or it takes no limit for memory.
        SequelaError: vLLM isn't installed, or the limit is too low.
    """
    opener = ENGINE_REGISTRY.load(name, ENGINE_REGISTRY.get(name).opener)
    if not callable(opener):
        raise ENGINE_REGISTRY.misfit(name, opener, "is no function that opens an engine")
    with opener(model, EngineOptions(memory, expected, progress)) as engine:
        yield engine
