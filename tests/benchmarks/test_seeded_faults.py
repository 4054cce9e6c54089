"""The seeded faults fit the source as it is, so that the proof can be run at any time."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def faults(benchmark_support: Callable[[str], ModuleType]) -> ModuleType:
    return benchmark_support("faults")


def test_every_fault_can_be_planted(faults: ModuleType, tmp_path: Path) -> None:
    assert len(faults.FAULTS) == 20
    for fault in faults.FAULTS:
        copy = tmp_path / fault.file
        copy.parent.mkdir(parents=True, exist_ok=True)
        before = shutil.copy(ROOT / "src" / "sequela" / fault.file, copy).read_text(encoding="utf-8")
        fault.plant(tmp_path)
        after = copy.read_text(encoding="utf-8")
        assert after != before
        compile(after, fault.file, "exec")
        assert (ROOT / "tests" / fault.tests).exists()


def test_a_fault_that_no_longer_fits_is_refused(faults: ModuleType, tmp_path: Path) -> None:
    fault = faults.FAULTS[0]
    (tmp_path / fault.file).parent.mkdir(parents=True)
    (tmp_path / fault.file).write_text("nothing of it\n", encoding="utf-8")
    with pytest.raises(ValueError, match="occurs 0 times"):
        fault.plant(tmp_path)
