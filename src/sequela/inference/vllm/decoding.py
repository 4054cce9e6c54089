"""Conversion of vLLM's outputs to generations, with the stopping rules of every engine."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from sequela.inference.engine import Generation, GenerationRequest
from sequela.inference.generation_state import GenerationState
from sequela.models import LanguageModel

Sampled = tuple[int, float]
"""A generated token and its log-probability."""


def decoding_params(model: LanguageModel, request: GenerationRequest, done: int) -> Any:
    """Returns vLLM's `SamplingParams` for the rest of a generation that has `done` tokens already."""
    from vllm import SamplingParams

    return SamplingParams(
        temperature=0.0,
        max_tokens=request.max_new_tokens - done,
        stop=list(request.stop),
        stop_token_ids=sorted(model.end_ids),
        ignore_eos=True,  # the end tokens are those above and no others
        logprobs=0,  # that of the generated token, which is NaN if logits aren't finite
        detokenize=bool(request.stop),
    )


def sampled_tokens(output: Any) -> list[Sampled]:
    """Returns the tokens of vLLM's `RequestOutput`, including an end token."""
    answer = output.outputs[0]
    if not answer.token_ids:
        raise RuntimeError(f"vLLM ended a generation without a token ({answer.finish_reason}).")
    return [
        (token, found[token].logprob) for token, found in zip(answer.token_ids, answer.logprobs, strict=True)
    ]


def ended(model: LanguageModel, request: GenerationRequest, tokens: Sequence[Sampled]) -> Generation | None:
    """Returns the generation that the tokens form, or None if more tokens are needed.

    As in every engine (`GenerationState`), the whole text is searched for stop strings after each token. vLLM
    searches incrementally decoded text, so it may have stopped too early or too late.
    """
    state = GenerationState(0, request)
    for token, logprob in tokens:
        state.take(model, token, math.isfinite(logprob))
        if state.ended_by:
            return state.answer(model)
    return None
