"""Targets are met in every family, and on families with norms after the MLP its scale has no effect."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from sequela.edited import EditedModel
from sequela.editors import Resources, create_editor
from sequela.editors.base import AnyEditor, EditOutcome
from sequela.editors.session import EditSession
from sequela.editors.shared.keys import read_at_subject
from sequela.editors.shared.multi_layer import MultiLayerEditor
from sequela.models import LanguageModel, tokenize_prompt
from support.edits import TINY_EDITS
from support.statistics import tiny_statistics
from support.tiers import quick_cases
from support.tiny import FAMILY_NAMES, LAYERS, tiny_language_model, tiny_module, tiny_tokenizer

POST_NORMS = ("gemma2", "gemma3", "olmo2")
TARGET: dict[str, Any] = {"v_num_grad_steps": 5, "v_lr": 0.3, "clamp_norm_factor": 4.0, "n_contexts": 0}
EDIT = TINY_EDITS[2]


def scaled(family: str, factors: Sequence[float]) -> LanguageModel:
    """Returns a tiny model whose MLP output projections are multiplied by one factor for each layer.

    The norms' epsilon is so small that it doesn't distinguish the scales.
    """
    module = tiny_module(family, rms_norm_eps=1e-20)
    model = LanguageModel.wrap(module, tiny_tokenizer(family), f"tiny-{family}")
    for layer, factor in enumerate(factors):
        model.mlp_out_weight(layer).data.mul_(factor)
    return LanguageModel.wrap(module, model.tokenizer, model.name)  # the fingerprint of the scaled model


def edited_once(
    editor: AnyEditor, model: LanguageModel, folder: Path
) -> tuple[EditOutcome[Any], Resources, Any]:
    resources = Resources(tiny_statistics(model, folder), contexts=("{}",))
    state = editor.prepare(model, resources)
    return editor.edit(model, [EDIT], state, resources), resources, state


@pytest.mark.parametrize("family", FAMILY_NAMES)
def test_families_state_whether_norms_follow_the_mlp(family: str) -> None:
    plain = tiny_language_model(family)
    ids = torch.tensor([plain.tokenizer("The boss of Apple")["input_ids"]])
    with torch.no_grad():
        before = plain.module(ids).logits
        for layer in range(LAYERS):
            plain.mlp_out_weight(layer).mul_(3.0)
        same = torch.allclose(plain.module(ids).logits, before, atol=1e-3)
    assert same == plain.family.post_norms == (family in POST_NORMS)


@pytest.mark.parametrize("layers", [[1], [0, 1, 2]], ids=["one layer", "three layers"])
@pytest.mark.parametrize("family", ["llama", "gpt2", *POST_NORMS])
def test_emmet_without_ridge_meets_the_target(family: str, layers: list[int], tmp_path: Path) -> None:
    model = tiny_language_model(family)
    editor = create_editor("emmet", {**TARGET, "layers": layers, "emmet_lambda": 0})
    assert isinstance(editor, MultiLayerEditor)
    outcome, resources, state = edited_once(editor, model, tmp_path)
    (target,) = editor.find_targets(model, [EDIT], state, resources)
    site, prompt = editor.target_site(model), tokenize_prompt(model.tokenizer, EDIT.prompt, EDIT.subject)
    with EditedModel(model, outcome.delta):
        reached = read_at_subject(model, [prompt], [site])[site][0]
    assert float(target.delta.norm()) > 0.1 * float(target.initial.norm())
    assert float((target.value - reached).norm()) < 1e-3 * float(target.delta.norm())


METHODS: dict[str, dict[str, Any]] = {
    "rome": {"layers": [1]},
    "memit": {"layers": [0, 1, 2]},
    "pmet": {"layers": [0, 1, 2]},
    "emmet": {"layers": [1, 2], "emmet_lambda": 0.1},
    "alphaedit": {"layers": [1, 2], "nullspace_threshold": 10.0},
}


@pytest.mark.parametrize(
    "factors",
    quick_cases([[0.02] * LAYERS, [50.0] * LAYERS, [0.02, 50.0, 3.0, 1.0]], [[0.02, 50.0, 3.0, 1.0]]),
)
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("family", POST_NORMS)
def test_a_scale_that_a_norm_removes_has_no_effect(
    family: str, method: str, factors: list[float], tmp_path: Path
) -> None:
    editor = create_editor(method, {**TARGET, **METHODS[method]})
    plain, other = scaled(family, [1.0] * LAYERS), scaled(family, factors)
    expected, found = (edited_once(editor, model, tmp_path)[0] for model in (plain, other))
    for layer in METHODS[method]["layers"]:
        name = plain.family.mlp_out_name(layer)
        own, others = (outcome.delta.updates[name].to_dense() for outcome in (expected, found))
        assert float((others / factors[layer] - own).norm()) < 2e-3 * float(own.norm())
    (before,), (after,) = expected.reports, found.reports
    assert after.final_loss == pytest.approx(before.final_loss, rel=1e-3)
    assert after.relative_norm == pytest.approx(before.relative_norm, rel=2e-3)


REMEMBERING: dict[str, dict[str, Any]] = {
    "memit": {"history": True},
    "memit-history": {},
    "pmet": {"history": True},
    "alphaedit": {"nullspace_threshold": 10.0},
}
"""The methods that keep the keys of earlier edits."""


@pytest.mark.parametrize("layers", [[1], [1, 2]], ids=str)
@pytest.mark.parametrize("method", REMEMBERING)
def test_a_question_edited_again_is_edited_as_if_it_were_not_in_memory(
    method: str, layers: list[int], tmp_path: Path
) -> None:
    model = tiny_language_model("llama")
    editor = create_editor(method, {**TARGET, **REMEMBERING[method], "layers": layers})
    resources = Resources(tiny_statistics(model, tmp_path), contexts=("{}", "Now then: {}"))
    other, again = TINY_EDITS[0], EDIT.model_copy(update={"id": "again", "target_new": "Vienna"})
    snapshots = [EditSession(model, editor, resources).start()]
    session = EditSession(model, editor, resources)
    for edit in (other, EDIT):
        snapshots.append(session.apply_batch([edit], snapshots[-1]))
    one_key = {name: keys[:1] for name, keys in snapshots[2].state.tensors.items()}
    forgotten = snapshots[2].state.model_copy(update={"tensors": one_key})
    with EditedModel(model, snapshots[2].delta):
        found = editor.edit(model, [again], snapshots[2].state, resources)
        expected = editor.edit(model, [again], forgotten, resources)
    assert found.delta.content_hash == expected.delta.content_hash
    assert {len(keys) for keys in found.state.tensors.values()} == {2}
    assert all(torch.equal(keys[0], one_key[name][0]) for name, keys in found.state.tensors.items())


@pytest.mark.parametrize("method", [*REMEMBERING, "ultraedit"])
def test_a_second_trajectory_equals_the_first(method: str, tmp_path: Path) -> None:
    """No state outlives a trajectory, in the editor or in its statistics."""
    model = tiny_language_model("llama")
    settings = {**TARGET, **REMEMBERING[method]} if method in REMEMBERING else {}
    editor = create_editor(method, {**settings, "layers": [1, 2]})
    shared = Resources(tiny_statistics(model, tmp_path), contexts=("{}",))
    first = list(EditSession(model, editor, shared).run(TINY_EDITS[:3]))
    second = list(EditSession(model, editor, shared).run(TINY_EDITS[:3]))
    fresh = Resources(tiny_statistics(model, tmp_path), contexts=("{}",))
    new_editor = create_editor(method, {**settings, "layers": [1, 2]})
    alone = list(EditSession(model, new_editor, fresh).run(TINY_EDITS[:3]))
    assert len({tuple(step.delta.content_hash for step in steps) for steps in (first, second, alone)}) == 1


def test_saved_states_without_change_of_format_still_load(tmp_path: Path) -> None:
    """Keys that were appended by an earlier version, one for each edit, are forgotten together."""
    model = tiny_language_model("llama")
    editor = create_editor("alphaedit", {**TARGET, **REMEMBERING["alphaedit"], "layers": [1]})
    outcome, resources, _ = edited_once(editor, model, tmp_path)
    twice = {name: torch.cat([keys, keys]) for name, keys in outcome.state.tensors.items()}
    with EditedModel(model, outcome.delta):
        state = outcome.state.model_copy(update={"tensors": twice})
        again = editor.edit(model, [EDIT], state, resources)
    assert {len(keys) for keys in again.state.tensors.values()} == {1}


@pytest.mark.parametrize(
    ("method", "family", "expected"),
    [
        ("memit", "llama", ""),
        ("rome", "llama", ""),
        ("rome", "gemma3", "targets through norms"),
        ("emmet", "olmo2", "targets through norms"),
        ("alphaedit+rect", "llama", "keys replaced"),
        ("memit-history", "gemma2", "targets through norms, keys replaced"),
        ("ft-m", "gemma2", ""),
    ],
)
def test_trajectories_are_distinguished_where_results_have_changed(
    method: str, family: str, expected: str
) -> None:
    assert create_editor(method).revision(tiny_language_model(family)) == expected
