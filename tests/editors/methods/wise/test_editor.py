"""WISE: what a shard may change, how an edit is told from other text, and what becomes of full shards."""

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


def made(
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

    wanted = mean_positive([out - alpha for out in elsewhere])
    wanted += mean_positive([beta - own for own in on_edit])
    wanted += mean_positive([out - own + gamma for out in elsewhere for own in on_edit])
    double = (torch.tensor(values, dtype=torch.float64) for values in (on_edit, elsewhere))
    assert float(margin_loss(*double, alpha, beta, gamma)) == pytest.approx(wanted, abs=1e-9)


@given(st.integers(1, 4), st.integers(1, 5), st.integers(0, 10_000))
def test_the_greatest_of_those_that_reach_their_threshold_answers(n: int, keys: int, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    found = torch.rand(n, keys, generator=generator)
    thresholds = torch.rand(n, generator=generator)
    for key, place in enumerate(answering(found, thresholds).tolist()):
        reached = [i for i in range(n) if found[i, key] >= thresholds[i]]
        assert place == max(reached, key=lambda i: float(found[i, key]), default=NO_MATCH)


def test_what_is_no_number_is_answered_by_nobody() -> None:
    assert answering(torch.tensor([[float("nan")]]), torch.tensor([0.5])).tolist() == [NO_MATCH]


def test_an_activation_is_how_far_the_copy_s_answer_is_from_the_projection_s() -> None:
    generator = torch.Generator().manual_seed(0)
    weight, change = (torch.randn(WIDTH, KEY_WIDTH, generator=generator) for _ in range(2))
    keys = torch.randn(3, KEY_WIDTH, generator=generator)
    wanted = ((weight + change) @ keys.T - weight @ keys.T).norm(dim=0)
    torch.testing.assert_close(activations([change], keys)[0], wanted)


def test_a_shard_changes_entries_within_its_own_mask_only(tmp_path: Path) -> None:
    *_, last = made(
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


def test_a_full_shard_is_left_alone(tmp_path: Path) -> None:
    steps = made(wise(shards_per_merge=9), tiny_language_model("llama"), TINY_EDITS[:4], tmp_path)
    second, last = memories_of(steps[1]), memories_of(steps[3])
    assert torch.equal(second.changes[0], last.changes[0])
    assert second.memories[0] == last.memories[0]
    assert not torch.equal(memories_of(steps[0]).changes[0], second.changes[0])


def test_no_entry_changes_by_more_than_its_bound(tmp_path: Path) -> None:
    *_, last = made(wise(norm_constraint=1e-3), tiny_language_model("gpt2"), TINY_EDITS[:1], tmp_path)
    assert float(memories_of(last).changes[0].abs().max()) == pytest.approx(1e-3)


def five(variant: str, folder: Path) -> list[SideMemories]:
    editor = wise(shard_size=1, variant=variant, mask_ratio=0.5, density=0.4)
    return [memories_of(step) for step in made(editor, tiny_language_model("llama"), TINY_EDITS, folder)]


def test_full_shards_are_merged_and_what_is_merged_stays_one_of_several(tmp_path: Path) -> None:
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


def test_or_all_end_up_in_one(tmp_path: Path) -> None:
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
    """Each shard as it is when nothing is merged; which shard an edit comes in changes nothing of its own."""
    model, settings = tiny_language_model("llama"), {"shard_size": 1, "mask_ratio": 0.5, "density": 0.4}
    *_, apart = made(wise(**settings, shards_per_merge=9), model, TINY_EDITS[:4], tmp_path)
    *_, whole = made(wise(**settings, variant="merge"), model, TINY_EDITS[:4], tmp_path)
    one, two, three, four = memories_of(apart).changes
    first = merged([one, two], [1, 1], 0.4)
    half = (1 - EARLIER) / 2
    wanted = merged([first, three, four], [EARLIER, half, half], 0.4)
    assert torch.equal(memories_of(whole).changes[0], wanted)
    least = min(memory.least_activation for memory in memories_of(apart).memories)
    assert memories_of(whole).memories[0].least_activation == least


@pytest.mark.parametrize("margins", ["relative", "absolute"])
def test_a_step_goes_down_the_gradient_that_finite_differences_tell(margins: str) -> None:
    """One step from a copy that has changed already, along directions drawn at random."""
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


def test_the_text_s_loss_is_that_of_the_copy_answering_from_the_last_token_on(
    any_family: LanguageModel,
) -> None:
    """Against a whole pass with a hook, for each context by itself."""
    model, edit = any_family, TINY_EDITS[1]
    change = 0.1 * torch.randn(WIDTH, KEY_WIDTH, generator=torch.Generator().manual_seed(3))
    text = EditedText(model, edit, CONTEXTS, LAYER)
    wanted, keys = [], []
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
        wanted.append(torch.nn.functional.cross_entropy(logits.float(), torch.tensor(prompt.target_ids)))
    torch.testing.assert_close(text.losses(change), torch.stack(wanted), rtol=1e-4, atol=1e-5)
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
    wanted = torch.cat([*keys[:2], *(key[-1:] for key in keys[2:])])
    torch.testing.assert_close(both.keys, wanted, rtol=1e-4, atol=1e-5)
    assert (both.key_norm, both.output_norm) == pytest.approx((own.key_norm, own.output_norm), rel=1e-4)


def test_the_model_s_scale_makes_no_difference_to_relative_margins(tmp_path: Path) -> None:
    """A projection that is fed ten times more and says the same is trained to the same answers."""
    found = []
    for factor in (1.0, 10.0):
        model = tiny_language_model("llama")
        mlp = model.module.model.layers[LAYER].mlp
        with torch.no_grad():
            mlp.up_proj.weight *= factor
            mlp.down_proj.weight /= factor
        model = LanguageModel.wrap(model.module, model.tokenizer, f"times {factor}")
        *_, last = made(wise(norm_constraint=None), model, TINY_EDITS[:1], tmp_path)
        found.append((last.reports[0].final_loss, memories_of(last).memories[0].least_activation))
    assert found[0] == pytest.approx(found[1], rel=1e-3)


def test_going_on_from_disk_gives_the_very_bits(tmp_path: Path) -> None:
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


def test_without_any_text_but_the_prompt_s_it_is_refused(tmp_path: Path) -> None:
    model = tiny_language_model("llama")
    with pytest.raises(BadInputError, match="needs a context beside the bare prompt"):
        wise().prepare(model, Resources(tiny_statistics(model, tmp_path), contexts=("{}",)))


def test_an_edit_that_can_not_be_made_leaves_the_memories_as_they_were(tmp_path: Path) -> None:
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


def test_edits_take_and_what_is_not_hit_has_the_unedited_model_s_bits(
    world: World, world_model: LanguageModel, tmp_path: Path
) -> None:
    """Three facts, two of them in shards that are merged, and every other person asked everything."""
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
        asked = [
            score_request(edited, f.relation.phrasings[number].replace("{}", f.person), f.answer)
            for f in others
        ]
        after, before = engine.score(edited, asked), engine.score(EditedModel(world_model), asked)
        assert sum(bool(score.hit) for score in after) < 0.2 * len(others)
        for one, unedited in zip(after, before, strict=True):
            assert (one.token_logprobs == unedited.token_logprobs) != one.hit
