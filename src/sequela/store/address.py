"""The address of an object: its kind, and a key computed from everything that decides its content."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from sequela.core.arguments import check_choice
from sequela.core.errors import BadInputError, shown
from sequela.store.documents import canonical

_KEY = re.compile(r"[0-9a-f]{8,128}")


class Kind(str, Enum):
    """The kinds of objects; the values are the names of folders in a store."""

    STATISTICS = "statistics"
    NETWORK = "network"
    BASELINE = "baseline"
    CHECKPOINT = "checkpoint"
    EVALUATION = "evaluation"

    def __str__(self) -> str:
        return self.value


def kind_named(name: str) -> Kind:
    """Returns the kind of a name.

    Raises:
        UnknownNameError: There is none; the error has near matches.
    """
    check_choice("kind of object", name, [kind.value for kind in Kind])
    return Kind(name)


@dataclass(frozen=True, order=True)
class Address:
    """The address of an object.

    Args:
        kind: The kind of the object.
        key: A hash of everything that decides the content, in 8 to 128 lower-case hexadecimal digits. It
            becomes the name of a folder, so no other characters are allowed.

    Raises:
        BadInputError: The key has another form.
    """

    kind: Kind
    key: str

    def __post_init__(self) -> None:
        if not isinstance(self.kind, Kind):
            raise BadInputError(f"`kind` = {shown(self.kind)} is not a kind of object.")
        if not isinstance(self.key, str) or not _KEY.fullmatch(self.key):
            raise BadInputError(
                f"{shown(self.key)} is not the key of an object, which has 8 to 128 digits of 0-9 and a-f."
            )

    @classmethod
    def of(cls, kind: Kind, about: Mapping[str, Any]) -> Address:
        """Returns the address whose key is a hash (SHA-256, 32 digits) of a JSON object.

        Args:
            kind: The kind of the object.
            about: Everything that decides the content, as a JSON object.

        Raises:
            BadInputError: It is not JSON.
        """
        return cls(kind, hashlib.sha256(canonical(dict(about))).hexdigest()[:32])

    @classmethod
    def parse(cls, text: str) -> Address:
        """Returns the address that was written as `kind/key`.

        Raises:
            BadInputError: The text has another form, or the kind is unknown.
        """
        kind, _, key = text.partition("/")
        return cls(kind_named(kind), key)

    def __str__(self) -> str:
        return f"{self.kind}/{self.key}"
