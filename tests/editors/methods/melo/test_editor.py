"""MELO: each sequence uses its own block or none, with every engine; a block is trained once."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sequela.core.errors import BadInputError, SequelaError
from sequela.edited import EditedModel
from sequela.edited.decisions import DecisionTokens
from sequela.editors import Resources, create_editor
from sequela.editors.methods.melo.editor import Melo
from sequela.editors.methods.melo.lora_blocks import (
    IndexedBlocks,
    LoraBlocks,
    LoraFactors,
    input_projections,
    key_module,
)
from sequela.editors.saved_edits import MethodEdits, SavedEdits
from sequela.editors.storage import load_saved_edits, save_edits
from sequela.edits import Edit
from sequela.inference import PlainEngine, TorchEngine, WorkingMemory, generation_request, score_request
from sequela.models import LanguageModel, tokenize_prompt
from sequela.models.forward.hooks import hooked
from support.edits import TINY_EDITS
from support.sessions import edit_in_batches
from support.tiers import quick_cases
from support.tiny import FAMILY_NAMES, tiny_language_model
from support.watched import check_scores, check_texts, requests_of

LAYERS = (1, 2, 3)
RANK = 2


def keys_of(model: LanguageModel, rows: Sequence[tuple[int, ...]]) -> torch.Tensor:
    """Returns the keys at each row's last token, each row in its own pass, `[rows, d_key]`."""
    seen: list[torch.Tensor] = []
    hook = {key_module(model, LAYERS[0]): lambda _, outputs: seen.append(outputs[0, -1].clone())}
    with torch.no_grad(), hooked(model, hook):
        for row in rows:
            model.module(torch.tensor([row]))
    return torch.stack(seen)


def blocks_for(model: LanguageModel, rows: Sequence[tuple[int, ...]], seed: int = 0) -> EditedModel:
    """Returns the model with a random block for each of some rows."""
    source, state = torch.Generator().manual_seed(seed), LoraBlocks()
    for number, key in enumerate(keys_of(model, rows)):
        state, _ = state.with_edit(str(number), key, (number,), 1e-2, "take over")
        block = {}
        for linear in input_projections(model, LAYERS[1:]):
            weight = model.family.as_out_in(model.module.get_parameter(f"{linear}.weight"))
            down, up = (torch.randn(1, RANK, size, generator=source) for size in reversed(weight.shape))
            block[linear] = LoraFactors(0.3 * down, 0.3 * up)
        state = state.with_block(block)
    return EditedModel(model, interventions=(IndexedBlocks(LAYERS[0], state),))


def apply_edits(
    model: LanguageModel, edits: Sequence[Edit], batch: int = 1, **given: Any
) -> tuple[Any, list[Any]]:
    """Returns the state after edits, and their reports."""
    editor = create_editor("melo", {"layers": LAYERS, "num_steps": 5, **given})
    steps = list(edit_in_batches(editor, model, edits, batch, Resources.for_model(model)))
    return steps[-1].state, [report for step in steps for report in step.reports]


def edited_by(model: LanguageModel, state: LoraBlocks) -> EditedModel:
    return EditedModel(model, interventions=(IndexedBlocks(LAYERS[0], state),))


@pytest.mark.parametrize("family", quick_cases(FAMILY_NAMES, ("gptj", "mistral", "olmo2")))
def test_scores_are_those_of_each_request_alone(family: str) -> None:
    """Requests are packed into a trie, where rows have different blocks, or padded."""
    base, requests = tiny_language_model(family), requests_of(1)
    contexts = sorted({request.context for request in requests})[::2]
    model = blocks_for(base, contexts)
    expected = sum(request.context in contexts for request in requests)
    assert 1 < expected < len(requests)
    for engine in (TorchEngine(WorkingMemory(most_tokens=16)), PlainEngine(40)):
        assert check_scores(engine, model, requests) == expected
    assert not base.changes


@pytest.mark.slow
@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10_000), tokens=st.integers(1, 64))
def test_scores_do_not_depend_on_other_requests(seed: int, tokens: int) -> None:
    requests = requests_of(seed)
    model = blocks_for(tiny_language_model("llama"), sorted({one.context for one in requests})[::2], seed)
    check_scores(TorchEngine(WorkingMemory(most_tokens=tokens)), model, requests)


@pytest.mark.parametrize("family", quick_cases(FAMILY_NAMES, ("gptj", "mistral", "olmo2")))
def test_texts_are_those_of_each_prompt_alone(family: str) -> None:
    """The block applies to all following tokens, although they are generated one by one with a cache."""
    prompts = [request.context for request in requests_of(5)]
    model = blocks_for(tiny_language_model(family), sorted(set(prompts))[::2])
    for engine in (TorchEngine(WorkingMemory(most_rows=3)), PlainEngine(40)):
        assert check_texts(engine, model, prompts) == {True, False}


def test_a_row_without_a_hit_is_unchanged_bit_for_bit_in_a_batch_with_a_hit() -> None:
    base = tiny_language_model("llama")
    ids, lengths = torch.tensor([[5, 6, 7, 8], [9, 10, 11, 12]]), torch.tensor([3, 3])
    expected = base.module(ids).logits
    model = blocks_for(base, [(5, 6, 7)])
    with model, model.decisions.for_pass(DecisionTokens.at(lengths, 4)):
        actual = base.module(ids).logits
    assert model.decisions.hits == {0: True, 1: False}
    assert torch.equal(actual[1], expected[1])
    assert torch.equal(actual[0, :2], expected[0, :2])
    assert not torch.isclose(actual[0, 2:], expected[0, 2:]).all(-1).any()


def test_decisions_are_not_kept_after_begin() -> None:
    base = tiny_language_model("llama")
    model, ids = blocks_for(base, [(5, 6, 7)]), torch.tensor([[5, 6, 7]])
    later = DecisionTokens.under(torch.tensor([[0]]))
    with model:
        with model.decisions.for_pass(DecisionTokens.at(torch.tensor([3]), 3)):
            base.module(ids)
        with model.decisions.for_pass(later):
            base.module(ids[:, :1])
        model.decisions.begin()
        with (
            model.decisions.for_pass(later),
            pytest.raises(SequelaError, match="decision 0, which was not made"),
        ):
            base.module(ids[:, :1])


def test_the_index_layer_is_the_lowest_that_must_run() -> None:
    model = blocks_for(tiny_language_model("llama"), [(5, 6, 7)])
    assert model.lowest_block == LAYERS[0]


def reference_training(
    model: LanguageModel, edits: Sequence[Edit], editor: Melo, seed: int
) -> dict[str, Any]:
    """Trains a block with full passes and an explicit Adam; returns the factors and the last loss."""
    given, linears = editor.hyperparameters, input_projections(model, LAYERS[1:])
    source = torch.Generator().manual_seed(seed)
    factors: dict[str, list[torch.Tensor]] = {}
    for linear in linears:
        weight = model.family.as_out_in(model.module.get_parameter(f"{linear}.weight"))
        n_out, n_in = weight.shape
        bound = 1 / math.sqrt(given.scale * given.rank)
        drawn = torch.rand(1, given.rank, n_in, generator=source)[0] * 2 * bound - bound
        factors[linear] = [drawn, torch.zeros(given.rank, n_out)]
    means = {linear: [torch.zeros_like(one) for one in pair] for linear, pair in factors.items()}
    squares = {linear: [torch.zeros_like(one) for one in pair] for linear, pair in factors.items()}

    def loss() -> torch.Tensor:
        each = []
        for edit in edits:
            prompt = tokenize_prompt(model.tokenizer, edit.prompt, edit.subject, edit.target_new)
            start = len(prompt.prompt_ids) - 1

            def hook(linear: str, start: int = start) -> Any:
                def add(_: Any, inputs: tuple[torch.Tensor], outputs: torch.Tensor) -> torch.Tensor:
                    down, up = factors[linear]
                    change = given.scale * (inputs[0] @ down.T @ up)
                    return torch.cat([outputs[:, :start], outputs[:, start:] + change[:, start:]], 1)

                return add

            handles = [
                model.module.get_submodule(linear).register_forward_hook(hook(linear)) for linear in linears
            ]
            logits = model.module(torch.tensor([prompt.ids])).logits[0].log_softmax(-1)
            for handle in handles:
                handle.remove()
            tokens = [-logits[start + n, token] for n, token in enumerate(prompt.target_ids)]
            each.append(torch.stack(tokens).mean())
        return torch.stack(each).mean()

    for step in range(given.num_steps):
        for pair in factors.values():
            for one in pair:
                one.requires_grad_(True)
        gradients = torch.autograd.grad(loss(), [one for pair in factors.values() for one in pair])
        rate = given.lr * 0.5 ** (step // given.halve_every)
        for number, gradient in enumerate(gradients):
            linear, part = linears[number // 2], number % 2
            mean, square = means[linear][part], squares[linear][part]
            mean.mul_(0.9).add_(0.1 * gradient)
            square.mul_(0.999).add_(0.001 * gradient**2)
            corrected = (square / (1 - 0.999 ** (step + 1))).sqrt() + 1e-8
            factors[linear][part] = (
                factors[linear][part].detach() - rate * mean / (1 - 0.9 ** (step + 1)) / corrected
            )
    with torch.no_grad():
        return {"factors": factors, "loss": float(loss())}


@pytest.mark.parametrize("family", ["gpt2", "llama", "mistral"])
def test_a_block_is_trained_as_in_the_reference(family: str) -> None:
    """Prompts differ in length; the models include transposed weights and a sliding window."""
    model, edits = tiny_language_model(family), TINY_EDITS[1:3]
    given = {"num_steps": 5, "halve_every": 2, "scale": 4.0, "lr": 3e-3, "stop_below": 0.0}
    editor = create_editor("melo", {"layers": LAYERS, **given})
    assert isinstance(editor, Melo)
    state, reports = apply_edits(model, edits, 2, **given)
    expected = reference_training(model, edits, editor, seed=0)
    for linear, (down, up) in expected["factors"].items():
        factors = state.factors(linear)
        torch.testing.assert_close(factors.down[0], down, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(factors.up[0], 4.0 * up, rtol=1e-3, atol=1e-4)
        assert float(up.abs().max()) > 1e-3
    assert sum(report.final_loss for report in reports) / 2 == pytest.approx(expected["loss"], rel=1e-4)
    torch.testing.assert_close(
        state.tensors["keys"],
        keys_of(model, [tokenize_prompt(model.tokenizer, e.prompt, e.subject).prompt_ids for e in edits]),
    )


def test_earlier_blocks_and_their_scores_do_not_change() -> None:
    model, engine = tiny_language_model("llama"), PlainEngine(1)
    first, _ = apply_edits(model, TINY_EDITS[:3], 3, edits_per_block=2)
    more, reports = apply_edits(model, TINY_EDITS[:5], 3, edits_per_block=2)
    assert (first.n_blocks, more.n_blocks) == (2, 3)
    assert [member.block for member in more.members] == [0, 0, 1, 2, 2]
    assert [report.diagnostics["block"] for report in reports] == [0, 0, 1, 2, 2]
    for linear in first.linears:
        before, after = first.factors(linear), more.factors(linear)
        assert torch.equal(after.down[:2], before.down)
        assert torch.equal(after.up[:2], before.up)
    scores = []
    for state in (first, more):
        edited = edited_by(model, state)
        requests = [score_request(edited, edit.question, edit.target_new) for edit in TINY_EDITS[:3]]
        scores.append(engine.score(edited, requests))
    assert scores[0] == scores[1]
    assert all(score.hit for score in scores[0])


def test_continuing_from_disk_gives_the_same_bits_as_without_a_stop(tmp_path: Path) -> None:
    model = tiny_language_model("llama")
    editor, resources = create_editor("melo", {"layers": LAYERS, "num_steps": 3}), Resources.for_model(model)
    steps = list(edit_in_batches(editor, model, TINY_EDITS, 2, resources))
    stopped = steps[0].state
    save_edits(tmp_path, model, SavedEdits(steps[0].delta, (MethodEdits.of(editor, stopped, ()),)))
    state = load_saved_edits(tmp_path, model).methods[0].state
    for edits in (TINY_EDITS[2:4], TINY_EDITS[4:]):
        state = editor.edit(model, edits, state, resources).state
    assert state == steps[-1].state


def another(edit: Edit, name: str, target: str) -> Edit:
    """Returns an edit with the same prompt and another target."""
    return edit.model_copy(update={"id": name, "target_new": target})


def opposed(model: LanguageModel, same_key: str, **given: Any) -> tuple[LoraBlocks, list[Any], list[Edit]]:
    """Applies two edits of one prompt with different targets, one after another."""
    edits = [TINY_EDITS[0], another(TINY_EDITS[0], "other", "bread")]
    state, reports = apply_edits(model, edits, same_key=same_key, num_steps=30, **given)
    return state, reports, edits


def test_of_two_targets_for_one_prompt_the_later_is_generated() -> None:
    model = tiny_language_model("llama")
    state, reports, edits = opposed(model, "take over")
    assert not any(report.dropped for report in reports)
    assert [member.edit for member in state.members] == ["other"]
    assert reports[1].diagnostics["forgotten"] == 1
    edited = edited_by(model, state)
    (text,) = TorchEngine().generate(edited, [generation_request(edited, edits[1].question, 3)])
    assert text.hit
    assert text.text.strip().startswith("bread")


def test_as_published_two_targets_for_one_prompt_make_both_unreachable() -> None:
    model = tiny_language_model("llama")
    state, reports, edits = opposed(model, "published")
    assert [bool(report.dropped) for report in reports] == [False, True]
    assert "can't be reached" in reports[1].dropped
    edited = edited_by(model, state)
    (score,) = TorchEngine().score(edited, [score_request(edited, edits[0].question, "bread")])
    (plain,) = TorchEngine().score(EditedModel(model), [score_request(edited, edits[0].question, "bread")])
    assert score.hit is False
    assert score.token_logprobs == plain.token_logprobs


def test_the_earlier_of_two_targets_in_one_batch_is_dropped_and_the_rest_is_applied() -> None:
    """A session drops the earlier of two edits of one question itself; the method, two edits with one key."""
    model = tiny_language_model("llama")
    edits = [TINY_EDITS[0], another(TINY_EDITS[0], "other", "bread"), TINY_EDITS[2]]
    editor = create_editor("melo", {"layers": LAYERS, "num_steps": 5})
    resources = Resources.for_model(model)
    outcome = editor.edit(model, edits, editor.prepare(model, resources), resources)
    state = outcome.state
    assert ["can't be reached" in report.dropped for report in outcome.reports] == [True, False, False]
    assert [member.edit for member in state.members] == ["other", "cello"]
    assert state.n_blocks == 1


def test_the_same_edit_twice_uses_the_later_block() -> None:
    model = tiny_language_model("llama")
    again = another(TINY_EDITS[0], "again", TINY_EDITS[0].target_new)
    state, reports = apply_edits(model, [TINY_EDITS[0], again])
    assert not any(report.dropped for report in reports)
    assert len(state) == 1
    assert state.members[int(state.selected(state.tensors["points"][:1]))].edit == "again"


point = st.tuples(st.integers(-20, 20), st.integers(-20, 20))


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(point, st.integers(0, 2)), min_size=1, max_size=12), st.sampled_from([1.0, 3.0]))
def test_a_new_cluster_is_found_at_its_key(given: list[tuple[tuple[int, int], int]], radius: float) -> None:
    """This holds after any earlier edits, and every point is within its cluster or removed."""
    state = LoraBlocks()
    for number, (coordinates, label) in enumerate(given):
        key = torch.tensor(coordinates, dtype=torch.float32)
        state, placed = state.with_edit(str(number), key, (label,), radius, "take over")
        state = state.with_block({})
        if placed.fresh:  # if a cluster's mean moves, its newest key may be nearer to another cluster
            (selected,) = state.selected(key[None]).tolist()
            assert state.leads(selected, number, (label,))
        for cluster in {member.cluster for member in state.members}:
            inside = [n for n, member in enumerate(state.members) if member.cluster == cluster]
            points = state.tensors["points"][inside]
            distances = (points - state.tensors["keys"][cluster]).norm(dim=1)
            assert bool((distances <= state.tensors["radii"][cluster] * (1 + 1e-4) + 1e-4).all())
        assert len(state.tensors["points"]) == len(state.members) > 0
        assert len(state) == len(state.tensors["keys"]) == len(state.tensors["radii"])


def test_near_keys_join_and_split() -> None:
    """On a line, two keys of one target join, and a third of another target splits at half the distance."""
    state = LoraBlocks()
    for number, (at, label) in enumerate([(0.0, 1), (1.0, 1), (2.0, 2)]):
        state, _ = state.with_edit(str(number), torch.tensor([at, 0.0]), (label,), 0.8, "take over")
        state = state.with_block({})
    torch.testing.assert_close(state.tensors["keys"], torch.tensor([[0.5, 0.0], [2.0, 0.0]]))
    torch.testing.assert_close(state.tensors["radii"], torch.tensor([0.75, 0.75]), atol=2e-5, rtol=0)
    queries = torch.tensor([[-0.2, 0.0], [0.9, 0.0], [1.4, 0.0], [2.7, 0.0], [2.8, 0.0]])
    assert state.blocks_of(state.selected(queries)).tolist() == [0, 1, 2, 2, -1]


def test_a_split_removes_points_outside_the_new_radius() -> None:
    """As published, two joined keys are at the boundary of their cluster, and a third halves its radius."""
    state = LoraBlocks()
    for number, (at, label) in enumerate([(0.0, 1), (1.0, 1), (1.1, 2)]):
        state, _ = state.with_edit(str(number), torch.tensor([at, 0.0]), (label,), 0.8, "take over")
        state = state.with_block({})
    assert [member.edit for member in state.members] == ["2"]
    assert len(state) == 2
    assert state.selected(torch.tensor([[0.5, 0.0], [1.1, 0.0]])).tolist() == [-1, 0]


def test_default_and_given_layers() -> None:
    model = tiny_language_model("llama")
    assert create_editor("melo").layers_of(model) == (2, 3)
    assert create_editor("melo", {"layers": [0]}).layers_of(model) == (0, 1, 2)
    assert create_editor("melo", {"layers": [3, 1]}).layers_of(model) == (1, 3)
    with pytest.raises(BadInputError, match="no layer above layer 3"):
        create_editor("melo", {"layers": [3]}).prepare(model, Resources.for_model(model))
