"""Opening the engine that passes requests to vLLM."""

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
        BadInputError: A memory limit is given.
        SequelaError: vLLM isn't installed.
    """
    if options.memory is not None:
        raise BadInputError(
            "The vllm engine supports no memory limit: its server is a separate process.",
            hint="Omit the limit, or choose the torch engine.",
        )
    with VllmEngine() as engine:
        yield engine
