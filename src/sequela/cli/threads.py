"""The threads of PyTorch: how they wait, and their number.

OpenMP threads synchronize after each of the many short operations of a forward pass. By default, a thread
that finishes early spins for so long that, if other processes share the cores, waiting threads keep the
thread they wait for from running. And if a thread shares its core, all others wait for it: where other work
is running, fewer threads are faster. OpenMP reads both settings once, when PyTorch is loaded.
"""

from __future__ import annotations

from collections.abc import Callable, MutableMapping

from sequela.core.processor import Load, current_load
from sequela.core.wording import number_of

WAIT_VARIABLES = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME")
"""The variables that set the wait policy: that of OpenMP, and those of the GNU and LLVM libraries."""

NUMBER_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS")
"""The variables from which PyTorch takes the number of threads; without them it uses every core."""


def wait_passively(environment: MutableMapping[str, str]) -> None:
    """Makes threads sleep while they wait, unless the user has set a wait policy.

    Only the program calls this, not the library, because it affects the whole process.

    Args:
        environment: The environment variables of this process. PyTorch must not be loaded yet.
    """
    if not any(name in environment for name in WAIT_VARIABLES):
        environment["OMP_WAIT_POLICY"] = "passive"


def limit_threads(environment: MutableMapping[str, str], load: Callable[[], Load] = current_load) -> str:
    """Chooses the number of threads by the load of the machine, unless the user has set it.

    Results don't depend on it. As with `wait_passively`, only the program calls this.

    Args:
        environment: The environment variables of this process. PyTorch must not be loaded yet.
        load: Returns the load of the machine.

    Returns:
        A line that says why there are fewer threads than cores; empty if there are as many.
    """
    if any(name in environment for name in NUMBER_VARIABLES):
        return ""
    found = load()
    threads = found.fair_threads
    if threads == found.usable:
        return ""
    environment["OMP_NUM_THREADS"] = str(threads)
    reasons = []
    if found.allowed < found.usable:
        reasons.append(f"the limit of this container is {found.quota:g}")
    if threads < found.allowed:
        reasons.append(f"other work uses {found.others:.1f}")
    return (
        f"{number_of('thread', threads)} on {number_of('core', found.usable)}: {' and '.join(reasons)} "
        "(OMP_NUM_THREADS sets another number)"
    )
