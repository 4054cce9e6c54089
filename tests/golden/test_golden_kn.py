"""KN against the reference's numbers: every neuron's attribution, the neurons chosen, the change."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from sequela.editors import Resources, create_editor
from sequela.editors.methods.kn.attribution import Question, attributions
from sequela.models import LanguageModel
from sequela.statistics import Statistics
from support.oracle import Case, check_behavior, check_change, near
from support.sessions import edit_in_batches

SCORES = 1e-3


@pytest.mark.slow
def test_edit(case: Callable[[str], Case], real_model: LanguageModel, statistics: Statistics) -> None:
    given = case("kn")
    reported = given.content["hparams"]
    prompt = given.content["evaluation"]["prompts"][0]["ids"]
    question = Question(tuple(prompt), given.content["evaluation"]["targets"][0]["target_true_ids"][0])
    found = attributions(real_model, [question], reported["steps"], "preactivation").scores[0]
    near(found, given.tensors["scores"], SCORES, "attributions")
    editor = create_editor(
        "kn",
        {
            "preset": "none",
            "steps": reported["steps"],
            "adaptive_threshold": reported["adaptive_threshold"],
            "attributed": "preactivation",
            "n_contexts": 0,
            "signed": False,
            "old_scale": 2.0,
            "new_scale": 1.0,
        },
    )
    (step,) = edit_in_batches(editor, real_model, given.edits, 1, Resources(statistics))
    assert not step.reports[0].dropped
    chosen = {
        (int(name.split(".")[2]), int(neuron))
        for name, update in step.delta.updates.items()
        for neuron in update.to_dense().norm(dim=0).nonzero()[:, 0]
    }
    assert chosen == {tuple(neuron) for neuron in given.content["neurons"]}
    scores = torch.stack([found[layer, neuron] for layer, neuron in given.content["neurons"]])
    near(scores, given.tensors["neuron_scores"], SCORES, "attributions of the neurons chosen")
    for name, update in step.delta.updates.items():
        check_change(given, name, update, tolerance=1e-5)
    check_behavior(given, real_model, step.delta, "after", 2e-2)
