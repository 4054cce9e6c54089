"""The depth cache changes no bit of a score, and only blocks whose output can differ are run."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from sequela.core.errors import SequelaError
from sequela.core.progress import SilentProgress
from sequela.edited import Delta, Dense, EditedModel, LowRank
from sequela.inference import DepthCache, Score, ScoreRequest, TorchEngine, WorkingMemory
from sequela.models import LanguageModel, load_model
from support.tiny import LAYERS, WIDTH, tiny_language_model

STEM = tuple(range(40, 52))
REQUESTS = tuple(
    ScoreRequest((*STEM, 60 + question, 70, 71), (80 + choice, 90))
    for question in range(4)
    for choice in range(3)
)
UNIQUE = len(STEM) + 4 * (3 + 3)
EDITED = 2
FAMILIES = ["gpt2", "gpt_neox", "llama", "mistral", "qwen2", "qwen3", "gemma2", "gemma3", "phi3", "olmo2"]

CACHES: dict[str, Callable[[], DepthCache]] = {
    "memory": DepthCache,
    "files": lambda: DepthCache(memory=0),
}


def delta_at(model: LanguageModel, layer: int, seed: int = 0) -> Delta:
    """Returns a low-rank change of a layer's MLP output projection."""
    source = torch.Generator().manual_seed(seed)
    shape = model.family.as_out_in(model.mlp_out_weight(layer)).shape
    update = LowRank(
        torch.randn(shape[0], 2, generator=source), 0.1 * torch.randn(2, shape[1], generator=source)
    )
    return Delta(model.fingerprint, {model.family.mlp_out_name(layer): update})


def engine(cache: DepthCache | None, tokens: int = 10) -> TorchEngine:
    return TorchEngine(WorkingMemory(most_tokens=tokens), cache)


def blocks_run(of: TorchEngine, model: EditedModel) -> float:
    """Returns the number of blocks run per token; checks the scores against a run without cache."""
    before = of.counters.computed_blocks
    found = of.score(model, REQUESTS)
    assert found == engine(None, of.memory.most_tokens).score(model, REQUESTS)
    return (of.counters.computed_blocks - before) / UNIQUE


# Bits and blocks


@pytest.mark.parametrize("place", CACHES)
@pytest.mark.parametrize("family", FAMILIES)
def test_checkpoints_start_at_the_edited_block_with_bit_for_bit_the_same_scores(
    family: str, place: str
) -> None:
    model = tiny_language_model(family)
    cached = engine(CACHES[place]())
    run, answers = [], list[list[Score]]()
    for checkpoint in range(3):
        edited = EditedModel(model, delta_at(model, EDITED, seed=checkpoint))
        run.append(blocks_run(cached, edited))
        answers.append(cached.score(edited, REQUESTS))
    assert run == [LAYERS, LAYERS - EDITED, LAYERS - EDITED]
    assert answers[0] != answers[1] != answers[2]
    assert cached.depth_cache is not None
    size = UNIQUE * WIDTH * 4
    assert cached.depth_cache.used(in_memory=place == "memory") == size
    assert cached.depth_cache.used(in_memory=place != "memory") == 0


@pytest.mark.slow
@pytest.mark.parametrize("place", CACHES)
def test_a_real_model_s_checkpoints_are_scored_bit_for_bit_the_same(place: str) -> None:
    try:
        model = load_model("smollm2-135m-instruct")
    except SequelaError as error:
        pytest.skip(f"the model can't be had: {error}")
    text = "Question: Which of these is a river? Lisbon, Danube, Paris, Basque.\nAnswer:"
    stem = tuple(model.tokenizer(text * 4)["input_ids"])
    words = [
        tuple(model.tokenizer(f" {word}")["input_ids"]) for word in ("Lisbon", "Danube", "Paris", "Basque")
    ]
    requests = [ScoreRequest(stem + first, first + last) for first in words for last in words]
    cached, plain = engine(CACHES[place](), 64), engine(None, 64)
    for checkpoint in range(3):
        edited = EditedModel(model, delta_at(model, 20, seed=checkpoint))
        assert cached.score(edited, requests) == plain.score(edited, requests)
    assert cached.counters.computed_blocks == cached.counters.unique_tokens // 3 * (30 + 10 + 10)


def test_an_unedited_run_records_the_expected_blocks() -> None:
    model = tiny_language_model("llama")
    edited = EditedModel(model, delta_at(model, EDITED))
    without = engine(DepthCache())
    assert [blocks_run(without, EditedModel(model)), blocks_run(without, edited)] == [4, 4]
    expecting = engine(DepthCache(expected=frozenset({EDITED})))
    assert [blocks_run(expecting, EditedModel(model)), blocks_run(expecting, edited)] == [4, 2]
    cache = DepthCache()
    cache.expect([1])
    cache.expect([EDITED])
    assert cache.expected == {1, EDITED}


def test_edits_at_any_depth_start_at_the_deepest_valid_states() -> None:
    model = tiny_language_model("llama")
    cached = engine(DepthCache())
    run = {layer: blocks_run(cached, EditedModel(model, delta_at(model, layer))) for layer in (2, 1, 3)}
    assert run == {2: 4, 1: 4, 3: 2}
    again = {
        layer: blocks_run(cached, EditedModel(model, delta_at(model, layer, 1))) for layer in (3, 2, 1, 0)
    }
    assert again == {3: 1, 2: 2, 1: 3, 0: 4}
    both = delta_at(model, 3) + delta_at(model, 1)
    assert blocks_run(cached, EditedModel(model, both)) == 3


def test_an_edit_of_the_embedding_starts_at_the_beginning() -> None:
    model = tiny_language_model("llama")
    cached = engine(DepthCache(expected=frozenset({EDITED})))
    assert blocks_run(cached, EditedModel(model)) == 4
    weight = model.module.get_input_embeddings().weight
    edited = EditedModel(
        model, Delta(model.fingerprint, {"model.embed_tokens.weight": Dense(0.5 * weight.clone())})
    )
    assert [blocks_run(cached, edited), blocks_run(cached, edited)] == [4, 4]
    assert blocks_run(cached, EditedModel(model, delta_at(model, EDITED))) == 2


def test_an_edit_of_the_head_alone_runs_no_block_again() -> None:
    model = tiny_language_model("llama", tie_word_embeddings=False)
    weight = model.module.lm_head.weight
    head = EditedModel(model, Delta(model.fingerprint, {"lm_head.weight": Dense(0.5 * weight.clone())}))
    cached = engine(DepthCache(expected=frozenset({head.lowest_block})))
    unedited = EditedModel(model)
    assert [blocks_run(cached, unedited), blocks_run(cached, head), blocks_run(cached, unedited)] == [4, 0, 0]


def test_the_unedited_model_starts_at_states_of_an_edited_checkpoint() -> None:
    model = tiny_language_model("llama")
    cached = engine(DepthCache())
    assert blocks_run(cached, EditedModel(model, delta_at(model, EDITED))) == 4
    assert blocks_run(cached, EditedModel(model)) == 2


# States that must never be used


def test_another_base_dtype_packing_or_suite_is_not_found() -> None:
    model = tiny_language_model("llama")
    cache = DepthCache()
    assert blocks_run(engine(cache), EditedModel(model, delta_at(model, EDITED))) == 4
    other = tiny_language_model("llama", seed=1)
    assert blocks_run(engine(cache), EditedModel(other, delta_at(other, EDITED))) == 4
    assert blocks_run(engine(cache, 11), EditedModel(model, delta_at(model, EDITED))) == 4
    one_more = engine(cache)
    one_more.score(EditedModel(model, delta_at(model, EDITED)), [*REQUESTS, ScoreRequest((5,), (6,))])
    assert one_more.counters.computed_blocks == (UNIQUE + 1) * LAYERS
    half = tiny_language_model("llama")
    half.module.to(torch.bfloat16)
    assert half.fingerprint == model.fingerprint
    assert blocks_run(engine(cache), EditedModel(half, delta_at(half, EDITED))) == 4
    assert blocks_run(engine(cache), EditedModel(model, delta_at(model, EDITED, 1))) == 2


def test_states_changed_by_an_outer_edit_are_not_kept_as_those_of_the_base() -> None:
    model = tiny_language_model("llama")
    cached = engine(DepthCache())
    late = EditedModel(model, delta_at(model, 3))
    with EditedModel(model, delta_at(model, 0)):
        assert blocks_run(cached, late) == 4
    assert blocks_run(cached, late) == 4
    with EditedModel(model, delta_at(model, 0)):
        assert blocks_run(cached, late) == 4
    with late:  # its own edit, in force already, is allowed
        assert blocks_run(cached, late) == 1


class Interrupting(SilentProgress):
    """Raises KeyboardInterrupt after some packs."""

    def __init__(self, after: int) -> None:
        self.left = after

    def advance(self, task: int, units: int = 1) -> None:
        self.left -= 1
        if self.left == 0:
            raise KeyboardInterrupt


@pytest.mark.parametrize("place", CACHES)
def test_half_filled_states_are_dropped(place: str) -> None:
    model = tiny_language_model("llama")
    edited = EditedModel(model, delta_at(model, EDITED))
    cached = engine(CACHES[place]())
    with pytest.raises(KeyboardInterrupt):
        cached.score(edited, REQUESTS, Interrupting(after=3))
    assert cached.depth_cache is not None
    assert cached.depth_cache.used(in_memory=True) == cached.depth_cache.used(in_memory=False) == 0
    assert [blocks_run(cached, edited), blocks_run(cached, edited)] == [4, 2]
    with pytest.raises(KeyboardInterrupt):
        cached.score(edited, REQUESTS, Interrupting(after=2))
    assert blocks_run(cached, edited) == 2  # states that were only read are still complete


def test_states_that_are_not_finite_affect_no_neighbor() -> None:
    model = tiny_language_model("llama", tie_word_embeddings=False)
    edited = EditedModel(model, delta_at(model, EDITED))
    model.module.get_input_embeddings().weight.data[61] = float("nan")
    cached, plain = engine(DepthCache()), engine(None)
    expected = plain.score(edited, REQUESTS)
    assert [score.finite for score in expected] == [61 not in request.context for request in REQUESTS]
    for _ in range(2):
        found = cached.score(edited, REQUESTS)
        assert [score.finite for score in found] == [score.finite for score in expected]
        assert [score.logprob for score in found] == [score.logprob for score in expected]


# Budgets

SHAPE = (10, 8)
SIZE = 10 * 8 * 4


def opened(cache: DepthCache, key: str, complete: bool = True) -> bool:
    """Opens states of `SIZE` bytes at block 1; returns whether there was room."""
    states = cache.open(key, 1, SHAPE, torch.float32)
    if states is not None:
        states.complete = complete
    return states is not None


def kept(cache: DepthCache, *keys: str) -> list[bool]:
    """Returns whether states are kept, without using them."""
    return [not cache.to_record(key, 0, 1, [1]) for key in keys]


def test_states_that_do_not_fit_are_not_kept_and_nothing_else_changes() -> None:
    model = tiny_language_model("llama")
    cache = DepthCache(memory=UNIQUE * WIDTH * 4 - 1, disk=0)
    cached = engine(cache)
    edited = EditedModel(model, delta_at(model, EDITED))
    assert [blocks_run(cached, edited), blocks_run(cached, edited)] == [4, 4]
    assert cache.used(in_memory=True) == cache.used(in_memory=False) == 0


def test_memory_first_then_files_then_nothing() -> None:
    cache = DepthCache(memory=SIZE, disk=SIZE)
    for key in "ab":
        assert opened(cache, key)
        assert cache.find(key, 1) is not None
    assert (cache.used(in_memory=True), cache.used(in_memory=False)) == (SIZE, SIZE)
    assert not opened(cache, "c")
    assert kept(cache, "a", "b", "c") == [True, True, False]


@pytest.mark.parametrize("in_memory", [True, False])
def test_unused_states_are_dropped_to_make_room_oldest_first(in_memory: bool) -> None:
    cache = DepthCache(memory=3 * SIZE * in_memory, disk=3 * SIZE * (not in_memory))
    for key in "abc":
        assert opened(cache, key)
    assert cache.find("a", 1) is not None
    assert opened(cache, "d")
    assert kept(cache, "a", "b", "c", "d") == [True, False, True, True]
    assert cache.used(in_memory) == 3 * SIZE


def test_states_that_are_being_filled_are_not_dropped() -> None:
    cache = DepthCache(memory=SIZE, disk=0)
    assert opened(cache, "a", complete=False)
    assert not opened(cache, "b")
    assert cache.find("a", 1) is None
    assert cache.used(in_memory=True) == SIZE


def test_the_deepest_states_at_or_below_the_edit_are_found() -> None:
    cache = DepthCache()
    for block in (1, 3):
        states = cache.open("a", block, SHAPE, torch.float32)
        assert states is not None
        states.complete = True
    assert [found and found[0] for found in (cache.find("a", block) for block in range(5))] == [
        None,
        1,
        1,
        3,
        3,
    ]
    assert cache.find("b", 4) is None


def test_files_keep_what_was_written_and_are_deleted_with_the_cache() -> None:
    cache = DepthCache(memory=0)
    first, second = (cache.open(key, 1, SHAPE, torch.bfloat16) for key in "ab")
    assert first is not None
    assert second is not None
    assert first.path is not None
    assert second.path is not None
    numbers = torch.randn(SHAPE, generator=torch.Generator().manual_seed(0)).bfloat16()
    first.states[:] = numbers
    first.leave_memory()
    assert torch.equal(first.states, numbers)
    assert first.path.read_bytes() == numbers.view(torch.uint8).numpy().tobytes()
    cache.drop(first)
    assert not first.path.exists()
    assert second.path.exists()
    folder = second.path.parent
    del cache, first, second
    assert not folder.exists()
