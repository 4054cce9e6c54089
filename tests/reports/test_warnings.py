from __future__ import annotations

from sequela.reports import run_warnings
from support.measurements import expressed, perplexity
from support.suites import SUITES


def test_two_ways_to_keep_nothing_are_told_apart() -> None:
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
        "mend on m (order seed 0) collapsed between edits 0 and 20: its perplexity is 3,000"
    )
    assert (
        "mend (last-only) on m (order seed 0) was given 20 edits and expresses 1 of them" in descriptions[1]
    )


def test_a_healthy_run_needs_no_remark() -> None:
    assert run_warnings([expressed(20, 18)], SUITES) == []
