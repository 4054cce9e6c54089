"""Groups of rows within a budget of tokens."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sequela.core.batching import by_token_budget

LENGTHS = st.lists(st.integers(1, 50), max_size=30)


@given(lengths=LENGTHS, budget=st.integers(1, 200))
def test_every_row_is_in_one_group_and_groups_are_within_the_budget(lengths: list[int], budget: int) -> None:
    groups = list(by_token_budget(lengths, budget))
    assert sorted(i for group in groups for i in group) == list(range(len(lengths)))
    for group in groups:
        longest = max(lengths[i] for i in group)
        assert len(group) * longest <= budget or len(group) == 1
