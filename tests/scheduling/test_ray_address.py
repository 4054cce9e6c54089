"""Addresses at which no Ray cluster is, told from those at which one may be, without Ray."""

from __future__ import annotations

import socket
from collections.abc import Callable
from importlib.util import find_spec

import pytest

from sequela.core.errors import SequelaError
from sequela.scheduling import ray_address
from sequela.scheduling.ray_address import check_address
from support.servers import SETTINGS, server_that, silent, unused_address

pytestmark = pytest.mark.skipif(find_spec("ray") is None, reason="the extra ray is not installed")


def hang_up(connection: socket.socket) -> None:
    connection.shutdown(socket.SHUT_RDWR)


def trickle(connection: socket.socket) -> None:
    for byte in SETTINGS:
        connection.sendall(bytes([byte]))


@pytest.mark.parametrize("scheme", ["", "ray://"])
@pytest.mark.parametrize("acts", [lambda connection: connection.sendall(SETTINGS), trickle])
def test_a_server_that_greets_like_grpc_may_be_one(
    scheme: str, acts: Callable[[socket.socket], None]
) -> None:
    with server_that(acts) as address:
        check_address(scheme + address)


@pytest.mark.parametrize(
    ("acts", "problem"),
    [
        (silent, r"accepts connections, but sent no answer within 0\.2 seconds"),
        (lambda connection: connection.sendall(b"\0\0\0"), "accepts connections, but sent no answer"),
        (lambda connection: connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n"), "is not Ray"),
        (lambda connection: connection.sendall(b"220 a mail server\r\n"), "is not Ray"),
        (hang_up, "is not Ray|broke the connection"),
    ],
)
def test_a_server_that_does_not(
    acts: Callable[[socket.socket], None], problem: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ray_address, "SECONDS_TO_ANSWER", 0.2)
    with server_that(acts) as address, pytest.raises(SequelaError, match=problem) as caught:
        check_address(address)
    assert f"No Ray cluster can be reached at {address}: " in str(caught.value)
    assert f"port {address.rpartition(':')[2]}" in str(caught.value)


def test_an_address_of_the_environment_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    address = unused_address()
    monkeypatch.setenv("RAY_ADDRESS", address)
    with pytest.raises(SequelaError, match=rf"reached at {address} \(from RAY_ADDRESS\): nothing answers"):
        check_address("auto")
    monkeypatch.delenv("RAY_ADDRESS")
    check_address("auto")
    check_address(None)
