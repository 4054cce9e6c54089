"""MEMIT against the reference's numbers, layer by layer."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
import torch

from sequela.deltas import Delta, LowRank
from sequela.editors import Resources, create_editor
from sequela.editors.locate.keys import in_contexts, mean_weights, read_at_subject
from sequela.editors.locate.solve import WhitenedSolver
from sequela.editors.locate.targets import Target, TargetHyperparameters, optimize_target
from sequela.editors.sequence import edit_in_batches
from sequela.edits import Edit
from sequela.models import EditedModel, LanguageModel
from sequela.models.reading import Site
from sequela.statistics import Statistics
from support.oracle import (
    CHANGE,
    KEYS,
    RECOMPUTED,
    Case,
    check_behavior,
    check_change,
    check_prompts,
    check_target,
    near,
)


def keys_and_outputs(
    case: Case, model: LanguageModel, edits: Sequence[Edit], delta: Delta, layer: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean keys `[n, d_ff]` and the last edited block's outputs at the bare prompts `[n, d]`."""
    key, block = Site("key", layer), Site("block", case.layers[-1])
    prompts = [prompt for edit in edits for prompt in in_contexts(model, edit, case.contexts)]
    with EditedModel(model, delta):
        read = read_at_subject(model, prompts, [key, block])
    shape = (len(edits), len(case.contexts), -1)
    weights = mean_weights(len(case.contexts), bare_half=True)
    return torch.einsum("c,nck->nk", weights, read[key].reshape(shape)), read[block].reshape(shape)[:, 0]


def part_of(delta: Delta, before: Delta, name: str) -> LowRank:
    """What a batch added to a weight's low-rank update."""
    update = delta.updates[name]
    assert isinstance(update, LowRank)
    old = before.updates.get(name)
    rank = 0 if old is None else old.b.shape[1]  # type: ignore[union-attr]
    return LowRank(update.b[:, rank:], update.a[rank:])


def check_layers(
    case: Case, model: LanguageModel, edits: Sequence[Edit], before: Delta, after: Delta, prefix: str
) -> None:
    so_far = before
    for layer in case.layers:
        name = model.family.mlp_out_name(layer)
        keys, outputs = keys_and_outputs(case, model, edits, so_far, layer)
        own = part_of(after, before, name)
        wanted = {k: case.tensors[f"{prefix}layer{layer}/{k}"] for k in ("keys", "cur_zs", "adj_k", "resid")}
        # Above the first edited layer the earlier changes' own distance is in what is read.
        tolerance = KEYS if layer == case.layers[0] and not before.updates else CHANGE
        near(keys, wanted["keys"], tolerance, f"{prefix}layer {layer}: keys")
        near(outputs, wanted["cur_zs"], tolerance, f"{prefix}layer {layer}: outputs")
        near(own.a.T, wanted["adj_k"], CHANGE, f"{prefix}layer {layer}: adjusted keys")
        near(own.b, wanted["resid"], CHANGE, f"{prefix}layer {layer}: residuals")
        check_change(case, name, own, prefix)
        so_far = so_far + Delta(model.fingerprint, {name: own})


@pytest.mark.slow
@pytest.mark.parametrize("name", ["memit", "memit_sequential"])
def test_edits(
    name: str,
    case: Callable[[str], Case],
    real_model: LanguageModel,
    statistics: Statistics,
    targets: list[Target],
) -> None:
    given, sequential = case(name), name.endswith("sequential")
    check_prompts(given, real_model)
    editor = create_editor(
        "memit",
        {
            "layers": given.layers,
            "mom2_update_weight": given.told["hparams"]["mom2_update_weight"],
            **given.target_settings,
        },
    )
    size = 1 if sequential else len(given.edits)
    before = Delta.empty(real_model.fingerprint)
    resources = Resources(statistics, contexts=given.contexts)
    for number, step in enumerate(edit_in_batches(editor, real_model, given.edits, size, resources)):
        prefix = f"edit{number}/" if sequential else ""
        for i, target in enumerate(targets[number * size : (number + 1) * size]):
            check_target(given, target, f"{prefix}z{i}/", "init", "z")
        check_layers(given, real_model, step.edits, before, step.delta, prefix)
        if sequential:
            check_behavior(given, real_model, step.delta, f"after_{number}", 2e-2)
        before = step.delta
    if sequential:
        for weight, update in before.updates.items():
            check_change(given, weight, update, "total/")
    check_behavior(given, real_model, before, "after", 2e-2)


def test_what_needs_no_statistics(case: Callable[[str], Case], real_model: LanguageModel) -> None:
    """The quick part: prompts, the first layer's keys and outputs, and one target of two tokens."""
    given = case("memit")
    check_prompts(given, real_model)
    keys, outputs = keys_and_outputs(
        given, real_model, given.edits, Delta.empty(real_model.fingerprint), given.layers[0]
    )
    near(keys, given.tensors[f"layer{given.layers[0]}/keys"], KEYS, "keys")
    near(outputs, given.tensors[f"layer{given.layers[0]}/cur_zs"], KEYS, "outputs")
    settings = TargetHyperparameters(**given.target_settings)
    site = Site("block", given.layers[-1])
    target = optimize_target(real_model, given.edits[3], given.contexts, site, settings)
    check_target(given, target, "z3/", "init", "z")


@pytest.mark.parametrize(
    "layer", [8, *(pytest.param(layer, marks=pytest.mark.slow) for layer in (6, 7, 9, 10))]
)
def test_the_solve_on_the_reference_own_values(
    layer: int, case: Callable[[str], Case], statistics: Statistics
) -> None:
    """With its keys, targets and outputs, the change is the reference's to rounding."""
    given = case("memit")
    told = {k: given.tensors[f"layer{layer}/{k}"] for k in ("keys", "cur_zs", "adj_k", "resid")}
    weight = given.told["hparams"]["mom2_update_weight"]
    solver = WhitenedSolver(statistics.second_moment(layer).matrix, weight)
    adjusted = solver.batch_adjustment(told["keys"].T)
    near(adjusted, told["adj_k"], RECOMPUTED, "adjusted keys")
    wished = torch.stack([given.tensors[f"z{i}/z"] for i in range(len(given.edits))])
    left = given.layers[-1] - layer + 1
    residual = (wished.double() - told["cur_zs"].double()).T / left
    near(residual, told["resid"], RECOMPUTED, "residuals")
    change = residual @ adjusted.T
    check_change(given, f"model.layers.{layer}.mlp.down_proj.weight", change, tolerance=RECOMPUTED)
