"""The peak memory of a run, from the configuration alone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from sequela.models.weightless import WeightlessModel, weightless_model
from sequela.planning.counting import GeneratingCall, ScoringCall
from sequela.planning.memory import RUNNING, peak_memory
from sequela.planning.methods import MethodShape
from support.tiny import KEY_WIDTH, tiny_module

PLAIN = MethodShape(layers=(1,), lowest_block=1, gradient_steps=0, rows=1, row_tokens=10.0)
CALL = ScoringCall(n_requests=1, tokens=100, positions=1, length=10)


@pytest.fixture
def model(tmp_path: Path) -> WeightlessModel:
    tiny_module("llama").config.save_pretrained(tmp_path)
    return weightless_model(str(tmp_path), torch.float32, torch.device("cpu"))


def test_it_has_the_weights_in_their_dtype_and_the_program(model: WeightlessModel) -> None:
    memory = peak_memory(model, [CALL], 100, [PLAIN], program=7)
    assert memory.weights == 4 * model.n_parameters
    assert memory.program == 7 + RUNNING
    assert memory.total == memory.program + memory.model
    half = weightless_model(model.name, torch.bfloat16, torch.device("cpu"))
    assert peak_memory(half, [CALL], 100, [PLAIN], program=7).weights == 2 * model.n_parameters


def test_statistics_are_factors_in_fp64_for_every_layer(model: WeightlessModel) -> None:
    without = peak_memory(model, [CALL], 100, [PLAIN], program=0).methods
    layers = replace(PLAIN, statistics_layers=(0, 1, 2))
    factoring = 2 * 8 * KEY_WIDTH**2 + 4 * KEY_WIDTH**2
    assert peak_memory(model, [CALL], 100, [layers], 0).methods == without + 3 * 8 * KEY_WIDTH**2 + factoring


def test_optimizers_and_networks_count(model: WeightlessModel) -> None:
    trained = replace(PLAIN, trained_parameters=1000)
    assert peak_memory(model, [CALL], 100, [trained], 0).methods == 24_000
    network = replace(PLAIN, network_parameters=5000)
    assert peak_memory(model, [CALL], 100, [trained, network], 0).methods == 24_000  # one at a time


def test_longer_answers_need_more_keys_and_values(model: WeightlessModel) -> None:
    few = GeneratingCall(prompt_tokens=10, length=10, most=(8,))
    many = GeneratingCall(prompt_tokens=10, length=10, most=(8,) * 100)
    assert (
        peak_memory(model, [many], 0, [PLAIN], 0).requests - peak_memory(model, [few], 0, [PLAIN], 0).requests
        == 99 * 18 * model.key_value_bytes
    )


def test_a_limit_bounds_it(model: WeightlessModel) -> None:
    assert peak_memory(model, [CALL], 100, [PLAIN], program=2**40, limit=2**30).total == 2**30
