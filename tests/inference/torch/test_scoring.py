"""A packed trie gives the scores of plain batches, however it is cut, and computes nothing twice."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sequela.core.progress import SilentProgress
from sequela.edited import EditedModel
from sequela.inference import PlainEngine, Score, ScoreRequest, TokenCounters, TorchEngine, WorkingMemory
from sequela.inference.torch import packing
from sequela.inference.torch.packing import pack_trie
from sequela.inference.torch.trie import Trie
from support.tiny import LAYERS, WINDOW, tiny_language_model
from support.tries import Row, prefixes_of, rows

STEM: Row = tuple(range(40, 40 + 2 * WINDOW))
BROKEN = 17
"""The token whose embedding is NaN in the tests that need one."""

REQUESTS = (
    *(ScoreRequest((*STEM, 60 + subject, 70), (80, 81 + subject)) for subject in range(4)),
    *(ScoreRequest((*STEM, 61, 70, *STEM), (choice,)) for choice in range(90, 94)),  # rows are one row
    ScoreRequest(STEM, (61, 70, 80)),  # a row within a row
    ScoreRequest(STEM, (61, 70, 80)),  # the same request again
    ScoreRequest((5,), (6,)),
    ScoreRequest(tuple(range(100, 100 + 5 * WINDOW)), (9, 8, 7)),  # a long row of its own
)

FAMILIES = ["gpt2", "gpt_neox", "llama", "mistral", "qwen2", "qwen3", "gemma2", "gemma3", "phi3", "olmo2"]
"""The families whose attention can be replaced."""


def rows_of(requests: tuple[ScoreRequest, ...] | list[ScoreRequest]) -> list[Row]:
    return [request.context + request.continuation[:-1] for request in requests]


def engine(tokens: int) -> TorchEngine:
    return TorchEngine(WorkingMemory(most_tokens=tokens))


def assert_close(found: list[Score], expected: list[Score]) -> None:
    for ours, theirs in zip(found, expected, strict=True):
        assert ours.finite == theirs.finite
        if ours.finite:
            assert ours.token_logprobs == pytest.approx(theirs.token_logprobs, abs=1e-4)
            assert ours.token_greedy == theirs.token_greedy


@pytest.fixture(params=[256, 2], ids=["masked pieces", "dense pieces"])
def pieces(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Cuts small tries into one masked piece, as usual, and into many pieces, like large ones."""
    monkeypatch.setattr(packing, "BLOCK_TOKENS", request.param)
    monkeypatch.setattr(packing, "GROUP_TOKENS", min(request.param, 64))


@pytest.mark.usefixtures("pieces")
@pytest.mark.parametrize("family", FAMILIES)
def test_scores_are_those_of_plain_batches(family: str) -> None:
    model = EditedModel(tiny_language_model(family))
    expected = PlainEngine().score(model, REQUESTS)
    for tokens in (1, 7, 64, 2048):
        assert_close(engine(tokens).score(model, REQUESTS), expected)


@pytest.mark.usefixtures("pieces")
@pytest.mark.parametrize("family", ["phi3", "qwen2", "qwen3"])
def test_sliding_windows_that_a_configuration_turns_on_are_respected(family: str) -> None:
    window = {"sliding_window": WINDOW, **({} if family == "phi3" else {"use_sliding_window": True})}
    model = EditedModel(
        tiny_language_model(family, **window, **({} if family == "phi3" else {"max_window_layers": 2}))
    )
    expected = PlainEngine().score(model, REQUESTS)
    unlimited = PlainEngine().score(EditedModel(tiny_language_model(family)), REQUESTS)
    assert abs(expected[-1].logprob - unlimited[-1].logprob) > 1e-2
    for tokens in (7, 64):
        assert_close(engine(tokens).score(model, REQUESTS), expected)


def test_each_layer_s_own_scaling_is_respected() -> None:
    model = EditedModel(tiny_language_model("gpt2", scale_attn_by_inverse_layer_idx=True))
    assert_close(engine(16).score(model, REQUESTS), PlainEngine().score(model, REQUESTS))


@pytest.mark.parametrize("family", ["llama", "gemma3"])
@settings(max_examples=15, deadline=None)
@given(
    branching=rows(longest=3 * WINDOW),
    last=st.integers(1, 4),
    tokens=st.integers(1, 30),
    block=st.integers(1, 20),
    group=st.integers(1, 8),
)
def test_scores_of_branching_rows_are_those_of_plain_batches(
    family: str, branching: list[Row], last: int, tokens: int, block: int, group: int
) -> None:
    requests = [ScoreRequest(row[: -min(last, len(row) - 1)] or row, row[-last:]) for row in branching]
    model = EditedModel(tiny_language_model(family))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(packing, "BLOCK_TOKENS", block)
        patch.setattr(packing, "GROUP_TOKENS", group)
        found = engine(tokens).score(model, requests)
    assert_close(found, PlainEngine().score(model, requests))


@pytest.mark.parametrize("tokens", [1, 7, 64])
def test_every_token_in_context_is_computed_once_and_read_only_where_needed(tokens: int) -> None:
    packed = engine(tokens)
    packed.score(EditedModel(tiny_language_model("llama")), REQUESTS)
    contexts = len(prefixes_of(rows_of(REQUESTS)))
    positions = {
        (request.context + request.continuation)[:end]
        for request in REQUESTS
        for end in range(len(request.context), request.length + 1)
    }
    assert packed.counters == TokenCounters(
        requested_tokens=sum(request.length for request in REQUESTS),
        unique_tokens=contexts,
        computed_tokens=contexts,
        computed_blocks=contexts * LAYERS,
        asked_positions=len(positions),
    )


class Recorder(SilentProgress):
    """Records progress reports."""

    def __init__(self) -> None:
        self.units, self.totals, self.finished = list[int](), list[int | None](), 0

    def start(self, description: str, total: int | None) -> int:
        self.totals.append(total)
        return 0

    def advance(self, task: int, units: int = 1) -> None:
        self.units.append(units)

    def finish(self, task: int) -> None:
        self.finished += 1


def test_progress_counts_each_request_once() -> None:
    reported = Recorder()
    engine(16).score(EditedModel(tiny_language_model("llama")), REQUESTS, reported)
    assert reported.totals == [len(REQUESTS)]
    assert sum(reported.units) == len(REQUESTS)
    assert len(reported.units) > 1
    assert reported.finished == 1


# Scores that are not finite


@pytest.mark.usefixtures("pieces")
@pytest.mark.parametrize("tokens", [1, 7, 64])
@pytest.mark.parametrize("family", FAMILIES)
def test_only_requests_that_read_a_nan_token_have_no_finite_score(family: str, tokens: int) -> None:
    model = EditedModel(tiny_language_model(family, tie_word_embeddings=False))
    stem = STEM[:5]
    requests = [
        ScoreRequest((*stem, BROKEN - 1), (30, 31)),
        ScoreRequest((*stem, BROKEN), (30, 31)),
        ScoreRequest((*stem, BROKEN + 1, 30, 31, 32), (33,)),
        ScoreRequest((*stem, BROKEN + 1, 30, BROKEN, 32), (33,)),
        ScoreRequest(stem, (BROKEN,)),  # it is predicted, not read
        ScoreRequest(stem, (BROKEN, 30)),
        ScoreRequest((7, 8), (9,)),
    ]
    expected = PlainEngine().score(model, requests)
    model.base.module.get_input_embeddings().weight.data[BROKEN] = math.nan
    for request, before, score in zip(requests, expected, engine(tokens).score(model, requests), strict=True):
        reads_it = BROKEN in request.context + request.continuation[:-1]
        assert score.finite == (not reads_it)
        if reads_it:
            assert score.logprob == -math.inf
        else:
            assert score.token_logprobs == pytest.approx(before.token_logprobs, abs=1e-4)


def test_masked_keys_that_are_not_finite_affect_their_neighbors() -> None:
    """A precondition of the previous test: siblings do share a masked piece."""
    trie = Trie.of([(*STEM[:5], BROKEN - 1, 30), (*STEM[:5], BROKEN, 30), (*STEM[:5], BROKEN + 1, 30)])
    (pack,) = pack_trie(trie, 64)
    assert [span.kind for span in pack.own] == ["tree"]
    model = EditedModel(tiny_language_model("llama", tie_word_embeddings=False))
    model.base.module.get_input_embeddings().weight.data[BROKEN] = math.nan
    requests = [ScoreRequest((*STEM[:5], BROKEN + turn, 30), (31,)) for turn in (-1, 0, 1)]
    again = engine(64)
    assert [score.finite for score in again.score(model, requests)] == [True, False, True]
    assert again.counters.unique_tokens > len(trie)  # the contaminated requests were scored once more


# Precision


@pytest.mark.parametrize("family", FAMILIES)
def test_bfloat16_models_are_scored(family: str) -> None:
    """They are about as close to the model's float32 scores as plain batches in bfloat16 are."""
    model = EditedModel(tiny_language_model(family))
    exact = [score.logprob for score in PlainEngine().score(model, REQUESTS)]
    model.base.module.to(torch.bfloat16)
    assert model.base.dtype == torch.bfloat16
    plain, packed = PlainEngine().score(model, REQUESTS), engine(16).score(model, REQUESTS)
    assert all(score.finite for score in packed)
    error_of_plain = max(abs(score.logprob - e) for score, e in zip(plain, exact, strict=True))
    error_of_packed = max(abs(score.logprob - e) for score, e in zip(packed, exact, strict=True))
    assert error_of_packed < 3 * error_of_plain + 1e-2
    # Log-probabilities are not rounded to bfloat16's eight bits.
    logprobs = torch.tensor([score.token_logprobs[0] for score in packed])
    assert not torch.equal(logprobs, logprobs.bfloat16().float())
