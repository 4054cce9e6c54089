"""Servers on loopback that do one thing with every connection, and then nothing."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

SETTINGS = bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])
"""The first frame of a server that speaks HTTP/2, such as one of gRPC: its settings, of which it has none."""


def silent(connection: socket.socket) -> None:
    """Says nothing."""


@contextmanager
def server_that(acts: Callable[[socket.socket], None]) -> Iterator[str]:
    """Starts a server; yields its address, `host:port`.

    Args:
        acts: Is called with every connection, which stays open until the end of the block.
    """
    connections: list[socket.socket] = []

    def serve() -> None:
        with suppress(OSError):  # the server is closed
            while True:
                connections.append(server.accept()[0])
                acts(connections[-1])

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield f"127.0.0.1:{server.getsockname()[1]}"
        finally:
            server.shutdown(socket.SHUT_RDWR)
            thread.join()
            for connection in connections:
                connection.close()


def unused_address() -> str:
    """Returns an address at which nothing listens."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{unused.getsockname()[1]}"
