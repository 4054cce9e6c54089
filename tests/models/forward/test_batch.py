"""Padding and positions of batches."""

from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st

from sequela.models.forward.batch import pad_right

LENGTHS = st.lists(st.integers(1, 50), max_size=30)


@given(lengths=LENGTHS.filter(bool))
def test_padding_follows_the_tokens_and_positions_count_from_zero(lengths: list[int]) -> None:
    rows = [tuple(range(10, 10 + length)) for length in lengths]
    batch = pad_right(rows, 3, torch.device("cpu"))
    assert batch.lengths == tuple(lengths)
    for i, row in enumerate(rows):
        assert tuple(batch.ids[i, : len(row)].tolist()) == row
        assert (batch.ids[i, len(row) :] == 3).all()
        assert batch.positions[i].tolist() == list(range(max(lengths)))
