from __future__ import annotations

from itertools import pairwise

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
    (low, high), (narrower_low, narrower_high) = (wilson_interval(share, k * n) for k in (1, 4))
    bounds = [0.0, low, narrower_low, share, narrower_high, high, 1.0]
    assert all(one <= next_ + 1e-12 for one, next_ in pairwise(bounds))
