"""The wait policy of PyTorch's threads.

OpenMP threads synchronize after each of the many short operations of a forward pass. By default, a thread
that finishes early spins for so long that, if other processes share the cores, waiting threads keep the
thread they wait for from running. OpenMP reads the wait policy once, when PyTorch is loaded.
"""

from __future__ import annotations

from collections.abc import MutableMapping

WAIT_VARIABLES = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME")
"""The variables that set the wait policy: that of OpenMP, and those of the GNU and LLVM libraries."""


def wait_passively(environment: MutableMapping[str, str]) -> None:
    """Makes threads sleep while they wait, unless the user has set a wait policy.

    Only the program calls this, not the library, because it affects the whole process.

    Args:
        environment: The environment variables of this process. PyTorch must not be loaded yet.
    """
    if not any(name in environment for name in WAIT_VARIABLES):
        environment["OMP_WAIT_POLICY"] = "passive"
