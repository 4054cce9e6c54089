"""The cases of a parametrized test that belong to the quick tier; see docs/explanation/testing.md."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

import pytest
from _pytest.mark import ParameterSet

TRANSPOSED, POST_NORM, PLAIN = "gpt2", "gemma2", "llama"
"""Weights stored as `[in, out]`; norms after the blocks, a sliding window and soft caps; the common form."""

QUICK_FAMILIES = (TRANSPOSED, POST_NORM, PLAIN)
"""The families of expensive tests in the quick tier; the slow tier has all."""


def quick_cases(cases: Iterable[Any], quick: Collection[Any]) -> list[ParameterSet]:
    """Returns all cases as parameters, with all but the quick ones marked slow.

    Args:
        cases: The cases of the slow tier.
        quick: The cases that the quick tier runs too.

    Raises:
        ValueError: A quick case is not among the cases, or none is quick.
    """
    listed = list(cases)
    missing = [case for case in quick if case not in listed]
    if missing or not quick:
        raise ValueError(f"Not among the cases: {missing}." if missing else "No case is quick.")
    return [
        pytest.param(case, id=str(case), marks=() if case in quick else pytest.mark.slow) for case in listed
    ]
