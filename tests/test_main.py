"""`python -m sequela` is the command `sequela`."""

from __future__ import annotations

import subprocess
import sys

from sequela import __version__


def test_the_package_runs_as_a_module() -> None:
    answer = subprocess.run(
        [sys.executable, "-m", "sequela", "--version"], capture_output=True, text=True, check=True, timeout=60
    )
    assert answer.stdout.split()[-1] == __version__
