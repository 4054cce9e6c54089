"""Opens the engine that hands requests to vLLM."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sequela.core.errors import BadInputError
from sequela.inference.engine import Engine
from sequela.inference.registry import EngineOptions
from sequela.inference.vllm.engine import VllmEngine
from sequela.models import LanguageModel


@contextmanager
def open_vllm(model: LanguageModel, options: EngineOptions) -> Iterator[Engine]:
    """Opens the engine; its server starts with the first request and ends with the block.

    Raises:
        BadInputError: A limit for memory is given.
        SequelaError: vLLM isn't installed.
    """
    if options.memory is not None:
        raise BadInputError(
            "A limit for memory is for the torch engine; vLLM's server is a process of its own.",
            hint="Leave the limit out, or choose the torch engine.",
        )
    with VllmEngine() as engine:
        yield engine
