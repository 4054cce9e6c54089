"""The division of a memory limit of the whole process, and the error if it is too low."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sequela.core.errors import SequelaError
from sequela.edited import EditedModel
from sequela.inference import MemoryPlan, ScoreRequest, TorchEngine, WorkingMemory, working_memory
from sequela.inference.torch.memory_plan import ALLOWANCE, MIB, MIN_REQUEST_BYTES
from sequela.inference.torch.packed_linear import packed_bytes, packs_linears
from sequela.models import LanguageModel
from support.tiny import tiny_language_model

MODEL = tiny_language_model("llama")
GIB = 2**30


def needed(model: LanguageModel) -> int:
    """Returns the lowest accepted limit, found by bisection."""
    low, high = 0, 4 * GIB
    while high - low > 1:
        middle = (low + high) // 2
        try:
            MemoryPlan.within(middle, model)
            high = middle
        except SequelaError:
            low = middle
    return high


NEEDED = needed(MODEL)


@given(st.integers(NEEDED, 64 * GIB), st.booleans())
def test_the_shares_add_up_to_the_limit_or_less(limit: int, keeps_states: bool) -> None:
    plan = MemoryPlan.within(limit, MODEL, keeps_states)
    parts = (plan.weights, plan.packed, plan.reading, plan.allowance, 2 * plan.working.size, plan.depth_cache)
    assert all(part >= 0 for part in parts)
    assert sum(parts) <= limit
    if keeps_states:
        assert sum(parts) == limit  # hidden states get what requests don't need
        assert plan.depth_cache >= limit - sum(parts[:4]) - 2 * WorkingMemory.size
    assert 2 * plan.working.size >= MIN_REQUEST_BYTES // 2
    assert plan.working.size <= WorkingMemory.size
    assert plan.working.pack_weights == (plan.packed > 0) or not packs_linears(MODEL.device, MODEL.dtype)


@pytest.mark.parametrize("family", ["llama", "gpt2", "gpt_neox"])
def test_weights_count_once_even_if_tied(family: str) -> None:
    model = tiny_language_model(family)
    tensors = {parameter.data_ptr(): parameter for parameter in model.module.parameters()}
    expected = sum(parameter.numel() * 4 for parameter in tensors.values())
    assert MemoryPlan.within(4 * GIB, model).weights == expected
    linears = [p for p in model.family.block_list(model.module).parameters() if p.dim() == 2]
    assert packed_bytes(model) == sum(parameter.numel() * 4 for parameter in linears)


def test_packed_copies_are_omitted_first_when_memory_is_short() -> None:
    if not packs_linears(MODEL.device, MODEL.dtype):
        pytest.skip("weights are not packed on this processor")
    copies = packed_bytes(MODEL)
    short = MemoryPlan.within(NEEDED + copies - 1, MODEL)
    enough = MemoryPlan.within(NEEDED + copies, MODEL)
    assert (short.working.pack_weights, short.packed) == (False, 0)
    assert (enough.working.pack_weights, enough.packed) == (True, copies)
    assert "no packed copies" in short.summary()


def test_a_limit_that_is_too_low_says_what_is_needed() -> None:
    with pytest.raises(SequelaError, match="too low for tiny-llama") as caught:
        MemoryPlan.within(NEEDED - 1, MODEL)
    assert NEEDED > ALLOWANCE + MIN_REQUEST_BYTES
    reported = re.search(r"at least ([\d.]+) GiB \(", str(caught.value))
    assert reported is not None
    assert float(reported[1]) == pytest.approx(NEEDED / GIB, abs=0.01)


def test_without_a_limit_requests_have_the_default_memory() -> None:
    assert working_memory(None, MODEL) == WorkingMemory()
    assert working_memory(NEEDED, MODEL).size < WorkingMemory.size
    assert working_memory(64 * GIB, MODEL) == WorkingMemory()


@pytest.mark.parametrize("family", ["llama", "gpt2"])
def test_without_packed_copies_the_answers_are_the_same(family: str) -> None:
    model = EditedModel(tiny_language_model(family))
    requests = [ScoreRequest((5, 6, 7, start), (8, 9)) for start in range(10, 16)]
    packed = TorchEngine().score(model, requests)
    plain = TorchEngine(WorkingMemory(pack_weights=False)).score(model, requests)
    for one, other in zip(packed, plain, strict=True):
        assert one.token_logprobs == pytest.approx(other.token_logprobs, abs=1e-4)
        assert one.token_greedy == other.token_greedy


def test_less_memory_means_fewer_tokens_at_once() -> None:
    assert WorkingMemory(1).tokens_at_once(MODEL) == WorkingMemory(1).tokens_kept(MODEL) == 1
    small, large = WorkingMemory(MIB), WorkingMemory(2 * MIB, most_tokens=10**9)
    assert small.tokens_at_once(MODEL) < large.tokens_at_once(MODEL)
    assert WorkingMemory(MIB, most_tokens=7).tokens_at_once(MODEL) == 7
