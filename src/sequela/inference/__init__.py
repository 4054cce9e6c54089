"""Running an edited model: scoring, generation, sampling, perplexity."""

from typing import TYPE_CHECKING

from sequela.core.lazy import lazy_names

if TYPE_CHECKING:
    from sequela.inference.base_engine import BaseEngine
    from sequela.inference.engine import (
        Engine,
        Generation,
        GenerationRequest,
        Score,
        ScoreRequest,
        generation_request,
        score_request,
    )
    from sequela.inference.factory import open_engine
    from sequela.inference.registry import EngineInfo, EngineOptions
    from sequela.inference.text_perplexity import Perplexity, perplexity
    from sequela.inference.torch.counters import TokenCounters
    from sequela.inference.torch.engine import TorchEngine
    from sequela.inference.torch.hidden_state_cache import DepthCache
    from sequela.inference.torch.memory_plan import MemoryPlan, WorkingMemory, working_memory
    from sequela.inference.torch.reference_engine import PlainEngine

__all__ = [
    "BaseEngine",
    "DepthCache",
    "Engine",
    "EngineInfo",
    "EngineOptions",
    "Generation",
    "GenerationRequest",
    "MemoryPlan",
    "Perplexity",
    "PlainEngine",
    "Score",
    "ScoreRequest",
    "TokenCounters",
    "TorchEngine",
    "WorkingMemory",
    "generation_request",
    "open_engine",
    "perplexity",
    "score_request",
    "working_memory",
]

if not TYPE_CHECKING:  # a `__getattr__` would make type checkers accept any name
    __getattr__, __dir__ = lazy_names(
        __name__,
        {
            "sequela.inference.base_engine": ("BaseEngine",),
            "sequela.inference.engine": (
                "Engine",
                "Generation",
                "GenerationRequest",
                "Score",
                "ScoreRequest",
                "generation_request",
                "score_request",
            ),
            "sequela.inference.factory": ("open_engine",),
            "sequela.inference.registry": ("EngineInfo", "EngineOptions"),
            "sequela.inference.text_perplexity": ("Perplexity", "perplexity"),
            "sequela.inference.torch.counters": ("TokenCounters",),
            "sequela.inference.torch.engine": ("TorchEngine",),
            "sequela.inference.torch.hidden_state_cache": ("DepthCache",),
            "sequela.inference.torch.memory_plan": ("MemoryPlan", "WorkingMemory", "working_memory"),
            "sequela.inference.torch.reference_engine": ("PlainEngine",),
        },
    )
