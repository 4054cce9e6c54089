"""Threads sleep while they wait in the program, not in the library, unless the user sets a policy."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import sequela
from sequela.cli.threads import WAIT_VARIABLES, wait_passively


def in_a_process(code: str, **variables: str) -> str:
    """Runs code in a process with only the given wait variables; returns both of its outputs."""
    kept = {name: value for name, value in os.environ.items() if name not in WAIT_VARIABLES}
    ran = subprocess.run(
        [sys.executable, "-c", code],
        env={**kept, "PYTHONPATH": str(Path(sequela.__file__).parents[1]), **variables},
        capture_output=True,
        text=True,
        check=True,
    )
    return ran.stdout + ran.stderr


def test_threads_wait_passively_unless_the_user_sets_a_policy() -> None:
    environment: dict[str, str] = {}
    wait_passively(environment)
    assert environment == {"OMP_WAIT_POLICY": "passive"}


@pytest.mark.parametrize("name", WAIT_VARIABLES)
def test_a_policy_of_the_user_is_kept(name: str) -> None:
    environment = {name: "1000"}
    wait_passively(environment)
    assert environment == {name: "1000"}


def test_pytorch_follows_the_policy() -> None:
    code = (
        "import os; from sequela.cli.threads import wait_passively; wait_passively(os.environ); import torch"
    )
    shown = in_a_process(code, OMP_DISPLAY_ENV="true")
    assert re.search(r"OMP_WAIT_POLICY\s*=\s*'PASSIVE'", shown)


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("from sequela.cli.main import main\ntry:\n  main()\nfinally:\n  {}", "passive"),
        ("import sequela, sequela.cli.main\n{}", "None"),
        pytest.param("from sequela import load_model\n{}", "None", marks=pytest.mark.slow),
    ],
    ids=["the program", "its modules", "the library"],
)
def test_only_the_program_sets_the_policy(code: str, expected: str) -> None:
    shown = in_a_process(
        "import os, sys; sys.argv = ['sequela', '--version']\n"
        + code.format("print('policy', os.environ.get('OMP_WAIT_POLICY'))")
    )
    assert f"policy {expected}" in shown
