"""Stores in a folder and on remote file systems, and objects to put into them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from fsspec.implementations.local import LocalFileSystem

from sequela.store import Address, Kind, Store
from sequela.store.leases import LeaseTimes
from sequela.store.local import LocalStorage
from sequela.store.remote import RemoteStorage
from sequela.store.remote_files import RemoteFiles

QUICK = LeaseTimes(renewed_every=60.0, taken_over_after=60.0, settling=0.0, polling=0.01)
"""Times of leases for tests in which nobody competes for one."""

AT_ONCE = LeaseTimes(renewed_every=60.0, taken_over_after=0.0, settling=0.0, polling=0.01)
"""Times with which a lease of another process is taken over at once: that process was killed."""

CONTENT = {"weights.bin": b"\x00\x01\x02" * 700, "items/answers.txt": "größer\n".encode(), "empty": b""}
"""The files of an object."""


def remote_store(folder: Path, copies: Path, times: LeaseTimes = QUICK) -> Store:
    """Returns a store that uses a folder through fsspec, as it would use a remote file system."""
    files = RemoteFiles(LocalFileSystem(), str(folder), f"test://{folder}")
    return Store(RemoteStorage(files, LocalStorage(copies), times))


def local_store(folder: Path) -> Store:
    """Returns a store in a folder."""
    return Store(LocalStorage(folder))


def put(
    store: Store, content: Mapping[str, bytes] = CONTENT, kind: Kind = Kind.CHECKPOINT, **about: object
) -> Address:
    """Writes an object; returns its address."""
    address = Address.of(kind, about)
    with store.writing(address, about) as folder:
        fill(folder, content)
    return address


def fill(folder: Path, content: Mapping[str, bytes]) -> None:
    """Writes files, with their folders."""
    for name, data in content.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)


def content_of(folder: Path) -> dict[str, bytes]:
    """Returns all files below a folder."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def rewrite(path: Path, data: bytes) -> None:
    """Replaces the content of a file of an object, which is read-only."""
    path.chmod(0o644)
    path.write_bytes(data)
