"""The default engine: packed tries, shared prefixes, a depth cache."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import torch

from sequela.core.batching import retry_on_oom
from sequela.core.progress import Progress
from sequela.edited import EditedModel
from sequela.inference.base_engine import BaseEngine
from sequela.inference.engine import Generation, GenerationRequest, Score, ScoreRequest
from sequela.inference.generation_state import GenerationState, token_count
from sequela.inference.torch.attention.base import takes_attention
from sequela.inference.torch.counters import TokenCounters
from sequela.inference.torch.decoding import Decoder
from sequela.inference.torch.hidden_state_cache import DepthCache
from sequela.inference.torch.memory_plan import WorkingMemory
from sequela.inference.torch.reference_engine import PlainEngine
from sequela.inference.torch.scoring import score_trie


class TorchEngine(BaseEngine):
    """Runs requests through the Hugging Face model, each token in context once.

    `PlainEngine` runs models whose attention can't be replaced (GPT-J) and models with rotary positions that
    depend on the longest row (LongRoPE). Either way, interventions are given the tokens at which they decide.

    Args:
        memory: The limits for activations, keys and values.
        depth_cache: Keeps hidden states below the edits between calls; None keeps none.
    """

    def __init__(self, memory: WorkingMemory | None = None, depth_cache: DepthCache | None = None) -> None:
        self.memory = memory or WorkingMemory()
        self.depth_cache = depth_cache
        self.counters = TokenCounters()

    @torch.inference_mode()
    def _score(self, model: EditedModel, requests: list[ScoreRequest], progress: Progress) -> list[Score]:
        def attempt(tokens: int) -> list[Score]:
            if not packs(model):
                return _plain(model, tokens).score(model, requests, progress)
            with model:
                return score_trie(
                    model,
                    requests,
                    tokens,
                    self.depth_cache,
                    self.counters,
                    progress,
                    pack_weights=self.memory.pack_weights,
                )

        return retry_on_oom(self.memory.tokens_at_once(model.base), attempt)

    @torch.inference_mode()
    def _generate(
        self, model: EditedModel, requests: list[GenerationRequest], progress: Progress
    ) -> list[Generation]:
        def attempt(tokens: int) -> list[Generation]:
            if not packs(model):
                return _plain(model, tokens).generate(model, requests, progress)
            with model:
                model.decisions.begin()
                with token_count(requests, progress) as count:
                    decoder = Decoder(
                        model,
                        requests,
                        self.memory.most_rows,
                        tokens,
                        min(tokens, self.memory.tokens_at_once(model.base)),
                        self.counters,
                        count,
                        pack_weights=self.memory.pack_weights,
                    )
                    return _collect(model, decoder.run(), len(requests))

        return retry_on_oom(self.memory.tokens_kept(model.base), attempt)


def packs(model: EditedModel) -> bool:
    """Returns whether requests to a model may be packed into tries.

    They may not if its attention can't be replaced, or if its rotary positions depend on the longest row of
    a pass.
    """
    return takes_attention(model.base) and not model.base.rotary_by_length


def _plain(model: EditedModel, tokens: int) -> PlainEngine:
    """Returns the engine for requests that can't be packed; one row at a time if rows affect each other."""
    return PlainEngine(1 if model.base.rotary_by_length else tokens)


def _collect(model: EditedModel, states: Iterable[GenerationState], n_requests: int) -> list[Generation]:
    answers: dict[int, Generation] = {}
    for state in states:
        hit = model.decisions.hits.get(state.number)
        answers[state.number] = replace(state.answer(model.base), hit=hit)
    return [answers[number] for number in range(n_requests)]
