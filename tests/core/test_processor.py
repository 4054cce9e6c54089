"""The cores that a process may use, and the threads that other work leaves it."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sequela.core.processor import SAMPLES, Load, current_load, processor_name, usable_cores

CORES = st.integers(1, 256)


def folders(tmp_path: Path, loadavg: str | None, groups: dict[str, str], mine: str = "0::/") -> Load:
    """Returns the load that files like those of Linux describe."""
    proc, control = tmp_path / "proc", tmp_path / "cgroup"
    (proc / "self").mkdir(parents=True)
    control.mkdir()
    if loadavg is not None:
        (proc / "loadavg").write_text(loadavg)
    (proc / "self" / "cgroup").write_text(mine + "\n")
    for name, text in groups.items():
        (control / name).parent.mkdir(parents=True, exist_ok=True)
        (control / name).write_text(text)
    return current_load(proc, control, sleep=lambda seconds: None)


@pytest.mark.parametrize(
    ("load", "expected"),
    [
        (Load(2, 2, None, 0.0), 2),
        (Load(2, 2, None, 0.4), 2),
        (Load(2, 2, None, 1.0), 1),
        (Load(2, 2, None, 20.0), 1),
        (Load(16, 16, None, 16.0), 8),
        (Load(16, 4, None, 16.0), 2),
        (Load(16, 16, 2.5, 0.0), 2),
        (Load(16, 16, 0.5, 0.0), 1),
        (Load(1, 1, None, 3.0), 1),
    ],
)
def test_threads_get_a_core_each(load: Load, expected: int) -> None:
    assert load.fair_threads == expected


@given(
    cores=CORES, usable=CORES, others=st.floats(0, 1000), more=st.floats(0, 1000), quota=st.floats(0.1, 300)
)
def test_more_work_never_gives_more_threads(
    cores: int, usable: int, others: float, more: float, quota: float
) -> None:
    usable = min(cores, usable)
    for limit in (None, quota):
        load, busier = Load(cores, usable, limit, others), Load(cores, usable, limit, others + more)
        assert 1 <= busier.fair_threads <= load.fair_threads <= load.allowed <= usable


def test_other_work_is_what_runs_now_and_ran_before(tmp_path: Path) -> None:
    cases = {"3.00 1.0 1.0 2/300 7": 1.0, "0.50 1.0 1.0 9/300 7": 0.5, "2.0 1.0 1.0 1/300 7": 0.0}
    for number, (text, others) in enumerate(cases.items()):
        assert folders(tmp_path / str(number), text, {}).others == others


@pytest.mark.parametrize("text", [None, "", "not a number 2/3 4", "1.0 1.0"])
def test_a_system_that_tells_nothing_has_no_other_work(tmp_path: Path, text: str | None) -> None:
    load = folders(tmp_path, text, {})
    assert (load.others, load.quota) == (0.0, None)
    assert load.fair_threads == load.usable == usable_cores()


@pytest.mark.parametrize(
    ("groups", "mine", "quota"),
    [
        ({"cpu.max": "150000 100000"}, "0::/", 1.5),
        ({"cpu.max": "max 100000"}, "0::/", None),
        ({"a/cpu.max": "400000 100000", "a/b/cpu.max": "max 100000"}, "0::/a/b", 4.0),
        ({"a/cpu.max": "100000 100000", "a/b/cpu.max": "300000 100000"}, "0::/a/b", 1.0),
        ({"other/cpu.max": "100000 100000"}, "0::/a", None),
        ({"cpu/cpu.cfs_quota_us": "50000", "cpu/cpu.cfs_period_us": "100000"}, "1:cpu:/", 0.5),
        ({"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, "1:cpu:/", None),
        ({"cpu.max": "nonsense"}, "nonsense", None),
    ],
)
def test_the_limit_of_a_container(
    tmp_path: Path, groups: dict[str, str], mine: str, quota: float | None
) -> None:
    assert folders(tmp_path, "0.0 0.0 0.0 1/9 9", groups, mine).quota == quota


def test_this_machine_can_be_described() -> None:
    waits: list[float] = []
    load = current_load(sleep=waits.append)
    assert 1 <= load.fair_threads <= load.usable <= load.cores
    assert load.others >= 0
    assert len(waits) in (0, SAMPLES - 1)
    assert processor_name()
