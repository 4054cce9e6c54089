"""Signs: how a process on another machine finds out whether it sees the same store.

Two machines may have a folder of the same name each. So whoever starts workers elsewhere leaves a random sign
in the store; the workers know it, and look for it.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from sequela.core.errors import IntegrityError
from sequela.store.documents import checked_content, with_digest
from sequela.store.errors import StoreError
from sequela.store.storage import SIGNS, Storage


@dataclass(frozen=True)
class Sign:
    """A sign in a store.

    Args:
        name: The name of its document: that of the run, so that a run that was killed leaves one at most.
        content: A random number in hexadecimal digits.
    """

    name: str
    content: str


@contextmanager
def signed(storage: Storage, name: str) -> Iterator[Sign]:
    """Leaves a sign in a store for the duration of a block.

    Raises:
        StoreError: The store can't be written to.
    """
    sign = Sign(name, secrets.token_hex(16))
    storage.write(_place(sign), with_digest({"sign": sign.content}))
    try:
        yield sign
    finally:
        with suppress(StoreError):  # it means nothing to later runs, which leave signs of their own
            storage.delete(_place(sign))


def sees(storage: Storage, sign: Sign) -> bool:
    """Returns whether a sign is in a store.

    Raises:
        StoreError: The store can't be read.
    """
    data = storage.read(_place(sign))
    if data is None:
        return False
    try:
        return checked_content(data, _place(sign)).get("sign") == sign.content
    except IntegrityError:
        return False


def _place(sign: Sign) -> str:
    return f"{SIGNS}/{sign.name}.json"
