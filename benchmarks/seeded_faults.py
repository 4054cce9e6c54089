"""Counts the seeded faults that the tests catch.

    python benchmarks/seeded_faults.py                   # the quick tests (`make test`)
    python benchmarks/seeded_faults.py --slow            # the slow ones too (`make test-slow`)
    python benchmarks/seeded_faults.py --only 3 7        # some of the faults, by number

Each fault is inserted into a copy of the repository, and the tests run there until the first failure: those
that should notice it first, then all. Prints one line of JSON per fault: its number and name, whether
it was caught, by which test, and after how many seconds.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from support.faults import FAULTS, Fault

ROOT = Path(__file__).parents[1]
COPIED = ("src", "tests", "benchmarks", "docs", "examples", "pyproject.toml", "README.md", "Makefile")
FAILED = re.compile(r"^(?:FAILED|ERROR) (\S+)", re.MULTILINE)
OWN_TEST = "tests/benchmarks/test_seeded_faults.py"
NOTHING_FAILED = (0, 5)
"""Exit statuses of pytest: all passed, and no test was collected."""


def main() -> None:
    """Inserts the faults one by one and prints the tests that caught them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--slow", action="store_true")
    parser.add_argument("--only", type=int, nargs="+", default=range(1, len(FAULTS) + 1))
    parser.add_argument("--workers", default="auto", help="pytest-xdist's -n")
    arguments = parser.parse_args()
    for number in arguments.only:
        fault = FAULTS[number - 1]
        start = time.monotonic()
        caught_by = first_failure(fault, arguments.slow, arguments.workers)
        reported = {
            "number": number,
            "fault": fault.name,
            "caught": bool(caught_by),
            "by": caught_by,
            "seconds": round(time.monotonic() - start),
        }
        sys.stdout.write(json.dumps(reported) + "\n")
        sys.stdout.flush()


def first_failure(fault: Fault, slow: bool, workers: str) -> str:
    """Returns the first test that fails with a fault; empty if none does.

    Args:
        fault: The fault.
        slow: Whether slow tests run too.
        workers: The number of test processes.

    Raises:
        RuntimeError: pytest could not run the tests.
    """
    with tempfile.TemporaryDirectory(prefix="seeded-fault-") as folder:
        copy = Path(folder)
        for name in COPIED:
            source = ROOT / name
            if source.is_dir():
                shutil.copytree(source, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
            elif source.is_file():
                shutil.copy(source, copy / name)
        if (ROOT / ".pytest_cache").is_dir():
            shutil.copytree(ROOT / ".pytest_cache", copy / ".pytest_cache")  # the trained tiny model
        fault.plant(copy / "src" / "sequela")
        for tests in (f"tests/{fault.tests}", "tests"):
            failed = _run(copy, tests, slow, workers)
            if failed:
                return failed
    return ""


def _run(copy: Path, tests: str, slow: bool, workers: str) -> str:
    marks = "not vllm" if slow else "not slow and not vllm"
    command = [sys.executable, "-m", "pytest", "-x", "-n", workers, "-m", marks, tests]
    command += ["--ignore", OWN_TEST]  # it notices every fault, because it looks for the right source
    environment = {**os.environ, "PYTHONPATH": str(copy / "src")}
    done = subprocess.run(command, cwd=copy, env=environment, capture_output=True, text=True, check=False)
    if done.returncode in NOTHING_FAILED:
        return ""
    failed = FAILED.search(done.stdout)
    if failed is None:
        raise RuntimeError(
            f"pytest ended with {done.returncode}:\n{done.stdout[-2000:]}{done.stderr[-2000:]}"
        )
    return failed[1]


if __name__ == "__main__":
    main()
