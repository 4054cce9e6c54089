"""ROME and R-ROME against the reference's numbers, from token ids to the answers of the edited model."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from sequela.edited import Delta, EditedModel
from sequela.editors import Resources, create_editor
from sequela.editors.methods.rome.editor import Rome
from sequela.editors.shared.keys import in_contexts, mean_weights, read_at_subject
from sequela.editors.shared.solve import rank_one
from sequela.editors.shared.target_optimization import Target
from sequela.models import LanguageModel
from sequela.models.forward.activations import Site
from sequela.statistics import Statistics
from support.oracle import (
    KEYS,
    RECOMPUTED,
    Case,
    check_behavior,
    check_change,
    check_prompts,
    check_target,
    near,
)
from support.sessions import edit_in_batches


def editor_of(case: Case) -> Rome:
    is_r_rome = case.name.startswith("r_rome")
    editor = create_editor(
        "rome",
        {
            "variant": "r-rome" if is_r_rome else "original",
            "layers": case.layers,
            "mom2_adjustment": case.content["hparams"]["mom2_adjustment"],
            **case.target_settings,
        },
    )
    assert isinstance(editor, Rome)
    return editor


def check_rome(case: Case, model: LanguageModel, statistics: Statistics, targets: list[Target]) -> None:
    check_prompts(case, model)
    (layer,) = case.layers
    name, site = model.family.mlp_out_name(layer), Site("key", layer)
    sequential = case.name.endswith("sequential")
    before = Delta.empty(model.fingerprint)
    resources = Resources(statistics, contexts=case.contexts)
    for number, step in enumerate(edit_in_batches(editor_of(case), model, case.edits, 1, resources)):
        (edit,) = step.edits
        prefix = f"edit{number}/" if sequential else ""
        with EditedModel(model, before):
            keys = read_at_subject(model, in_contexts(model, edit, case.contexts), [site])[site]
        mean = mean_weights(len(keys), bare_half=False) @ keys
        near(mean, case.tensors[f"{prefix}k_mean"], KEYS, "mean key")
        if not sequential:
            near(keys, case.tensors["keys_raw"], KEYS, "keys")
        check_target(case, targets[number], prefix, "v_init", "v_star")
        update = step.delta.updates[name]
        near(update.a[number], case.tensors[f"{prefix}left_vector"], KEYS, "left vector")
        near(update.b[:, number], case.tensors[f"{prefix}right_vector"], 2e-3, "right vector")
        own = update.b[:, number : number + 1].double() @ update.a[number : number + 1].double()
        check_change(case, name, own, prefix)
        if sequential:
            check_behavior(case, model, step.delta, f"after_{number}", 2e-2)
        before = step.delta
    if sequential:
        check_change(case, name, before.updates[name], "total/")
    check_behavior(case, model, before, "after", 2e-2)


@pytest.mark.parametrize("name", ["rome_cov_0", pytest.param("memit", marks=pytest.mark.slow)])
def test_the_unedited_model(name: str, case: Callable[[str], Case], real_model: LanguageModel) -> None:
    check_behavior(case(name), real_model, None, "before", 5e-3)


SLOW = [
    *(
        f"{method}_{part}"
        for method in ("rome_identity", "rome_cov", "r_rome")
        for part in (1, 2, "sequential")
    ),
    "rome_identity_0",
    "r_rome_0",
]


@pytest.mark.parametrize(
    "name", ["rome_cov_0", *(pytest.param(name, marks=pytest.mark.slow) for name in SLOW)]
)
def test_edits(
    name: str,
    case: Callable[[str], Case],
    real_model: LanguageModel,
    statistics: Statistics,
    targets: list[Target],
) -> None:
    check_rome(case(name), real_model, statistics, targets)


@pytest.mark.parametrize(
    "name", ["rome_cov_0", "rome_cov_1", "rome_cov_2", "r_rome_0", "r_rome_1", "r_rome_2"]
)
def test_the_solve_on_the_values_of_the_reference(
    name: str, case: Callable[[str], Case], statistics: Statistics
) -> None:
    """With the reference's keys and target, the change equals the reference's up to rounding."""
    given = case(name)
    t, (layer,) = given.tensors, given.layers
    direction = statistics.whitening(layer).solve(t["k_mean"][:, None])[:, 0]
    update = rank_one(direction, t["k_edit"], t["v_star"] - t["v_edit"])
    near(update.a[0], t["left_vector"], RECOMPUTED, "left vector")
    near(update.b[:, 0], t["right_vector"], RECOMPUTED, "right vector")
    check_change(given, f"model.layers.{layer}.mlp.down_proj.weight", update, tolerance=RECOMPUTED)
    assert torch.linalg.matrix_rank(update.to_dense()) == 1
