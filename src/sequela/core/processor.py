"""The processor: its name, the cores that this process may use, and what other work leaves of them."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

SAMPLES, SECONDS_BETWEEN = 5, 0.003
"""The number of counts of the running processes, and the seconds between two of them."""


def processor_name() -> str:
    """Returns the name of the processor."""
    info = Path("/proc/cpuinfo")
    if info.is_file():
        for line in info.read_text(encoding="utf-8", errors="replace").splitlines():
            name, _, value = line.partition(":")
            if name.strip() == "model name":
                return value.strip()
    return platform.processor() or platform.machine()


def usable_cores() -> int:
    """Returns the number of cores that the process may run on (`taskset` restricts them)."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@dataclass(frozen=True)
class Load:
    """The cores of this machine, and the work on them.

    Args:
        cores: The number of cores of the machine.
        usable: The number of those that this process may run on.
        quota: The number of cores whose time this process gets at most, as containers limit it; None if there
            is no limit.
        others: The mean number of threads of other processes that run or wait for a core.
    """

    cores: int
    usable: int
    quota: float | None
    others: float

    @property
    def allowed(self) -> int:
        """The number of threads that can run at the same time on an otherwise idle machine."""
        if self.quota is None:
            return self.usable
        return max(1, min(self.usable, int(self.quota)))

    @property
    def fair_threads(self) -> int:
        """The number of threads that find a core each, if the system divides the cores fairly.

        More threads would wait for one another: after each of the many short steps of a pass, all wait for
        the one that had to share its core.
        """
        return max(1, round(self.allowed * self.cores / (self.cores + self.others)))


def current_load(
    proc: Path = Path("/proc"),
    groups: Path = Path("/sys/fs/cgroup"),
    sleep: Callable[[float], None] = time.sleep,
) -> Load:
    """Returns the load of this machine now; where the system doesn't tell, there is no other work.

    Args:
        proc: The folder of Linux's process file system.
        groups: The folder of its control groups.
        sleep: Waits between two looks.
    """
    usable = usable_cores()
    return Load(max(usable, os.cpu_count() or 1), usable, _quota(proc, groups), _others(proc, sleep))


def _others(proc: Path, sleep: Callable[[float], None]) -> float:
    """Returns the mean number of running threads of other processes.

    It is the smaller one of two numbers: the average over the last minute, which still contains what has
    ended since, and the number now, which contains what ends in a moment.
    """
    counts: list[float] = []
    average = 0.0
    for number in range(SAMPLES):
        if number:
            sleep(SECONDS_BETWEEN)
        try:
            minute, _, _, running, *_ = (proc / "loadavg").read_text(encoding="ascii").split()
            average = float(minute)
            counts.append(float(running.partition("/")[0]) - 1)  # this thread runs, too
        except (OSError, ValueError):
            return 0.0
    return max(0.0, min(average, sum(counts) / len(counts)))


def _quota(proc: Path, groups: Path) -> float | None:
    """Returns the limit of this process's control group and of all above it, in cores."""
    found = []
    for folder in (*_groups_of_process(proc, groups), groups / "cpu"):
        try:
            quota, period = _limit(folder)
        except (OSError, ValueError):
            continue
        if quota > 0 and period > 0:
            found.append(quota / period)
    return min(found, default=None)


def _groups_of_process(proc: Path, groups: Path) -> list[Path]:
    """Returns the folders of the control groups (of the second version) that this process is in."""
    try:
        lines = (proc / "self" / "cgroup").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
    folders = [groups]
    for line in lines:
        number, _, path = line.split(":", 2) if line.count(":") >= 2 else ("", "", "")
        if number == "0":
            parts = [part for part in path.split("/") if part not in ("", "..")]
            folders += [groups.joinpath(*parts[: depth + 1]) for depth in range(len(parts))]
    return folders


def _limit(folder: Path) -> tuple[float, float]:
    """Returns the time of cores that a control group gets per period, and the period; 0 or less: no limit."""
    if (folder / "cpu.max").is_file():
        quota, period = (folder / "cpu.max").read_text(encoding="ascii").split()
        return (0.0 if quota == "max" else float(quota)), float(period)
    quota = (folder / "cpu.cfs_quota_us").read_text(encoding="ascii")
    return float(quota), float((folder / "cpu.cfs_period_us").read_text(encoding="ascii"))
