from __future__ import annotations

from sequela.reports import run_warnings
from support.measurements import expressed, perplexity
from support.suites import SUITES


def test_collapse_and_forgetting_are_distinguished() -> None:
    descriptions = run_warnings(
        [
            perplexity(20, 3000.0),
            expressed(20, 0),
            perplexity(20, 30.0, "last-only"),
            expressed(20, 1, "last-only"),
        ],
        SUITES,
    )
    assert len(descriptions) == 2
    assert descriptions[0].startswith(
        "mend on m (shuffle seed 0) collapsed between edits 0 and 20: its perplexity is 3,000"
    )
    assert "mend (last-only) on m (shuffle seed 0) expresses only 1 of 20 edits" in descriptions[1]


def test_a_healthy_run_has_no_warning() -> None:
    assert run_warnings([expressed(20, 18)], SUITES) == []
