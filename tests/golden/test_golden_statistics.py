"""Key covariances against the reference's."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from sequela.statistics import Statistics
from support.oracle import Case, near


@pytest.mark.parametrize(
    "layer", [8, *(pytest.param(layer, marks=pytest.mark.slow) for layer in (6, 7, 9, 10))]
)
def test_key_covariance(layer: int, case: Callable[[str], Case], statistics: Statistics) -> None:
    expected = {
        key.partition("/")[2]: tensor
        for key, tensor in case("rome_cov_0").shared.items()
        if key.startswith(f"C{layer}/")
    }
    C = statistics.key_covariance(layer).matrix.double()
    near(C.trace()[None], expected["trace"], 1e-5, "trace")
    near(C.norm()[None], expected["fro"], 1e-5, "norm")
    near(C @ case("rome_cov_0").shared["R"].double(), expected["at_R"], 1e-4, "C R")
    near(torch.linalg.eigvalsh(C), expected["eigenvalues"], 1e-5, "eigenvalues")
