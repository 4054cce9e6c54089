"""FT-M and FT-L against the reference's numbers."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from sequela.editors import Resources, create_editor
from sequela.models import LanguageModel, tokenize_prompt
from sequela.statistics import Statistics
from support.oracle import Case, check_behavior, check_change

CHANGE = 5e-2
"""Adam's first step is the gradient's sign, so entries at rounding level may have the other sign."""


@pytest.mark.slow
@pytest.mark.parametrize("name", ["ft_m_0", "ft_m_3", "ft_l_0", "ft_l_3"])
def test_edits(
    name: str, case: Callable[[str], Case], real_model: LanguageModel, statistics: Statistics
) -> None:
    given = case(name)
    (edit,) = given.edits
    prompt = tokenize_prompt(real_model.tokenizer, edit.prompt, edit.subject, edit.target_new)
    assert list(prompt.prompt_ids) == given.content["prompt_ids"]
    assert list(prompt.target_ids) == given.content["target_ids"]
    losses = given.tensors["losses"].tolist()
    resources = Resources(statistics)
    for steps in range(1, len(losses) + 1):  # if stopped early, the last loss is that of the last step
        settings = {"layers": given.layers, "num_steps": steps, "lr": given.content["hparams"]["lr"]}
        if given.content["hparams"]["norm_constraint"]:
            settings["norm_constraint"] = given.content["hparams"]["norm_constraint"]
        editor = create_editor(name[:4].replace("_", "-"), settings)
        outcome = editor.edit(real_model, [edit], editor.prepare(real_model, resources), resources)
        (report,) = outcome.reports
        assert report.optimization_steps == steps
        assert report.first_loss == pytest.approx(losses[0], abs=1e-4)
        assert report.final_loss == pytest.approx(losses[steps - 1], abs=1e-2)
    ((weight, update),) = outcome.delta.updates.items()
    check_change(given, weight, update, tolerance=CHANGE)
    assert float(update.to_dense().abs().max()) == pytest.approx(
        float(given.tensors["delta_max_abs"]), rel=CHANGE
    )
    check_behavior(given, real_model, outcome.delta, "after", 2e-2)
