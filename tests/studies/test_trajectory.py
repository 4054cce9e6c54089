"""Trajectories: the keys of their results."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sequela.editors import Resources, create_editor
from sequela.editors.session import EditSession
from sequela.edits import Edit, EditSet
from sequela.models import LanguageModel, tokenize_prompt
from sequela.studies.trajectory import Trajectory
from support.edits import TINY_EDITS
from support.statistics import tiny_statistics
from support.tiny import tiny_language_model


def edit_of_length(model: LanguageModel, n_tokens: int) -> Edit:
    """Returns an edit whose prompt and target have about so many tokens, at most two fewer."""
    edit = TINY_EDITS[0]
    while True:
        longer = edit.model_copy(update={"prompt": f"so {edit.prompt}"})
        ids = tokenize_prompt(model.tokenizer, longer.prompt, longer.subject, longer.target_new).ids
        if len(ids) > n_tokens:
            return edit
        edit = longer


@pytest.mark.parametrize(
    ("name", "settings", "below", "changed"),
    [
        ("rome", {}, 1, True),
        ("memit+rect", {}, 1, True),
        ("kn", {}, 1, True),
        ("wise", {}, 1, True),
        ("ft-m", {}, 1, False),  # it reads an edit in no context
        ("rome", {}, -40, False),  # such an edit didn't fit in earlier versions either
        ("rome", {}, 150, False),
    ],
)
def test_only_edits_that_may_not_fit_in_sampled_contexts_have_another_key(
    name: str, settings: dict[str, Any], below: int, changed: bool, tmp_path: Path, monkeypatch: Any
) -> None:
    """Earlier versions applied an edit that fits the model's context alone, but not after a sampled one."""
    model = tiny_language_model("llama")
    session = EditSession(model, create_editor(name, settings), Resources(tiny_statistics(model, tmp_path)))
    edits = EditSet("tiny", (TINY_EDITS[1], edit_of_length(model, model.context_length - below)))

    def key() -> str:
        return Trajectory(session, edits, order_seed=0).key

    found = key()
    monkeypatch.setattr(EditSession, "reads_near_limit", lambda *_: False)
    assert (found != key()) is changed
