from __future__ import annotations

from pathlib import Path

import pytest
import torch

from sequela.core.errors import BadInputError
from sequela.editors import Resources, create_editor
from sequela.editors.shared.multi_layer import MultiLayerEditor
from support.statistics import tiny_statistics
from support.tiny import KEY_WIDTH, tiny_language_model

MODEL = tiny_language_model("llama")


def test_it_is_the_formula(tmp_path: Path) -> None:
    """`(lambda C + K Kᵀ + weight I)⁻¹ K`, solved in full."""
    editor = create_editor(
        "memit+norm", {"layers": [1, 2], "mom2_update_weight": 3.0, "norm": {"weight": 0.7}}
    )
    resources = Resources(tiny_statistics(MODEL, tmp_path), contexts=("{}",))
    editor.prepare(MODEL, resources)
    inner = editor.editor  # type: ignore[attr-defined]
    assert isinstance(inner, MultiLayerEditor)
    keys = torch.randn(2, KEY_WIDTH, generator=torch.Generator().manual_seed(1))
    found = inner._adjusted(MODEL, keys, None, 1, resources).keys
    c, k = resources.statistics.key_covariance(1).matrix.double(), keys.T.double()
    full = 3.0 * c + k @ k.T + 0.7 * torch.eye(KEY_WIDTH, dtype=torch.float64)
    torch.testing.assert_close(found, torch.linalg.solve(full, k), rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("method", ["rome", "alphaedit", "kn", "ultraedit", "ft-m"])
def test_a_method_without_such_a_solve_is_rejected(method: str) -> None:
    with pytest.raises(BadInputError, match=f"{method} has none") as caught:
        create_editor(f"{method}+norm")
    assert "memit" in (caught.value.hint or "")
