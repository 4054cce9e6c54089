"""The readers' errors on answers that were labeled by hand."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "tests" / "evaluation" / "lm_eval" / "labeled_answers"
REAL_DATA = Path(os.environ.get("SEQUELA_DATA") or ROOT.parent / "shared" / "data")

RECORDED = {
    ("unedited", "strict"): (5, 14, 0, 3),
    ("unedited", "lenient"): (3, 8, 11, 0),
    ("edited", "strict"): (5, 10, 0, 1),
    ("edited", "lenient"): (1, 4, 7, 0),
    ("collapsed", "strict"): (0, 6, 5, 4),
    ("collapsed", "lenient"): (0, 1, 12, 1),
}
"""Verdicts other than the label, and answers that were missed, invented, or taken for another; of 404."""


def test_the_readers_make_no_more_errors_than_recorded(
    benchmark_support: Callable[[str], ModuleType], monkeypatch: pytest.MonkeyPatch
) -> None:
    if not (REAL_DATA / "gsm8k" / "test.jsonl").is_file():
        pytest.skip("the questions are not there: set SEQUELA_DATA")
    monkeypatch.setenv("SEQUELA_DATA", str(REAL_DATA))
    support = benchmark_support("reading_errors")
    found = support.errors(list(support.labeled_answers(FOLDER)))
    for (state, reading), recorded in RECORDED.items():
        parts = [one for (_, *key), one in found.items() if key == [state, reading]]
        assert sum(one.n for one in parts) == 404
        counts = [(one.verdicts, one.missed, one.invented, one.other) for one in parts]
        assert all(
            now <= then for now, then in zip(map(sum, zip(*counts, strict=True)), recorded, strict=True)
        )
