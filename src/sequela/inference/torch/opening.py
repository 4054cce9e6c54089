"""Opening the engine that runs requests in this process."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sequela.inference.engine import Engine
from sequela.inference.registry import EngineOptions
from sequela.inference.torch.engine import TorchEngine
from sequela.inference.torch.hidden_state_cache import DepthCache
from sequela.inference.torch.memory_plan import MemoryPlan, working_memory
from sequela.models import LanguageModel


@contextmanager
def open_torch(model: LanguageModel, options: EngineOptions) -> Iterator[Engine]:
    """Opens the engine, with a cache of hidden states if the same requests are expected again.

    Raises:
        SequelaError: The memory limit is too low for the model.
    """
    memory, expected = options.memory, options.expected
    if expected is None:
        yield TorchEngine(working_memory(memory, model))
    elif memory is None:
        yield TorchEngine(depth_cache=DepthCache(expected=expected))
    else:
        plan = MemoryPlan.within(memory, model, keeps_states=True)
        options.progress.say(plan.summary())
        yield TorchEngine(plan.working, DepthCache(memory=plan.depth_cache, expected=expected))
