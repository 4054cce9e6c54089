"""Running any edited model: scoring, generation, perplexity."""

from sequela.inference.engine import (
    Engine,
    Generation,
    GenerationRequest,
    Score,
    ScoreRequest,
    generation_request,
    score_request,
)
from sequela.inference.perplexity import Perplexity, perplexity
from sequela.inference.torch_engine import TorchEngine

__all__ = [
    "Engine",
    "Generation",
    "GenerationRequest",
    "Perplexity",
    "Score",
    "ScoreRequest",
    "TorchEngine",
    "generation_request",
    "perplexity",
    "score_request",
]
