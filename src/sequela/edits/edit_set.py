"""An ordered set of edits."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sequela.edits.edit import Edit
from sequela.ground.errors import BadInputError
from sequela.ground.hashing import hash_json


@dataclass(frozen=True)
class EditSet(Sequence[Edit]):
    """Edits in the order in which they are to be made.

    Args:
        name: The source they came from.
        edits: The edits; their ids differ.

    Raises:
        BadInputError: Two edits have the same id.
    """

    name: str
    edits: tuple[Edit, ...]

    def __post_init__(self) -> None:
        seen: set[str] = set()
        for edit in self.edits:
            if edit.id in seen:
                raise BadInputError(f"The edit set {self.name!r} has two edits with the id {edit.id!r}.")
            seen.add(edit.id)

    def __len__(self) -> int:
        return len(self.edits)

    def __iter__(self) -> Iterator[Edit]:
        return iter(self.edits)

    def __getitem__(self, index):  # type: ignore[no-untyped-def]
        return self.edits[index]

    def first(self, count: int) -> EditSet:
        """The first `count` edits.

        Raises:
            BadInputError: There are fewer.
        """
        if count > len(self.edits):
            raise BadInputError(
                f"The source {self.name!r} has {len(self.edits)} edits; {count} were asked for."
            )
        return EditSet(self.name, self.edits[:count])

    def shuffled(self, order_seed: int) -> EditSet:
        """The same edits in another order; the order depends on nothing but the seed."""
        order = list(self.edits)
        random.Random(order_seed).shuffle(order)
        return EditSet(self.name, tuple(order))

    @property
    def content_hash(self) -> str:
        """A hash of the edits and their order."""
        return hash_json([edit.content_hash for edit in self.edits])
