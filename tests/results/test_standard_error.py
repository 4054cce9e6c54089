from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sequela.results import wilson_interval


@pytest.mark.parametrize(
    ("right", "interval"), [(0, (0.0, 0.0713)), (25, (0.3664, 0.6336)), (50, (0.9287, 1.0))]
)
def test_wilsons_interval(right: int, interval: tuple[float, float]) -> None:
    assert wilson_interval(right / 50, 50) == pytest.approx(interval, abs=1e-4)


@given(st.integers(1, 500), st.data())
def test_the_interval_has_the_share_in_it_and_shrinks_with_n(n: int, data: st.DataObject) -> None:
    share = data.draw(st.integers(0, n)) / n
    low, high = wilson_interval(share, n)
    wider_low, wider_high = low, high
    low, high = wilson_interval(share, 4 * n)
    assert 0 <= wider_low <= low <= share + 1e-12
    assert share - 1e-12 <= high <= wider_high + 1e-12 <= 1 + 2e-12
