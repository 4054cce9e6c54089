"""Conversion of vLLM's outputs to generations, with the stopping rules of every engine."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sequela.inference.engine import Generation, GenerationRequest
from sequela.inference.generation_state import GenerationState
from sequela.models import LanguageModel

Sampled = tuple[int, float]
"""A generated token and its log-probability."""


@dataclass(frozen=True)
class Section:
    """The next part of a text: up to the end of a thought, or of the answer, or up to a thought that begins.

    Args:
        max_tokens: The maximum number of tokens.
        stop: The strings at which the part ends.
    """

    max_tokens: int
    stop: tuple[str, ...]


def next_section(model: LanguageModel, request: GenerationRequest, done: Sequence[Sampled]) -> Section:
    """Returns the part of a text that vLLM generates next; stop strings don't apply within a thought.

    Args:
        model: The model.
        request: The request.
        done: The tokens so far.
    """
    thinking = request.thinking
    if thinking is None:
        return Section(request.max_new_tokens - len(done), request.stop)
    state = GenerationState(0, request)
    for token, _ in done:
        state.take(model, token, finite=True)
    if state.thinks:
        left, stop = thinking.max_tokens - state.n_thinking, (thinking.end,)
    else:
        begins = (thinking.start,) if thinking.start else ()
        left, stop = request.max_new_tokens + state.n_thinking - len(done), (*request.stop, *begins)
    return Section(min(max(1, left), request.max_tokens - len(done)), stop)


def decoding_params(model: LanguageModel, request: GenerationRequest, done: Sequence[Sampled]) -> Any:
    """Returns vLLM's `SamplingParams` for the next part of a generation that has some tokens already."""
    from vllm import SamplingParams

    section, thinking = next_section(model, request, done), request.thinking
    return SamplingParams(
        temperature=0.0,
        max_tokens=section.max_tokens,
        stop=list(section.stop),
        stop_token_ids=sorted(model.end_ids),
        ignore_eos=True,  # the end tokens are those above and no others
        logprobs=0,  # that of the generated token, which is NaN if logits aren't finite
        detokenize=bool(section.stop),
        skip_special_tokens=thinking is None or not thinking.control_ids,
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
