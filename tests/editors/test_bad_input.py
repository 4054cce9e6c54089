"""Errors that users may make with statistics, and their messages."""

from __future__ import annotations

from pathlib import Path

import pytest

from sequela.core.errors import FingerprintMismatchError, SequelaError
from sequela.editors import Resources, create_editor
from sequela.statistics import CorpusSpec, Statistics
from support.edits import TINY_EDITS
from support.sessions import edit_in_batches
from support.statistics import tiny_statistics, write_text
from support.tiny import tiny_language_model

MODEL = tiny_language_model("llama")
OTHER = tiny_language_model("llama", seed=1)
WHITENED = ["rome", "memit", "pmet", "emmet", "alphaedit"]


@pytest.mark.parametrize("method", WHITENED)
def test_statistics_of_another_model_are_rejected(method: str, tmp_path: Path) -> None:
    resources = Resources(tiny_statistics(OTHER, tmp_path), contexts=("{}",))
    with pytest.raises(FingerprintMismatchError) as caught:
        create_editor(method, {"layers": [1]}).prepare(MODEL, resources)
    assert MODEL.fingerprint in caught.value.message
    assert OTHER.fingerprint in caught.value.message


@pytest.mark.parametrize("method", WHITENED)
def test_continuing_with_other_statistics_is_rejected(method: str, tmp_path: Path) -> None:
    own = {"nullspace_threshold": 10.0} if method == "alphaedit" else {}
    editor = create_editor(method, {"layers": [1], "v_num_grad_steps": 2, **own})
    first = Resources(tiny_statistics(MODEL, tmp_path), contexts=("{}",))
    state = editor.prepare(MODEL, first)
    spec = CorpusSpec(source=str(tmp_path / "corpus.txt"), n_tokens=640, window=64)
    second = Resources(Statistics(MODEL, spec, tmp_path), contexts=("{}",))
    with pytest.raises(SequelaError, match="The earlier edits used the statistics") as caught:
        editor.edit(MODEL, TINY_EDITS[:1], state, second)
    assert first.statistics.key in caught.value.message
    assert second.statistics.key in caught.value.message


@pytest.mark.parametrize("method", ["rome", "memit", "emmet"])
def test_statistics_over_too_few_tokens_are_reported_with_the_remedy(method: str, tmp_path: Path) -> None:
    spec = CorpusSpec(source=str(write_text(tmp_path / "text.txt")), n_tokens=32, window=16)
    resources = Resources(Statistics(MODEL, spec, tmp_path), contexts=("{}",))
    editor = create_editor(method, {"layers": [1], "v_num_grad_steps": 2})
    with pytest.raises(SequelaError, match="not positive definite") as caught:
        list(edit_in_batches(editor, MODEL, TINY_EDITS[:1], 1, resources))
    assert "more tokens" in (caught.value.hint or "")
