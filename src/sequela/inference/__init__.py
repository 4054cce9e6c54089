"""Running any edited model: scoring, generation, perplexity."""

from sequela.inference.choosing import open_engine
from sequela.inference.depth_cache import DepthCache
from sequela.inference.engine import (
    Engine,
    Generation,
    GenerationRequest,
    Score,
    ScoreRequest,
    generation_request,
    score_request,
)
from sequela.inference.memory import MemoryPlan, WorkingMemory, working_memory
from sequela.inference.perplexity import Perplexity, perplexity
from sequela.inference.plain_engine import PlainEngine
from sequela.inference.torch_engine import TorchEngine
from sequela.inference.work import Work

__all__ = [
    "DepthCache",
    "Engine",
    "Generation",
    "GenerationRequest",
    "MemoryPlan",
    "Perplexity",
    "PlainEngine",
    "Score",
    "ScoreRequest",
    "TorchEngine",
    "Work",
    "WorkingMemory",
    "generation_request",
    "open_engine",
    "perplexity",
    "score_request",
    "working_memory",
]
