"""Every method on a model that is distributed over two devices, one of them simulated."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from torch.utils import backend_registration

from sequela.editors.catalog import METHODS

TESTS = Path(__file__).parents[1]

pytestmark = pytest.mark.skipif(
    not hasattr(backend_registration, "_setup_privateuseone_for_python_backend"),
    reason="this version of torch can't simulate a device",
)


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "support.two_devices", *arguments],
        cwd=TESTS,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )


@pytest.mark.parametrize(
    "methods", [("memit", "grace", "ft-m"), pytest.param((), marks=pytest.mark.slow)], ids=["a few", "all"]
)
def test_the_change_is_that_of_one_device(methods: tuple[str, ...]) -> None:
    answer = run(*methods)
    assert answer.returncode == 0, answer.stderr
    differences = json.loads(answer.stdout)
    assert {name.split("+")[0] for name in differences} == set(methods or METHODS)
    for weights in differences.values():
        assert weights
        assert all(difference < 1e-4 * norm for norm, difference in weights.values())


@pytest.mark.slow
def test_a_tensor_on_the_wrong_device_is_noticed() -> None:
    answer = run("rome", "--without-hooks")
    assert answer.returncode != 0
    assert "tensors of two devices" in answer.stderr
