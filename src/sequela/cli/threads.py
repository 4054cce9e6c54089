"""How the threads of PyTorch wait for one another.

OpenMP's threads meet after each of the many short pieces of work that a pass is made of. Whoever comes first
spins, by default for so long that where other work shares the cores, those that wait keep the one that they
wait for from running. OpenMP reads how to wait once, when PyTorch is loaded.
"""

from __future__ import annotations

from collections.abc import MutableMapping

WAIT_VARIABLES = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME")
"""The variables that say how threads wait: OpenMP's own, then those of GNU's and of LLVM's library."""


def wait_passively(environment: MutableMapping[str, str]) -> None:
    """Has threads sleep while they wait, unless the user has said how they shall wait.

    It is for the program to decide, not for the library: it concerns the whole process.

    Args:
        environment: The variables of this process; PyTorch must not be loaded yet.
    """
    if not any(name in environment for name in WAIT_VARIABLES):
        environment["OMP_WAIT_POLICY"] = "passive"
