"""TIES, compared with its three steps entry by entry, and its general properties."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sequela.editors.methods.wise.ties_merging import merged, trimmed

SHAPE = (3, 4)


@st.composite
def changes(draw: st.DrawFn) -> tuple[list[torch.Tensor], list[float]]:
    """Draws one to four changes, with zeros and otherwise different entries, and their weights."""
    n = draw(st.integers(1, 4))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 10_000)))
    drawn = torch.randn(n, *SHAPE, generator=generator, dtype=torch.float64)
    drawn *= torch.rand(n, *SHAPE, generator=generator) < draw(st.floats(0.1, 1.0))
    return list(drawn), draw(st.lists(st.floats(0.1, 2.0), min_size=n, max_size=n))


def entry_by_entry(given: list[torch.Tensor], weights: list[float], density: float) -> torch.Tensor:
    """Performs the three steps as described in the paper."""
    kept = []
    for change in given:
        values = change.flatten().tolist()
        order = sorted(range(len(values)), key=lambda i: -abs(values[i]))
        staying = set(order[: max(1, int(density * len(values)))])
        kept.append([value if i in staying else 0.0 for i, value in enumerate(values)])
    result = []
    for column in zip(*kept, strict=True):
        total = sum(weight * value for weight, value in zip(weights, column, strict=True))
        same = [(w, v) for w, v in zip(weights, column, strict=True) if (v > 0 if total >= 0 else v < 0)]
        result.append(sum(w * v for w, v in same) / sum(w for w, _ in same) if same else 0.0)
    return torch.tensor(result, dtype=torch.float64).reshape(SHAPE)


@given(changes(), st.floats(0.05, 1.0))
def test_merging_equals_the_steps_entry_by_entry(
    given: tuple[list[torch.Tensor], list[float]], density: float
) -> None:
    torch.testing.assert_close(merged(*given, density), entry_by_entry(*given, density))


@given(changes(), st.floats(0.05, 1.0), st.floats(0.1, 10))
def test_a_common_factor_of_the_weights_makes_no_difference(
    given: tuple[list[torch.Tensor], list[float]], density: float, factor: float
) -> None:
    parts, weights = given
    scaled = merged(parts, [factor * weight for weight in weights], density)
    torch.testing.assert_close(scaled, merged(parts, weights, density))


@given(changes(), st.floats(0.05, 1.0), st.randoms(use_true_random=False))
def test_the_order_of_the_changes_makes_no_difference(
    given: tuple[list[torch.Tensor], list[float]], density: float, random: object
) -> None:
    pairs = list(zip(*given, strict=True))
    random.shuffle(pairs)  # type: ignore[attr-defined]
    parts, weights = (list(one) for one in zip(*pairs, strict=True))
    torch.testing.assert_close(merged(parts, weights, density), merged(*given, density))


@given(changes(), st.floats(0.05, 1.0))
def test_no_entry_exceeds_the_greatest_or_has_a_sign_that_none_has(
    given: tuple[list[torch.Tensor], list[float]], density: float
) -> None:
    stack, result = torch.stack(given[0]), merged(*given, density)
    assert bool((result <= stack.max(dim=0).values.clamp(min=0) + 1e-12).all())
    assert bool((result >= stack.min(dim=0).values.clamp(max=0) - 1e-12).all())


def test_changes_of_different_entries_are_kept_unchanged() -> None:
    """This is the purpose of shards with masks."""
    first, second = torch.tensor([1.0, -2.0, 0.0, 0.0]), torch.tensor([0.0, 0.0, -3.0, 4.0])
    assert torch.equal(merged([first, second], [0.5, 0.5], 0.5), first + second)


@pytest.mark.parametrize(
    ("density", "expected"), [(1.0, [1.0, -4, 2, 0]), (0.5, [0.0, -4, 2, 0]), (0.01, [0.0, -4, 0, 0])]
)
def test_trimming_keeps_the_greatest(density: float, expected: list[float]) -> None:
    assert trimmed(torch.tensor([1.0, -4, 2, 0]), density).tolist() == expected
