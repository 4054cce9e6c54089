"""A check that the services which a run needs answer: its Ray cluster, its results database and its store.

Each is asked before anything slow is imported, and has a time limit, so that whoever has mistyped an address
knows it within seconds.
"""

from __future__ import annotations

from pathlib import Path

from sequela.results.location import check_reachable as check_database
from sequela.scheduling.ray_address import check_address
from sequela.store import open_store


def check_services(folder: Path, executor: str, address: str | None) -> None:
    """Checks that what a run needs besides this machine can be reached.

    Args:
        folder: The folder of the run.
        executor: Where the workers are.
        address: The address of the Ray cluster, if there is one.

    Raises:
        SequelaError: Something doesn't answer; the message says what was tried.
    """
    if executor == "ray":
        check_address(address)
    open_store()
    check_database(folder)
