"""Running an edited model: scoring, generation, sampling, perplexity."""

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
from sequela.inference.perplexity import Perplexity, perplexity
from sequela.inference.torch.counters import Work
from sequela.inference.torch.engine import TorchEngine
from sequela.inference.torch.hidden_state_cache import DepthCache
from sequela.inference.torch.memory_plan import MemoryPlan, WorkingMemory, working_memory
from sequela.inference.torch.reference_engine import PlainEngine

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
