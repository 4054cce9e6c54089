"""A time limit for requests to libraries that have none."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

from sequela.store.errors import ANOTHER_LOCATION, UnreachableStoreError

T = TypeVar("T")


def answer_of(action: Callable[[], T], limit: float, location: str, doing: str) -> T:
    """Returns what a function returns, or raises what it raises; it runs in a thread of its own.

    Args:
        action: The function. If it doesn't return in time, it is left to itself: its thread ends with the
            program.
        limit: The time in seconds.
        location: The store, for the message.
        doing: What was tried, for the message.

    Raises:
        UnreachableStoreError: The function did not return in time.
    """
    results: list[T] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            results.append(action())
        except BaseException as error:  # noqa: BLE001 - raised below, in the thread that asked
            errors.append(error)

    thread = threading.Thread(target=run, daemon=True, name=f"sequela-store: {doing}")
    thread.start()
    thread.join(limit)
    if errors:
        raise errors[0]
    if not results:
        raise UnreachableStoreError(
            f"The store {location} did not answer within {limit:g} seconds (tried to {doing}).",
            hint=f"Check the address and the network. {ANOTHER_LOCATION}",
        )
    return results[0]
