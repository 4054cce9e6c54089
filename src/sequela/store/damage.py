"""Comparison of stored files with their description."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import BinaryIO

from sequela.core.damaged_files import first_line
from sequela.store.description import StoredFile

_BLOCK = 1 << 20

OpenFile = Callable[[str], BinaryIO]
"""A function that opens a file of an object by its name."""


@dataclass(frozen=True)
class Damage:
    """A file that is not the one that was written.

    Args:
        file: The name of the file.
        expected: What it should be: size and SHA-256.
        found: What it is.
    """

    file: str
    expected: str
    found: str

    def __str__(self) -> str:
        return f"{self.file} should be {self.expected}, and is {self.found}"


def damages_of(files: Iterable[StoredFile], open_file: OpenFile) -> list[Damage]:
    """Reads all files and returns those that differ from their description.

    Raises:
        PermissionError: A file can't be read by this user, which says nothing about its content.
    """
    return [damage for file in files if (damage := _damage(file, open_file)) is not None]


def _damage(file: StoredFile, open_file: OpenFile) -> Damage | None:
    expected = _described(file.size, file.sha256)
    digest, size = hashlib.sha256(), 0
    try:
        with open_file(file.name) as stream:
            while block := stream.read(_BLOCK):
                digest.update(block)
                size += len(block)
    except (FileNotFoundError, NotADirectoryError):
        return Damage(file.name, expected, "missing")
    except IsADirectoryError:
        return Damage(file.name, expected, "a folder")
    except PermissionError:
        raise
    except OSError as error:
        return Damage(file.name, expected, f"unreadable ({error.strerror or first_line(error)})")
    if (size, digest.hexdigest()) == (file.size, file.sha256):
        return None
    return Damage(file.name, expected, _described(size, digest.hexdigest()))


def _described(size: int, sha256: str) -> str:
    return f"{size:,} {'byte' if size == 1 else 'bytes'} with SHA-256 {sha256}"
