"""A check of addresses in seconds, without importing Ray: does a server that speaks like it answer there?"""

from __future__ import annotations

import os
import socket
from contextlib import suppress
from importlib.util import find_spec

from sequela.core.errors import SequelaError

SECONDS_TO_ANSWER = 4.0
"""The time, in seconds, within which a server accepts a connection, and then sends its first bytes."""

_GREETING = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])
"""The beginning of every gRPC connection: HTTP/2's preface and an empty frame of settings."""

_SETTINGS = 4
"""The type of the frame with which a server answers; it is in the fourth byte."""


def check_address(address: str | None) -> None:
    """Checks that Ray is installed, and that a gRPC server answers at an address.

    Args:
        address: Like that of `RayExecutor`.

    Raises:
        SequelaError: The package ray isn't installed, or the cluster can't be reached.
    """
    if find_spec("ray") is None:
        raise not_installed()
    if address is None:
        return
    where = location_of(address)
    problem = _problem(where)
    if problem is not None:
        raise unreachable(address, problem)


def location_of(address: str) -> str:
    """Returns the address that is meant: `auto` means that in `RAY_ADDRESS`, if there is one."""
    return os.environ.get("RAY_ADDRESS", "auto") if address == "auto" else address


def not_installed() -> SequelaError:
    """Returns the error for a missing package."""
    return SequelaError(
        "Runs on Ray need the package ray, which isn't installed.", hint="pip install 'sequela[ray]'"
    )


def unreachable(address: str, problem: str) -> SequelaError:
    """Returns the error for a cluster that can't be reached.

    Args:
        address: The address as it was given.
        problem: What was tried, and what came of it.
    """
    where = location_of(address)
    tried = f"{where} (from RAY_ADDRESS)" if where != address else where
    return SequelaError(
        f"No Ray cluster can be reached at {tried}: {problem}.",
        hint="Start one with `ray start --head` and name its address as host:port, such as 10.0.0.1:6379; "
        "without an address, one is started on this machine.",
    )


def _problem(address: str) -> str | None:
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if address == "auto":
        return None
    if not (colon and host and port.isdecimal()):
        return "an address is host:port, ray://host:port or auto"
    place = f"host {host}, port {port}"
    try:
        connection = socket.create_connection((host.strip("[]"), int(port)), timeout=SECONDS_TO_ANSWER)
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        return f"nothing answers at {place} ({reason})"
    with connection:
        if os.environ.get("RAY_USE_TLS") == "1":
            return None  # the greeting would have to be encrypted
        return _problem_of_greeting(connection, place)


def _problem_of_greeting(connection: socket.socket, place: str) -> str | None:
    answer = b""
    try:
        connection.sendall(_GREETING)
        while len(answer) < _SETTINGS and (received := connection.recv(64)):
            answer += received
    except TimeoutError:
        return f"{place} accepts connections, but sent no answer within {SECONDS_TO_ANSWER:g} seconds"
    except OSError as error:
        return f"{place} broke the connection ({error.strerror or error})"
    finally:
        with suppress(OSError):
            connection.shutdown(socket.SHUT_RDWR)
    if answer[_SETTINGS - 1 : _SETTINGS] != bytes([_SETTINGS]):
        return f"what answers at {place} is not Ray"
    return None
