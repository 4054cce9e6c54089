"""MEND's factors and its change at the beginning of training, against the reference's numbers."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from sequela.edited import Delta, LowRank
from sequela.editors import Resources, create_editor
from sequela.editors.shared.gradient_factors import read_factors
from sequela.editors.shared.target_loss import collate, tokenize_edits
from sequela.models import LanguageModel
from sequela.models.forward.replay import record_forward
from sequela.statistics import Statistics
from support.oracle import KEYS, Case, check_behavior, check_change, near

LAYERS = (28, 29)


def test_factors(case: Callable[[str], Case], real_model: LanguageModel) -> None:
    given = case("mend")
    names = [name.removesuffix(".weight") for name in given.content["hparams"]["inner_params"]]
    prompts = tokenize_edits(real_model, given.edits)
    assert list(prompts[0].ids) == given.content["input_ids"]
    recording = record_forward(real_model, collate(real_model, prompts), LAYERS[0])
    factors, losses = read_factors(real_model, recording, names, prompts)
    assert float(losses[0]) == pytest.approx(float(given.tensors["nll"][0]), abs=1e-4)
    for name, found in factors.items():
        # The reference also uses the last token, which predicts nothing.
        expected_x, expected_d = (given.tensors[f"{name}.weight/{kind}"] for kind in ("x", "delta"))
        assert not expected_d[-1].any()
        near(found.inputs[0], expected_x[:-1], KEYS, f"{name}: x")
        near(found.gradients[0], expected_d[:-1], KEYS, f"{name}: delta")
        kept = found.of_row(0)
        near(kept.a, given.tensors[f"{name}.weight/x_out"], KEYS, f"{name}: rows kept")


@pytest.mark.slow
def test_the_change_before_training(
    case: Callable[[str], Case], real_model: LanguageModel, statistics: Statistics
) -> None:
    """The reference adds the step that we subtract: before training it ascends the gradient."""
    given = case("mend")
    settings = {"artifact": "identity", "layers": list(LAYERS), "edit_lr": given.content["edit_lr"]}
    editor, resources = create_editor("mend", settings), Resources(statistics)
    outcome = editor.edit(real_model, given.edits, editor.prepare(real_model, resources), resources)
    check_behavior(given, real_model, None, "before", 5e-3)
    check_behavior(given, real_model, outcome.delta, "after_descent", 2e-2)
    up: dict[str, LowRank] = {}
    for name, update in outcome.delta.updates.items():
        assert isinstance(update, LowRank)
        up[name] = LowRank(-update.b, update.a)
        check_change(given, name, -update.to_dense())
        exact = given.tensors[f"W/{name}/delta_norm_exact"]
        near(torch.linalg.norm(update.to_dense())[None], exact, KEYS, f"{name}: norm")
    check_behavior(given, real_model, Delta(real_model.fingerprint, up), "after", 2e-2)
