"""Slots keep every row's own keys and values while other rows enter and leave."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sequela.inference.torch.attention.kv_slots import Prefix, Row, Slots

HEADS, SIZE, LAYERS = 2, 3, (0, 1)

ENTER = st.tuples(st.just("enter"), st.integers(1, 9), st.booleans())
STEP = st.tuples(st.just("step"), st.just(0), st.just(False))
LEAVE = st.tuples(st.just("leave"), st.integers(0, 50), st.just(False))


def states(numbers: list[float], layer: int) -> torch.Tensor:
    """Returns states that identify row, token and layer, `[1, heads, tokens, size]`."""
    return (torch.tensor(numbers) + 0.5 * layer).view(1, 1, -1, 1).expand(1, HEADS, -1, SIZE).clone()


@settings(max_examples=150, deadline=None)
@given(st.lists(st.one_of(ENTER, STEP, STEP, LEAVE), max_size=40))
def test_rows_read_what_they_wrote_and_never_what_was_there_before(
    events: list[tuple[str, int, bool]],
) -> None:
    slots, expected = Slots(), list[list[float]]()
    for number, (event, argument, broken) in enumerate(events):
        if event == "enter":
            written = [float("nan") if broken else 100.0 * number + i for i in range(argument)]
            slot = len(slots.rows)
            slots.rows.append(Row(None, argument))
            expected.append(written)
            for layer in LAYERS:
                key = states(written, layer)
                slots.write_row(layer, slot, key, -key)
        elif event == "step" and expected:
            columns = torch.tensor([row.length for row in slots.rows])
            for slot, row in enumerate(slots.rows):
                row.length += 1
                expected[slot].append(100.0 * number + slot)
            for layer in LAYERS:
                key = torch.cat([states([row[-1]], layer) for row in expected])
                slots.write_step(layer, columns, key, -key)
        elif event == "leave" and expected:
            slot = argument % len(expected)
            slots.leave(slot)
            expected[slot] = expected[-1]
            expected.pop()
        assert [row.length for row in slots.rows] == [len(row) for row in expected]
        if not expected:
            continue
        for layer in LAYERS:
            transposed, values = slots.read(layer)
            keys = transposed.transpose(2, 3)
            assert keys.shape == values.shape == (len(expected), HEADS, max(map(len, expected)), SIZE)
            for slot, row in enumerate(expected):
                expected_row = states(row, layer)[0]
                torch.testing.assert_close(
                    keys[slot, :, : len(row)], expected_row, rtol=0, atol=0, equal_nan=True
                )
                torch.testing.assert_close(
                    values[slot, :, : len(row)], -expected_row, rtol=0, atol=0, equal_nan=True
                )
                # Masked, but zero times NaN is NaN: no remains of another row may be there.
                assert torch.isfinite(keys[slot, :, len(row) :]).all()
                assert torch.isfinite(values[slot, :, len(row) :]).all()


def test_a_row_begins_after_its_prefix() -> None:
    assert Row(Prefix((5, 6, 7)), 2).start == 3
    assert Row(None, 2).start == 0
