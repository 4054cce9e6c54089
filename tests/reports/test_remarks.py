from __future__ import annotations

from typing import Any

from sequela.reports import remarks
from sequela.results import EDIT_QUALITY, EFFECTIVE_EDITS, Measurement


def measured(variant: str, n_edits: int, value: float, **changes: Any) -> Measurement:
    fields: dict[str, Any] = {
        "model": "m",
        "editor": "mend",
        "variant": variant,
        "edit_source": "builtin",
        "order_seed": 0,
        "n_edits": n_edits,
        "suite": EDIT_QUALITY,
        "task": "retention@n",
        "metric": EFFECTIVE_EDITS,
        "protocol": "free_decoding",
        "value": value,
        "n": n_edits,
    }
    return Measurement.model_validate({**fields, **changes})


def test_two_ways_to_keep_nothing_are_told_apart() -> None:
    named = {"suite": "perplexity", "task": "fixed_text", "metric": "perplexity", "protocol": "fixed_text"}
    told = remarks(
        [
            measured("", 20, 3000.0, baseline=20.0, **named),
            measured("", 20, 0),
            measured("last-only", 20, 30.0, baseline=20.0, **named),
            measured("last-only", 20, 1),
        ]
    )
    assert len(told) == 2
    assert told[0].startswith(
        "mend on m (order seed 0) collapsed between edits 0 and 20: its perplexity is 3,000"
    )
    assert "mend (last-only) on m (order seed 0) was given 20 edits and expresses 1 of them" in told[1]


def test_a_healthy_run_needs_no_remark() -> None:
    assert remarks([measured("", 20, 18)]) == []
