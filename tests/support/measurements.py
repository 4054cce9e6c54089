"""Measurements of made-up runs."""

from __future__ import annotations

from typing import Any

from sequela.results import EDIT_QUALITY, Measurement
from sequela.results.metrics import EFFECTIVE_EDITS


def expressed(n_edits: int, value: float | None, variant: str = "", **changes: Any) -> Measurement:
    """Returns the number of edits that a model expresses, counted at their checkpoint."""
    fields: dict[str, Any] = {
        "model": "m",
        "editor": "mend",
        "variant": variant,
        "edit_source": "builtin",
        "order_seed": 0,
        "n_edits": n_edits,
        "suite": EDIT_QUALITY,
        "task": "retention@n",
        "metric": EFFECTIVE_EDITS.name,
        "protocol": "free_decoding",
        "value": value,
        "n": n_edits,
    }
    return Measurement.model_validate({**fields, **changes})


def perplexity(n_edits: int, value: float, variant: str = "") -> Measurement:
    """Returns the perplexity of the same model, which is 20 before any edit."""
    named = {"suite": "perplexity", "task": "fixed_text", "metric": "perplexity", "protocol": "fixed_text"}
    return expressed(n_edits, value, variant, baseline=20.0, **named)
