"""The literal ROME and MEMIT, which editing speed is measured against, make the edits that ours make."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
import torch

from sequela.edited import Delta
from sequela.editors import Resources, create_editor
from sequela.editors.shared.target_optimization import TargetHyperparameters
from sequela.models import LanguageModel
from support.edits import CONTEXTS, TINY_EDITS
from support.statistics import tiny_statistics

STEPS = {"v_num_grad_steps": 5}


@pytest.fixture(scope="module")
def literal(benchmark_support: Callable[[str], ModuleType]) -> ModuleType:
    """`benchmarks/support/literal_editing.py`."""
    return benchmark_support("literal_editing")


def check(ours: Delta, other: Delta) -> None:
    assert set(ours.updates) == set(other.updates)
    for name, update in ours.updates.items():
        expected = update.to_dense()
        difference = torch.linalg.norm(other.updates[name].to_dense() - expected)
        assert float(difference) < 1e-4 * float(torch.linalg.norm(expected)), name


def test_both_methods(literal: ModuleType, tiny_model: Callable[..., LanguageModel], tmp_path: Path) -> None:
    model, edits = tiny_model("llama"), TINY_EDITS[:2]
    statistics = tiny_statistics(model, tmp_path)
    resources, settings = Resources(statistics, contexts=CONTEXTS), TargetHyperparameters(**STEPS)

    rome = create_editor("rome", {"layers": [1], **STEPS})
    ours = rome.edit(model, edits[:1], rome.prepare(model, resources), resources).delta
    check(ours, literal.literal_rome(model, edits[0], CONTEXTS, 1, settings, statistics))

    memit = create_editor("memit", {"layers": [1, 2], **STEPS})
    ours = memit.edit(model, edits, memit.prepare(model, resources), resources).delta
    weight = float(model.key_size)
    check(ours, literal.literal_memit(model, edits, CONTEXTS, [1, 2], weight, settings, statistics))
