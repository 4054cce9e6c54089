"""Statistics and weights with which an edit could become infinite: it is finite, or rejected."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from sequela.core.errors import BadInputError
from sequela.core.progress import SilentProgress
from sequela.editors import Resources, create_editor
from sequela.models import LanguageModel
from sequela.statistics import CorpusSpec, Statistics
from support.edits import TINY_EDITS
from support.statistics import tiny_statistics
from support.tiny import KEY_WIDTH, tiny_language_model

TARGET: dict[str, Any] = {"layers": [1, 2], "v_num_grad_steps": 4, "v_lr": 0.3, "n_contexts": 0}
METHODS: dict[str, dict[str, Any]] = {
    "rome": {"layers": [1]},
    "memit": {},
    "memit-history": {},
    "pmet": {},
    "emmet": {},
    "alphaedit": {"nullspace_threshold": 10.0},
}
WHITENING = [name for name in METHODS if name != "alphaedit"]


class Said(SilentProgress):
    """Keeps the messages."""

    def __init__(self) -> None:
        self.messages: list[str] = []

    def say(self, message: str) -> None:
        self.messages.append(message)


def first_edit(
    model: LanguageModel, statistics: Statistics, method: str, n: int = 1, **settings: Any
) -> dict[str, torch.Tensor]:
    """Returns the change of each weight."""
    resources = Resources(statistics, contexts=("{}",))
    editor = create_editor(method, {**TARGET, **METHODS[method], **settings})
    outcome = editor.edit(model, TINY_EDITS[:n], editor.prepare(model, resources), resources)
    assert not any(report.dropped for report in outcome.reports)
    return {name: update.to_dense() for name, update in outcome.delta.updates.items()}


def few_tokens(model: LanguageModel, folder: Path) -> Statistics:
    return Statistics(model, CorpusSpec(n_tokens=20, window=10), folder)


@pytest.mark.parametrize("method", WHITENING)
def test_statistics_of_low_rank_are_rejected_with_the_rank(method: str, tmp_path: Path) -> None:
    model = tiny_language_model("llama")
    with pytest.raises(BadInputError, match=f"its rank is 20 of {KEY_WIDTH}") as caught:
        first_edit(model, few_tokens(model, tmp_path), method)
    assert "more text" in (caught.value.hint or "")


def test_a_wide_null_space_is_reported(tmp_path: Path) -> None:
    model, said = tiny_language_model("llama"), Said()
    editor = create_editor("alphaedit", {**TARGET, "nullspace_threshold": 1e-5})
    editor.prepare(model, Resources(few_tokens(model, tmp_path), contexts=("{}",), progress=said))
    (message,) = [message for message in said.messages if "layer 1" in message]
    assert f"44 of {KEY_WIDTH} directions (69%). 20 tokens can't show all of them: use more" in message
    editor = create_editor("alphaedit", {**TARGET, "nullspace_threshold": 1e9})
    editor.prepare(model, Resources(few_tokens(model, tmp_path), contexts=("{}",), progress=said))
    assert (
        f"{KEY_WIDTH} of {KEY_WIDTH} directions (100%): it hardly protects other keys." in said.messages[-1]
    )
    editor.prepare(model, Resources(tiny_statistics(model, tmp_path), contexts=("{}",), progress=said))
    assert said.messages[-1].endswith("it hardly protects other keys.")


@pytest.mark.parametrize("method", METHODS)
def test_a_dead_neuron_leaves_an_edit_finite(method: str, tmp_path: Path) -> None:
    model = tiny_language_model("llama")
    for layer in (1, 2):
        model.module.get_parameter(f"model.layers.{layer}.mlp.up_proj.weight").data[5] = 0
    model = LanguageModel.wrap(model.module, model.tokenizer, "dead neuron")
    for change in first_edit(model, tiny_statistics(model, tmp_path), method).values():
        assert torch.isfinite(change).all()
        assert float(change.norm()) > 0


@pytest.mark.parametrize("method", METHODS)
def test_huge_keys_in_bfloat16_leave_an_edit_finite(method: str, tmp_path: Path) -> None:
    model = tiny_language_model("llama")
    for layer in (1, 2):
        model.module.get_parameter(f"model.layers.{layer}.mlp.up_proj.weight").data.mul_(1e4)
        model.mlp_out_weight(layer).data.div_(1e4)
    model = LanguageModel.wrap(model.module.to(torch.bfloat16), model.tokenizer, "huge keys")
    settings = {"nullspace_threshold": 1e9} if method == "alphaedit" else {}
    for change in first_edit(model, tiny_statistics(model, tmp_path), method, **settings).values():
        assert torch.isfinite(change).all()
        assert float(change.norm()) > 0


@pytest.mark.parametrize("method", ["memit", "memit-history", "pmet", "alphaedit", "emmet"])
def test_a_vanishing_ridge_leaves_a_batch_finite(method: str, tmp_path: Path) -> None:
    """Also for a fact that stands twice in a batch, which makes the system singular."""
    model, weight = tiny_language_model("llama"), {"alphaedit": "L2", "emmet": "emmet_lambda"}
    name = weight.get(method, "mom2_update_weight")
    statistics = tiny_statistics(model, tmp_path)
    resources = Resources(statistics, contexts=("{}",))
    editor = create_editor(method, {**TARGET, **METHODS[method], name: 1e-12})
    again = TINY_EDITS[0].model_copy(update={"id": "again"})
    outcome = editor.edit(model, [*TINY_EDITS[:2], again], editor.prepare(model, resources), resources)
    expected = editor.edit(model, [*TINY_EDITS[1:2], again], editor.prepare(model, resources), resources)
    assert not any(report.dropped for report in outcome.reports)
    for update_name, update in outcome.delta.updates.items():
        change, wanted = update.to_dense(), expected.delta.updates[update_name].to_dense()
        assert float((change - wanted).norm()) < 1e-3 * float(wanted.norm())


def test_a_fact_that_stands_twice_in_a_batch_is_written_once(tmp_path: Path) -> None:
    model, statistics = tiny_language_model("llama"), tiny_statistics(tiny_language_model("llama"), tmp_path)
    resources = Resources(statistics, contexts=("{}",))
    editor = create_editor("emmet", {**TARGET, "emmet_lambda": 0})
    repeat = TINY_EDITS[0].model_copy(update={"id": "repeat"})
    outcome = editor.edit(model, [TINY_EDITS[0], repeat], editor.prepare(model, resources), resources)
    once = first_edit(model, statistics, "emmet", emmet_lambda=0)
    assert not any(report.dropped for report in outcome.reports)
    for name, update in outcome.delta.updates.items():
        assert float((update.to_dense() - once[name]).norm()) < 1e-3 * float(once[name].norm())
