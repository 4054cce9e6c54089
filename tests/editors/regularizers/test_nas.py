from __future__ import annotations

import pytest
import torch

from sequela.core.errors import BadInputError
from sequela.edited import Delta, EditedModel, LowRank
from sequela.editors.registry import create_editor
from sequela.editors.shared.keys import read_at_subject
from sequela.editors.shared.target_optimization import TargetHyperparameters, optimize_targets
from sequela.models import tokenize_prompt
from sequela.models.forward.activations import Site
from support.edits import TINY_EDITS
from support.tiny import KEY_WIDTH, WIDTH, tiny_language_model

SITE = Site("block", 2)


def test_targets_keep_the_norm_of_the_unedited_model() -> None:
    """They do so also after an earlier edit has increased the norm of the values."""
    model, edits = tiny_language_model("llama"), TINY_EDITS[:2]
    prompts = [tokenize_prompt(model.tokenizer, edit.prompt, edit.subject) for edit in edits]
    unedited = read_at_subject(model, prompts, [SITE])[SITE].norm(dim=-1)
    earlier = Delta(
        model.fingerprint,
        {model.family.mlp_out_name(1): LowRank(torch.ones(WIDTH, 1), torch.ones(1, KEY_WIDTH))},
    )
    settings = TargetHyperparameters(v_num_grad_steps=3, clamp_norm_factor=10.0)
    with EditedModel(model, earlier):
        longer = read_at_subject(model, prompts, [SITE])[SITE].norm(dim=-1)
        free = optimize_targets(model, edits, ("{}",), [SITE], settings)
        anchored = settings.model_copy(update={"anchored": True})
        scaled = optimize_targets(model, edits, ("{}",), [SITE], anchored)
        after = read_at_subject(model, prompts, [SITE])[SITE].norm(dim=-1)
    assert torch.equal(longer, after)
    assert (longer > 1.5 * unedited).all()
    for one, other, norm in zip(scaled, free, unedited, strict=True):
        assert float(one[SITE].value.norm()) == pytest.approx(float(norm), rel=1e-5)
        cosine = torch.nn.functional.cosine_similarity(one[SITE].value, other[SITE].value, dim=0)
        assert float(cosine) == pytest.approx(1.0, abs=1e-5)
        assert one[SITE].losses == other[SITE].losses


@pytest.mark.parametrize("method", ["kn", "ultraedit", "ft-m"])
def test_a_method_without_target_values_is_rejected(method: str) -> None:
    with pytest.raises(BadInputError, match=f"scales target values, and {method} has none"):
        create_editor(f"{method}+nas")
