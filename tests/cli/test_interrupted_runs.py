"""However often Ctrl-C or SIGTERM comes, and when: a run ends as stopped, and never stays `running`."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from sequela.results import Status, read_manifest
from support.studies import small_study, write_study

pytestmark = pytest.mark.slow

START = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
PROGRAM = (sys.executable, "-c", f"{START}; from sequela.__main__ import main; main()")

MOMENTS = ("manifest.json", "results.sqlite", "checkpoints/*/1/edits.json", "checkpoints/*/2/edits.json")
"""Files at whose appearance the first signal comes."""

GAPS = (0.0, 0.05, 1.1, 1.5)
"""The seconds between two signals; a command ignores repeated ones for a second, and then no more."""


@pytest.mark.parametrize("n_workers", [1, 2])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("moment", MOMENTS)
def test_two_signals_leave_a_stopped_run(
    world_folder: Path,
    edits_file: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    moment: str,
    number: signal.Signals,
    n_workers: int,
) -> None:
    monkeypatch.setenv("SEQUELA_CACHE", str(tmp_path / "cache"))
    gaps = GAPS[MOMENTS.index(moment) % 2 :: 2]
    study = write_study(tmp_path / "study.yaml", small_study(world_folder, edits_file))
    for gap in gaps:
        folder = tmp_path / f"run {gap}"
        monkeypatch.setenv("SEQUELA_STORE", str(tmp_path / f"store {gap}"))
        process = subprocess.Popen(
            (*PROGRAM, "run", str(study), "-o", str(folder), "--workers", str(n_workers)),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
        try:
            while not list(folder.glob(moment)) and process.poll() is None:
                time.sleep(0.005)
            for _ in range(2):
                process.send_signal(number)
                time.sleep(gap)
            _, error = process.communicate(timeout=120)
        finally:
            process.kill()
        assert process.returncode == 130, (gap, error)
        assert "Traceback" not in error
        if (folder / "manifest.json").exists():
            assert read_manifest(folder).status is Status.STOPPED, (gap, error)
        assert not [path.name for path in folder.iterdir() if path.name.startswith(".")], gap
