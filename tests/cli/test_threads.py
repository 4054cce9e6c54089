"""The program, not the library, makes threads sleep while they wait and leaves cores to other work."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import sequela
from sequela.cli.threads import NUMBER_VARIABLES, WAIT_VARIABLES, limit_threads, wait_passively
from sequela.core.processor import Load


def in_a_process(code: str, **variables: str) -> str:
    """Runs code in a process with only the given variables of threads; returns both of its outputs."""
    kept = {
        name: value for name, value in os.environ.items() if name not in WAIT_VARIABLES + NUMBER_VARIABLES
    }
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


def test_an_idle_machine_is_used_as_a_whole() -> None:
    environment: dict[str, str] = {}
    assert limit_threads(environment, lambda: Load(8, 8, None, 0.3)) == ""
    assert environment == {}


@pytest.mark.parametrize(
    ("load", "threads", "reason"),
    [
        (Load(2, 2, None, 2.0), "1", "1 thread on 2 cores: other work uses 2.0 "),
        (Load(64, 16, 4.0, 0.0), "4", "4 threads on 16 cores: the limit of this container is 4 "),
        (
            Load(16, 16, 8.0, 16.0),
            "4",
            "4 threads on 16 cores: the limit of this container is 8 and other work uses 16.0 ",
        ),
    ],
    ids=["other work", "a container", "both"],
)
def test_fewer_threads_run_where_they_would_wait_for_a_core(load: Load, threads: str, reason: str) -> None:
    environment: dict[str, str] = {}
    said = limit_threads(environment, lambda: load)
    assert environment == {"OMP_NUM_THREADS": threads}
    assert said == f"{reason}(OMP_NUM_THREADS sets another number)"


@pytest.mark.parametrize("name", NUMBER_VARIABLES)
def test_a_number_of_the_user_is_kept(name: str) -> None:
    environment = {name: "7"}
    assert limit_threads(environment, lambda: Load(2, 2, None, 9.0)) == ""
    assert environment == {name: "7"}


def test_commands_that_run_models_say_the_number() -> None:
    code = (
        "import sys, sequela.cli.main as program; sys.argv = ['sequela', *{}]\n"
        "program.limit_threads = lambda environment: '1 thread on 2 cores'\n"
        "try:\n  program.main()\nexcept SystemExit:\n  pass"
    )
    missing = "['run', 'missing.yaml']"
    assert in_a_process(code.format(missing)).startswith("1 thread on 2 cores")
    for other in ("['run', '--help']", "['methods']", "['--version']"):
        assert "1 thread on 2 cores" not in in_a_process(code.format(other))
