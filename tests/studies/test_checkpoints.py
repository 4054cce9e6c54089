"""A trajectory that is resumed from a checkpoint equals an uninterrupted one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file, save_file

from sequela.core.errors import IntegrityError
from sequela.editors import Resources, create_editor
from sequela.editors.storage import STATE
from sequela.models import LanguageModel
from sequela.studies.checkpoints import Checkpoint, load_checkpoint, save_checkpoint
from support.edits import CONTEXTS, TINY_EDITS
from support.sessions import edit_batch, edit_in_batches
from support.statistics import tiny_statistics
from support.tiny import tiny_language_model

TARGET = {"v_num_grad_steps": 3, "layers": [1, 2]}
METHODS: dict[str, tuple[str, dict[str, Any]]] = {
    "memit": ("memit", {**TARGET, "mom2_update_weight": 0.1}),
    "memit with history": ("memit", {**TARGET, "mom2_update_weight": 0.1, "history": True}),
    "alphaedit": ("alphaedit", {**TARGET, "nullspace_threshold": 10.0}),
    "alphaedit+rect": ("alphaedit+rect", {**TARGET, "nullspace_threshold": 10.0}),
    "ultraedit": ("ultraedit", {"layers": [1, 2]}),
}


@pytest.fixture
def model() -> LanguageModel:
    return tiny_language_model("llama")


@pytest.mark.parametrize("method", METHODS)
def test_a_resumed_trajectory_is_equal_bit_for_bit(method: str, model: LanguageModel, tmp_path: Path) -> None:
    name, settings = METHODS[method]
    editor = create_editor(name, settings)
    resources = Resources(tiny_statistics(model, tmp_path), contexts=CONTEXTS)
    first, second, third = edit_in_batches(editor, model, TINY_EDITS[:3], 1, resources)
    folder = tmp_path / "checkpoint"
    ids = tuple(edit.id for edit in TINY_EDITS[:2])
    save_checkpoint(folder, Checkpoint(2, second.delta, second.state), model, editor, ids)
    assert (folder / STATE).is_file() == bool(second.state.tensors)
    again = tiny_language_model("llama")
    kept = load_checkpoint(folder, 2, again, create_editor(name, settings))
    assert kept is not None
    assert kept.state == second.state
    assert kept.state != first.state or method == "memit"
    anew = Resources(tiny_statistics(again, tmp_path), contexts=CONTEXTS)
    step = edit_batch(create_editor(name, settings), again, TINY_EDITS[2:3], kept.delta, kept.state, anew)
    assert step.delta.content_hash == third.delta.content_hash
    assert step.state == third.state


@pytest.mark.parametrize("damage", ["changed", "missing"])
def test_a_damaged_state_is_rejected(damage: str, model: LanguageModel, tmp_path: Path) -> None:
    editor = create_editor("alphaedit", METHODS["alphaedit"][1])
    resources = Resources(tiny_statistics(model, tmp_path), contexts=CONTEXTS)
    (step,) = edit_in_batches(editor, model, TINY_EDITS[:1], 1, resources)
    folder = tmp_path / "checkpoint"
    save_checkpoint(folder, Checkpoint(1, step.delta, step.state), model, editor, (TINY_EDITS[0].id,))
    path = folder / STATE
    if damage == "missing":
        path.unlink()
    else:
        tensors = load_file(path)
        save_file({name: tensor + 1 for name, tensor in tensors.items()}, path)
    with pytest.raises(IntegrityError, match=STATE):
        load_checkpoint(folder, 1, model, editor)
