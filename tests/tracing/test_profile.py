from __future__ import annotations

import pytest
import torch

from sequela.tracing import PLACES, CausalTrace, profile_of
from sequela.tracing.profile import place_of


def trace(subject: tuple[int, int], restored: list[list[float]], corrupted: float = 0.1) -> CausalTrace:
    table = torch.tensor(restored)
    return CausalTrace(tuple("abcdefgh"[: len(table)]), subject, "x", 0.9, corrupted, table)


@pytest.mark.parametrize(
    ("subject", "n_tokens", "expected"),
    [
        ((1, 3), 7, ["", "first", "middle", "last subject", "first token after", "further", "last token"]),
        ((0, 0), 3, ["last subject", "first token after", "last token"]),
        ((0, 1), 2, ["first", "last subject"]),
        ((0, 0), 2, ["last subject", "last token"]),
    ],
)
def test_kinds_of_tokens(subject: tuple[int, int], n_tokens: int, expected: list[str]) -> None:
    kinds = [place_of(token, n_tokens, subject) for token in range(n_tokens)]
    assert all(kind.startswith(start) for kind, start in zip(kinds, expected, strict=True))
    assert set(kinds) <= {"", *PLACES}


def test_every_prompt_has_equal_weight_for_the_kinds_of_tokens_that_it_has() -> None:
    short = trace((0, 0), [[0.6, 0.2], [0.1, 0.9]])
    long = trace((0, 2), [[0.2, 0.1], [0.3, 0.1], [0.4, 0.5], [0.1, 0.3], [0.1, 0.7]], corrupted=0.0)
    found = profile_of([short, long])
    table = dict(zip(PLACES, found.restored.tolist(), strict=True))
    assert table["last subject token"] == pytest.approx([(0.5 + 0.4) / 2, (0.1 + 0.5) / 2])
    assert table["first subject token"] == pytest.approx([0.2, 0.1])
    assert table["last token"] == pytest.approx([0.05, 0.75])
    assert all(value != value for value in table["further tokens"])
    assert (found.n, found.clean, found.corrupted) == (2, 0.9, pytest.approx(0.05))
    assert found.strongest_layer == 0
