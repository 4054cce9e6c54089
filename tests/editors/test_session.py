"""Batch by batch: what is refused beforehand, and what follows a bad edit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sequela.core.errors import BadInputError
from sequela.editors import BadEditPolicy, Resources, create_editor
from sequela.editors.session import BatchResult
from sequela.edits import Edit
from support.edits import TINY_EDITS
from support.sessions import edit_in_batches
from support.statistics import tiny_statistics
from support.tiny import tiny_language_model

MODEL = tiny_language_model("llama")
SETTINGS: dict[str, Any] = {"layers": [1], "v_num_grad_steps": 3, "v_lr": 0.3}
NO_SUBJECT = Edit(id="bare", prompt="The boss of Apple", target_new="Tomas")


def steps(folder: Path, policy: BadEditPolicy, name: str = "rome", batch: int = 1) -> list[BatchResult]:
    resources = Resources(tiny_statistics(MODEL, folder), contexts=("{}",))
    editor = create_editor(name, SETTINGS)
    return list(edit_in_batches(editor, MODEL, TINY_EDITS[:4], batch, resources, policy=policy))


def norms(found: list[BatchResult]) -> list[float]:
    return [report.relative_norm for step in found for report in step.reports]


@pytest.fixture
def between(tmp_path: Path) -> float:
    """A norm that the first edit doesn't reach and some later one exceeds, and the first bad edit."""
    found = norms(steps(tmp_path, BadEditPolicy(relative_norm=1e9)))
    assert max(found[1:]) > found[0]
    return (found[0] + max(found[1:])) / 2


def test_a_bad_edit_is_made_and_reported(tmp_path: Path, between: float) -> None:
    found = steps(tmp_path, BadEditPolicy(relative_norm=between))
    bad = [report for step in found for report in step.reports if report.warning]
    assert len(found) == 4
    assert bad
    assert all(report.relative_norm > between and not report.dropped for report in bad)
    assert all("explosive update" in report.warning for report in bad)
    assert found[-1].delta.content_hash == steps(tmp_path, BadEditPolicy())[-1].delta.content_hash


def test_a_bad_edit_is_skipped_and_counted_as_dropped(tmp_path: Path, between: float) -> None:
    found = steps(tmp_path, BadEditPolicy(action="skip", relative_norm=between))
    assert len(found) == 4
    skipped = [n for n, step in enumerate(found) if step.reports[0].dropped]
    assert skipped
    assert skipped[0] > 0
    before = found[skipped[0] - 1]
    assert found[skipped[0]].delta is before.delta
    assert found[skipped[0]].state is before.state
    assert "explosive update" in found[skipped[0]].reports[0].dropped
    assert not found[0].reports[0].dropped


def test_a_bad_edit_ends_it(tmp_path: Path, between: float) -> None:
    found = steps(tmp_path, BadEditPolicy(action="stop", relative_norm=between))
    assert len(found) < 5
    *good, last = found
    assert "explosive update" in last.stopped
    assert last.delta is good[-1].delta
    assert last.reports[0].dropped
    assert not any(step.stopped for step in good)


def test_a_batch_is_bad_as_a_whole(tmp_path: Path) -> None:
    (step, *_) = steps(tmp_path, BadEditPolicy(action="skip", relative_norm=1e-6), "memit", 2)
    assert all("explosive" in report.dropped for report in step.reports)
    assert not step.delta.updates


@pytest.mark.parametrize("method", ["rome", "memit", "pmet", "emmet", "alphaedit", "kn", "memit+rect"])
def test_a_method_that_needs_a_subject_is_not_given_edits_without(method: str, tmp_path: Path) -> None:
    resources = Resources(tiny_statistics(MODEL, tmp_path), contexts=("{}",))
    edits = [TINY_EDITS[0], NO_SUBJECT]
    with pytest.raises(BadInputError, match=r"1 of 2 edits have none \(the first: bare\)") as told:
        next(edit_in_batches(create_editor(method), MODEL, edits, 1, resources))
    assert "ultraedit" in (told.value.hint or "")


@pytest.mark.parametrize(
    ("method", "settings"),
    [("ultraedit", {"token": "mask", "layers": [1], "lr": 3e-3}), ("ft-m", {"layers": [1], "lr": 5e-3})],
)
def test_a_method_without_subject_takes_them(method: str, settings: dict[str, Any], tmp_path: Path) -> None:
    resources = Resources(tiny_statistics(MODEL, tmp_path))
    (step,) = edit_in_batches(create_editor(method, settings), MODEL, [NO_SUBJECT], 1, resources)
    (report,) = step.reports
    assert report.final_loss < report.first_loss
