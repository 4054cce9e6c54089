"""Which engine runs the requests."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sequela.core.errors import BadInputError, UnknownNameError
from sequela.core.progress import SILENT, Progress
from sequela.inference.engine import Engine
from sequela.inference.torch.engine import TorchEngine
from sequela.inference.torch.hidden_state_cache import DepthCache
from sequela.inference.torch.memory_plan import MemoryPlan, working_memory
from sequela.models import LanguageModel

ENGINES = ("torch", "vllm")
"""The names of the engines."""


@contextmanager
def open_engine(
    name: str,
    model: LanguageModel,
    memory: int | None = None,
    expected: frozenset[int] | None = None,
    progress: Progress = SILENT,
) -> Iterator[Engine]:
    """An engine by its name, for as long as the block lasts.

    Args:
        name: One of `ENGINES`.
        model: The model it will run.
        memory: The most bytes the process shall hold.
        expected: The blocks at which edits will begin, if the same requests will come again and again;
            hidden states are kept there. None keeps nothing.
        progress: Is told how a limit for memory is shared out.

    Raises:
        SequelaError: There is no such engine, vLLM isn't installed, or the limit is too low.
    """
    if name not in ENGINES:
        raise UnknownNameError("engine", name, ENGINES)
    if name == "vllm":
        if memory is not None:
            raise BadInputError(
                "A limit for memory is for the torch engine; vLLM's server is a process of its own.",
                hint="Leave the limit out, or choose the torch engine.",
            )
        from sequela.inference.vllm.engine import VllmEngine

        with VllmEngine() as engine:
            yield engine
    elif expected is None:
        yield TorchEngine(working_memory(memory, model))
    elif memory is None:
        yield TorchEngine(depth_cache=DepthCache(expected=expected))
    else:
        shares = MemoryPlan.within(memory, model, keeps_states=True)
        progress.say(shares.told())
        yield TorchEngine(shares.working, DepthCache(memory=shares.depth_cache, expected=expected))
