"""If memory runs out, half as many tokens are run at once; here the system really denies memory."""

from __future__ import annotations

import itertools
import json
import logging
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from sequela.core.batching import retry_on_oom
from sequela.core.errors import SequelaError
from sequela.inference import WorkingMemory
from sequela.models import LanguageModel
from support import short_of_memory
from support.tiny import KEY_WIDTH, tiny_language_model

TESTS = Path(short_of_memory.__file__).parents[1]
on_linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux limits the memory of a process")


def halvings(logged: list[str]) -> list[int]:
    """Returns the number of tokens at once in each retry."""
    reported = [
        re.fullmatch(r"Out of memory: trying again with (\d+) tokens at once\.", line) for line in logged
    ]
    return [int(match[1]) for match in reported if match]


@pytest.mark.slow
@on_linux
@pytest.mark.parametrize("kind", ["score", pytest.param("generate", marks=pytest.mark.slow)])
def test_with_less_memory_fewer_tokens_are_run_at_once_and_the_answers_are_the_same(kind: str) -> None:
    # Processors differ in how much is too little: the limit is lowered until memory runs out.
    limits = ("4096", "360", "310", "270", "235", "200", "175")
    program = subprocess.run(
        [sys.executable, "-m", "support.short_of_memory", kind, *limits],
        cwd=TESTS,
        capture_output=True,
        text=True,
        check=False,
    )
    assert program.returncode == 0, program.stderr
    enough, *_, last = json.loads(program.stdout)
    assert enough["logged"] == []
    tried = halvings(last["logged"])
    assert tried != []
    assert all(later == earlier // 2 for earlier, later in itertools.pairwise(tried))
    for answer in (enough, last):
        for ours, theirs in zip(answer["found"], answer["expected"], strict=True):
            assert ours == pytest.approx(theirs, abs=1e-4)


def test_a_failed_allocation_is_distinguished_from_other_errors(
    caplog: pytest.LogCaptureFixture,
) -> None:
    tried = []

    def too_large_from_five_on(tokens: int) -> int:
        tried.append(tokens)
        return torch.empty(2**58 if tokens >= 5 else 2**2).numel()

    with caplog.at_level(logging.WARNING):
        assert retry_on_oom(40, too_large_from_five_on) == 4
    assert tried == [40, 20, 10, 5, 2]
    assert caplog.messages == [
        f"Out of memory: trying again with {tokens} tokens at once." for tokens in (20, 10, 5, 2)
    ]


@pytest.mark.parametrize("allocate", [lambda: torch.empty(2**58), lambda: bytearray(2**60)])
def test_too_little_memory_for_a_single_token_is_an_error(allocate: Any) -> None:
    with pytest.raises(SequelaError, match="single token") as caught:
        retry_on_oom(3, lambda _: allocate())
    assert isinstance(caught.value.__cause__, (RuntimeError, MemoryError))


def test_other_errors_pass_through_at_once() -> None:
    tried = []

    def wrong_shapes(tokens: int) -> torch.Tensor:
        tried.append(tokens)
        return torch.ones(2, 3) @ torch.ones(2, 3)

    with pytest.raises(RuntimeError, match="cannot be multiplied"):
        retry_on_oom(64, wrong_shapes)
    assert tried == [64]


# The number of tokens within a budget


def test_the_number_of_tokens_at_once_follows_the_budget() -> None:
    model = tiny_language_model("llama")
    token = 12 * KEY_WIDTH * 4  # bytes: twelve vectors of an MLP's inner width
    assert WorkingMemory(size=10 * token).tokens_at_once(model) == 10
    assert WorkingMemory(size=10 * token - 1).tokens_at_once(model) == 9
    assert WorkingMemory(size=10 * token, most_tokens=7).tokens_at_once(model) == 7
    model.module.to(torch.bfloat16)
    assert WorkingMemory(size=10 * token).tokens_at_once(model) == 20


def test_the_number_of_tokens_kept_follows_the_budget(any_family: LanguageModel) -> None:
    """The estimate equals the size of transformers' own cache."""
    cache = any_family.module(torch.tensor([[5, 6, 7]]), use_cache=True).past_key_values
    taken = sum(layer.keys.nbytes + layer.values.nbytes for layer in cache.layers)
    assert WorkingMemory(size=taken).tokens_kept(any_family) == 3
    assert WorkingMemory(size=taken - 1).tokens_kept(any_family) == 2
    any_family.module.to(torch.bfloat16)
    assert WorkingMemory(size=taken).tokens_kept(any_family) == 6
