"""WISE: the masks of shards, the separation of edits from other text, and the merging of full shards."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sequela.core.errors import BadInputError
from sequela.edited import EditedModel
from sequela.edited.decisions import NO_MATCH
from sequela.editors import Resources, create_editor
from sequela.editors.base import AnyEditor
from sequela.editors.methods.wise.editor import (
    EARLIER,
    EditedText,
    Unrelated,
    WiseHyperparameters,
    margin_loss,
    shard_mask,
    train,
)
from sequela.editors.methods.wise.side_memory import SideMemories, activations, answering
from sequela.editors.methods.wise.ties_merging import merged
from sequela.editors.saved_edits import MethodEdits, SavedEdits
from sequela.editors.session import BatchResult
from sequela.editors.storage import load_saved_edits, save_edits
from sequela.edits import Edit, Probe
from sequela.inference import TorchEngine, generation_request, score_request
from sequela.models import LanguageModel, tokenize_prompt
from support.edits import CONTEXTS, TINY_EDITS
from support.sessions import edit_in_batches
from support.statistics import tiny_statistics
from support.tiny import KEY_WIDTH, WIDTH, tiny_language_model
from support.world import World

LAYER = 2


def wise(**settings: Any) -> AnyEditor:
    return create_editor("wise", {"layers": [LAYER], "num_steps": 4, "shard_size": 2, **settings})


def apply_edits(
    editor: AnyEditor, model: LanguageModel, edits: Sequence[Edit], folder: Path, seed: int = 0
) -> list[BatchResult]:
    resources = Resources(tiny_statistics(model, folder), contexts=CONTEXTS, seed=seed)
    return list(edit_in_batches(editor, model, edits, 1, resources))


def memories_of(step: BatchResult) -> SideMemories:
    assert isinstance(step.state, SideMemories)
    return step.state


@given(
    st.lists(st.floats(0, 3), min_size=1, max_size=4),
    st.lists(st.floats(0, 3), min_size=1, max_size=5),
    *(st.floats(0, 2) for _ in range(3)),
)
def test_the_margin_loss_is_the_mean_of_what_exceeds_each_bound(
    on_edit: list[float], elsewhere: list[float], alpha: float, beta: float, gamma: float
) -> None:
    def mean_positive(values: list[float]) -> float:
        positive = [value for value in values if value > 0]
        return sum(positive) / len(positive) if positive else 0.0

    expected = mean_positive([out - alpha for out in elsewhere])
    expected += mean_positive([beta - own for own in on_edit])
    expected += mean_positive([out - own + gamma for out in elsewhere for own in on_edit])
    double = (torch.tensor(values, dtype=torch.float64) for values in (on_edit, elsewhere))
    assert float(margin_loss(*double, alpha, beta, gamma)) == pytest.approx(expected, abs=1e-9)


@given(st.integers(1, 4), st.integers(1, 5), st.integers(0, 10_000))
def test_of_the_memories_that_reach_their_threshold_the_greatest_is_used(
    n: int, keys: int, seed: int
) -> None:
    generator = torch.Generator().manual_seed(seed)
    values = torch.rand(n, keys, generator=generator)
    thresholds = torch.rand(n, generator=generator)
    for key, index in enumerate(answering(values, thresholds).tolist()):
        reached = [i for i in range(n) if values[i, key] >= thresholds[i]]
        assert index == max(reached, key=lambda i: float(values[i, key]), default=NO_MATCH)


def test_no_memory_is_used_for_an_activation_that_is_not_finite() -> None:
    assert answering(torch.tensor([[float("nan")]]), torch.tensor([0.5])).tolist() == [NO_MATCH]


def test_an_activation_is_the_distance_of_the_copy_s_output_from_the_projection_s() -> None:
    generator = torch.Generator().manual_seed(0)
    weight, change = (torch.randn(WIDTH, KEY_WIDTH, generator=generator) for _ in range(2))
    keys = torch.randn(3, KEY_WIDTH, generator=generator)
    expected = ((weight + change) @ keys.T - weight @ keys.T).norm(dim=0)
    torch.testing.assert_close(activations([change], keys)[0], expected)


def test_a_shard_changes_only_entries_in_its_own_mask(tmp_path: Path) -> None:
    *_, last = apply_edits(
        wise(shards_per_merge=9, mask_ratio=0.3), tiny_language_model("llama"), TINY_EDITS, tmp_path, 7
    )
    state = memories_of(last)
    assert [memory.edits for memory in state.memories] == [
        ("boss", "keeper"),
        ("cello", "founder"),
        ("capital",),
    ]
    assert [memory.shards for memory in state.memories] == [(0,), (1,), (2,)]
    masks = [shard_mask(torch.Size((WIDTH, KEY_WIDTH)), 0.3, 7 + shard) for shard in range(3)]
    for change, mask in zip(state.changes, masks, strict=True):
        assert not bool(change[~mask].any())
        assert float((change[mask] != 0).float().mean()) > 0.5
        assert float(mask.float().mean()) == pytest.approx(0.3, abs=0.05)
    assert not torch.equal(masks[0], masks[1])


def test_a_full_shard_does_not_change(tmp_path: Path) -> None:
    steps = apply_edits(wise(shards_per_merge=9), tiny_language_model("llama"), TINY_EDITS[:4], tmp_path)
    second, last = memories_of(steps[1]), memories_of(steps[3])
    assert torch.equal(second.changes[0], last.changes[0])
    assert second.memories[0] == last.memories[0]
    assert not torch.equal(memories_of(steps[0]).changes[0], second.changes[0])


def test_no_entry_changes_by_more_than_its_bound(tmp_path: Path) -> None:
    *_, last = apply_edits(wise(norm_constraint=1e-3), tiny_language_model("gpt2"), TINY_EDITS[:1], tmp_path)
    assert float(memories_of(last).changes[0].abs().max()) == pytest.approx(1e-3)


def five(variant: str, folder: Path) -> list[SideMemories]:
    editor = wise(shard_size=1, variant=variant, mask_ratio=0.5, density=0.4)
    return [
        memories_of(step) for step in apply_edits(editor, tiny_language_model("llama"), TINY_EDITS, folder)
    ]


def test_with_retrieve_merged_memories_are_kept_separately(tmp_path: Path) -> None:
    states = five("retrieve", tmp_path)
    assert [[m.shards for m in state.memories] for state in states] == [
        [(0,)],
        [(0, 1)],
        [(0, 1), (2,)],
        [(0, 1), (2, 3)],
        [(0, 1), (2, 3), (4,)],
    ]
    assert states[-1].memories[0] == states[1].memories[0]
    assert torch.equal(states[-1].changes[0], states[1].changes[0])
    assert states[-1].memories[1].edits == ("cello", "founder")


def test_with_merge_all_shards_are_merged_into_one(tmp_path: Path) -> None:
    states = five("merge", tmp_path)
    assert [[m.shards for m in state.memories] for state in states] == [
        [(0,)],
        [(0, 1)],
        [(0, 1), (2,)],
        [(0, 1, 2, 3)],
        [(0, 1, 2, 3), (4,)],
    ]
    whole = states[3].memories[0]
    assert whole.edits == tuple(edit.id for edit in TINY_EDITS[:4])
    assert len(states[3].tensors) == 1
    assert whole.least_activation <= states[1].memories[0].least_activation


def test_the_merged_copy_is_ties_of_the_shards(tmp_path: Path) -> None:
    """The shards are those of a run without merging, because an edit doesn't depend on its shard."""
    model, settings = tiny_language_model("llama"), {"shard_size": 1, "mask_ratio": 0.5, "density": 0.4}
    *_, unmerged = apply_edits(wise(**settings, shards_per_merge=9), model, TINY_EDITS[:4], tmp_path)
    *_, whole = apply_edits(wise(**settings, variant="merge"), model, TINY_EDITS[:4], tmp_path)
    one, two, three, four = memories_of(unmerged).changes
    first = merged([one, two], [1, 1], 0.4)
    half = (1 - EARLIER) / 2
    expected = merged([first, three, four], [EARLIER, half, half], 0.4)
    assert torch.equal(memories_of(whole).changes[0], expected)
    least = min(memory.least_activation for memory in memories_of(unmerged).memories)
    assert memories_of(whole).memories[0].least_activation == least


@pytest.mark.parametrize("margins", ["relative", "absolute"])
def test_a_step_goes_down_the_gradient_given_by_finite_differences(margins: str) -> None:
    """The step starts from a changed copy and is compared along random directions."""
    model = tiny_language_model("llama")
    text = EditedText(model, TINY_EDITS[0], CONTEXTS, LAYER)
    unrelated = Unrelated.read(model, CONTEXTS, None, LAYER)
    settings = WiseHyperparameters(num_steps=1, lr=0.01, margins=margins, norm_constraint=None)
    start = 0.05 * torch.randn(WIDTH, KEY_WIDTH, generator=torch.Generator().manual_seed(0))
    everywhere = torch.ones_like(start, dtype=torch.bool)
    trained = train(text, unrelated, start, everywhere, settings)
    unit = unrelated.output_norm if margins == "relative" else 1.0
    lr = 0.01 * (unit / unrelated.key_norm) ** 2 / 0.2 if margins == "relative" else 0.01

    def loss(change: torch.Tensor) -> float:
        own = activations([change], text.keys)[0].double() / unit
        other = activations([change], unrelated.keys)[0].double() / unit
        margin = margin_loss(own, other, settings.alpha, settings.beta, settings.gamma)
        return float(text.losses(change).double().mean() + margin)

    generator, eps = torch.Generator().manual_seed(1), 1e-3
    for _ in range(4):
        direction = torch.randn(start.shape, generator=generator)
        slope = (loss(start + eps * direction) - loss(start - eps * direction)) / (2 * eps)
        taken = float(((start - trained.change) * direction).sum()) / lr
        assert taken == pytest.approx(slope, rel=0.05, abs=0.02)


def test_the_text_s_loss_is_that_with_the_copy_from_the_last_token_on(
    any_family: LanguageModel,
) -> None:
    """The reference is a full pass with a hook for each context."""
    model, edit = any_family, TINY_EDITS[1]
    change = 0.1 * torch.randn(WIDTH, KEY_WIDTH, generator=torch.Generator().manual_seed(3))
    text = EditedText(model, edit, CONTEXTS, LAYER)
    expected, keys = [], []
    for context in CONTEXTS:
        prompt = tokenize_prompt(model.tokenizer, edit.prompt, edit.subject, edit.target_new, context)
        start = len(prompt.prompt_ids) - 1

        def copy(_: object, inputs: Any, outputs: torch.Tensor, start: int = start) -> torch.Tensor:
            keys.append(inputs[0][0, start])
            return torch.cat([outputs[:, :start], outputs[:, start:] + inputs[0][:, start:] @ change.T], 1)

        hook = model.family.mlp_out_module(model.module, LAYER).register_forward_hook(copy)
        with torch.no_grad():
            logits = model.module(torch.tensor([prompt.ids])).logits[0, start:-1]
        hook.remove()
        expected.append(torch.nn.functional.cross_entropy(logits.float(), torch.tensor(prompt.target_ids)))
    torch.testing.assert_close(text.losses(change), torch.stack(expected), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(text.keys, torch.stack(keys), rtol=1e-4, atol=1e-5)


def test_unrelated_text_is_every_token_of_the_contexts_and_the_end_of_each_neighbor(
    any_family: LanguageModel,
) -> None:
    model = any_family
    neighbors = ("The keeper of the lighthouse lives in", "The boss of")
    edit = TINY_EDITS[0].model_copy(update={"neighborhood": tuple(Probe(prompt=p) for p in neighbors)})
    keys, outputs = [], []

    def output_hook(_: object, inputs: Any, layer_outputs: torch.Tensor) -> None:
        keys.append(inputs[0][0])
        outputs.append(layer_outputs[0])

    with torch.no_grad():
        hook = model.family.mlp_out_module(model.module, LAYER).register_forward_hook(output_hook)
        for text in ("Because of this, people agreed.", "The sea was calm.", *neighbors):
            model.module(torch.tensor([tokenize_prompt(model.tokenizer, text).ids]))
        hook.remove()
    own = Unrelated.read(model, CONTEXTS, None, LAYER)
    torch.testing.assert_close(own.keys, torch.cat(keys[:2]), rtol=1e-4, atol=1e-5)
    assert own.key_norm == pytest.approx(float(torch.cat(keys[:2]).norm(dim=-1).median()), rel=1e-4)
    assert own.output_norm == pytest.approx(float(torch.cat(outputs[:2]).norm(dim=-1).median()), rel=1e-4)
    both = Unrelated.read(model, CONTEXTS, edit, LAYER)
    expected = torch.cat([*keys[:2], *(key[-1:] for key in keys[2:])])
    torch.testing.assert_close(both.keys, expected, rtol=1e-4, atol=1e-5)
    assert (both.key_norm, both.output_norm) == pytest.approx((own.key_norm, own.output_norm), rel=1e-4)


def test_relative_margins_do_not_depend_on_the_model_s_scale(tmp_path: Path) -> None:
    """A projection with ten times greater inputs and the same outputs is trained to the same results."""
    results = []
    for factor in (1.0, 10.0):
        model = tiny_language_model("llama")
        mlp = model.module.model.layers[LAYER].mlp
        with torch.no_grad():
            mlp.up_proj.weight *= factor
            mlp.down_proj.weight /= factor
        model = LanguageModel.wrap(model.module, model.tokenizer, f"times {factor}")
        *_, last = apply_edits(wise(norm_constraint=None), model, TINY_EDITS[:1], tmp_path)
        results.append((last.reports[0].final_loss, memories_of(last).memories[0].least_activation))
    assert results[0] == pytest.approx(results[1], rel=1e-3)


def test_continuing_from_disk_gives_the_same_bits(tmp_path: Path) -> None:
    model, editor = tiny_language_model("llama"), wise(shard_size=1)
    resources = Resources(tiny_statistics(model, tmp_path), contexts=CONTEXTS)
    steps = list(edit_in_batches(editor, model, TINY_EDITS, 1, resources))
    for number in range(len(steps) - 1):
        before = steps[number].state
        save_edits(tmp_path, model, SavedEdits(steps[number].delta, (MethodEdits.of(editor, before, ()),)))
        state = load_saved_edits(tmp_path, model).methods[0].state
        assert state == before
        again = editor.edit(model, [TINY_EDITS[number + 1]], state, resources)
        assert again.state == steps[number + 1].state
        assert again.reports == steps[number + 1].reports


def test_contexts_without_any_text_are_rejected(tmp_path: Path) -> None:
    model = tiny_language_model("llama")
    with pytest.raises(BadInputError, match="needs a context in addition to the bare prompt"):
        wise().prepare(model, Resources(tiny_statistics(model, tmp_path), contexts=("{}",)))


def test_a_dropped_edit_leaves_the_memories_unchanged(tmp_path: Path) -> None:
    model = tiny_language_model("llama", tie_word_embeddings=False)
    good, bad = TINY_EDITS[2], TINY_EDITS[4]
    resources = Resources(tiny_statistics(model, tmp_path), contexts=CONTEXTS)
    editor = wise(shard_size=1)
    state = editor.edit(model, [good], editor.prepare(model, resources), resources).state
    token = model.tokenizer(bad.subject)["input_ids"][-1]
    model.module.get_input_embeddings().weight.data[token] = float("nan")
    outcome = editor.edit(model, [bad], state, resources)
    assert [report.dropped for report in outcome.reports] == ["the loss is not finite"]
    assert outcome.state == state


def test_edits_succeed_and_requests_without_a_hit_are_unchanged_bit_for_bit(
    world: World, world_model: LanguageModel, tmp_path: Path
) -> None:
    """There are three edits, two of them in merged shards; the other requests are about all other persons."""
    edits = list(world.edits(3, -1))
    editor = create_editor("wise", {"shard_size": 1})
    resources = Resources(tiny_statistics(world_model, tmp_path))
    *_, last = edit_in_batches(editor, world_model, edits, 1, resources)
    assert [len(memory.edits) for memory in memories_of(last).memories] == [2, 1]
    edited, engine = editor.edited(world_model, last.delta, last.state), TorchEngine()

    texts = engine.generate(edited, [generation_request(edited, edit.question, 6) for edit in edits])
    for edit, text in zip(edits, texts, strict=True):
        assert text.hit
        assert world_model.tokenizer.decode(text.ids).strip().startswith(edit.target_new)

    subjects = {edit.subject for edit in edits}
    others = [fact for fact in world.facts if fact.person not in subjects]
    for number in range(len(others[0].relation.phrasings)):
        requests = [
            score_request(edited, f.relation.phrasings[number].replace("{}", f.person), f.answer)
            for f in others
        ]
        after, before = engine.score(edited, requests), engine.score(EditedModel(world_model), requests)
        assert sum(bool(score.hit) for score in after) < 0.2 * len(others)
        for one, unedited in zip(after, before, strict=True):
            assert (one.token_logprobs == unedited.token_logprobs) != one.hit
