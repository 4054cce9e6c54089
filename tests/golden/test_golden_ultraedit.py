"""UltraEdit against the reference's numbers.

The reference's normalizer counts the variance within a part of m rows m / (m - 1) times, also uses the last
token of each sentence and, with `ans`, the first positions instead of the target's. These mistakes are not
copied. Features are compared at the positions that both use, and the solve is compared on the reference's
rows with its normalizer.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from sequela.editors.methods.ultraedit.editor import UltraEditState, ridge_update, updated_state
from sequela.editors.shared.token_features import Features, read_features
from sequela.models import LanguageModel, tokenize_prompt
from support.oracle import KEYS, Case, check_change, near

CASES = ["ultraedit_ans", "ultraedit_mask"]
LAYERS = (20, 21)
CHANGE = 5e-4
"""The reference solves in float32."""
GRADIENTS = 5e-4
"""Gradients are back-propagated through ten blocks."""


def name_of(layer: int) -> str:
    return f"model.layers.{layer}.mlp.down_proj.weight"


def parts_of(case: Case, layer: int) -> list[Features]:
    """Returns the reference's rows, part by part."""
    name, parts = name_of(layer), []
    while f"{name}/keys{len(parts)}" in case.tensors:
        number = len(parts)
        parts.append(
            Features(case.tensors[f"{name}/keys{number}"], case.tensors[f"{name}/values_grad{number}"])
        )
    return parts


@pytest.mark.parametrize("name", CASES)
def test_the_solve_on_the_rows_of_the_reference(name: str, case: Callable[[str], Case]) -> None:
    given = case(name)
    for layer in LAYERS:
        parts = parts_of(given, layer)
        update = ridge_update(
            torch.cat([part.keys for part in parts]),
            torch.cat([part.gradients for part in parts]),
            given.tensors["normalizer/mean"],
            given.tensors["normalizer/std"],
            given.content["hparams"]["lr"],
        )
        near(update.to_dense().norm()[None], given.tensors[f"{name_of(layer)}/shift_norm"], CHANGE, "norm")
        check_change(given, name_of(layer), update, tolerance=CHANGE)


@pytest.mark.parametrize("name", CASES)
def test_the_statistics_of_the_normalizer_equal_the_reference(name: str, case: Callable[[str], Case]) -> None:
    given = case(name)
    by_layer = {layer: parts_of(given, layer) for layer in LAYERS}
    state, spread = UltraEditState(), torch.zeros(1)
    for number in range(len(by_layer[LAYERS[0]])):
        for layer in LAYERS:
            part = by_layer[layer][number]
            rows = torch.cat([part.keys, part.gradients], dim=1).double()
            spread = spread + rows.var(0)  # counted once too often by the reference
            state = updated_state(state, [part])
    assert state.count == int(given.tensors["normalizer/n"])
    near(state.tensors["mean"], given.tensors["normalizer/mean"], KEYS, "mean")
    near(state.tensors["squares"] + spread, given.tensors["normalizer/var"], KEYS, "squares")


def test_keys_and_gradients(case: Callable[[str], Case], real_model: LanguageModel) -> None:
    given = case("ultraedit_mask")
    prompts = {
        prompt.ids: prompt
        for prompt in (
            tokenize_prompt(real_model.tokenizer, edit.prompt, edit.subject, edit.target_new)
            for edit in given.edits
        )
    }
    in_order = [prompts[tuple(ids)] for (ids,) in given.content["batch_order"]]
    read = read_features(real_model, in_order, LAYERS, "mask")
    only_answers = read_features(real_model, in_order, LAYERS, "ans")
    for layer in LAYERS:
        for number, part in enumerate(parts_of(given, layer)):
            own = read[number][layer]
            near(own.keys, part.keys[:-1], KEYS, f"layer {layer}, keys {number}")
            near(own.gradients, part.gradients[:-1], GRADIENTS, f"layer {layer}, gradients {number}")
            n_target = len(in_order[number].target_ids)
            torch.testing.assert_close(only_answers[number][layer].keys, own.keys[-n_target:])
            torch.testing.assert_close(only_answers[number][layer].gradients, own.gradients[-n_target:])
