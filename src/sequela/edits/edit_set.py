"""An ordered set of edits."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import overload

from sequela.core.arguments import check_items, check_seed, check_text, check_whole_number
from sequela.core.errors import BadInputError
from sequela.core.hashing import hash_json
from sequela.edits.edit import Edit

EDITS_HINT = "Write sequela.Edit(...), or load edits with sequela.load_edits(...)."
"""The advice about something that should be an edit."""


@dataclass(frozen=True)
class Skipped:
    """A record of a public data set that can't be used as an edit, kept so that it can be reported.

    Args:
        number: The record's number in the file, from 1 (in a JSONL file: the line number).
        reason: The reason why it can't be used.
    """

    number: int
    reason: str

    def __str__(self) -> str:
        return f"record {self.number}: {self.reason}"


@dataclass(frozen=True)
class EditSet(Sequence[Edit]):
    """A sequence of edits, in the order in which they are applied.

    Args:
        name: The source of the edits.
        edits: The edits, with unique ids.
        skipped: The records of the source that were left out; the caller that loads the set reports them.

    Raises:
        BadInputError: Two edits have the same id, or an argument is of a wrong type.
    """

    name: str
    edits: tuple[Edit, ...]
    skipped: tuple[Skipped, ...] = ()

    def __post_init__(self) -> None:
        check_text("name", self.name)
        object.__setattr__(self, "edits", check_items("edits", self.edits, Edit, "an edit", EDITS_HINT))
        object.__setattr__(self, "skipped", check_items("skipped", self.skipped, Skipped, "a skipped record"))
        seen: set[str] = set()
        for edit in self.edits:
            if edit.id in seen:
                raise BadInputError(
                    f"The edit set {self.name!r} has two edits with the id {edit.id!r}.",
                    hint="Give each edit an id of its own, or remove one of them.",
                )
            seen.add(edit.id)

    def __len__(self) -> int:
        return len(self.edits)

    def __iter__(self) -> Iterator[Edit]:
        return iter(self.edits)

    @overload
    def __getitem__(self, index: int) -> Edit: ...

    @overload
    def __getitem__(self, index: slice) -> tuple[Edit, ...]: ...

    def __getitem__(self, index: int | slice) -> Edit | tuple[Edit, ...]:
        return self.edits[index]

    def first(self, count: int) -> EditSet:
        """Returns the first `count` edits.

        Raises:
            BadInputError: There are fewer than `count` edits, or `count` is not positive.
        """
        count = check_whole_number("count", count)
        if count < 1:
            raise BadInputError(f"{count} edits of {self.name!r} were requested; expected at least 1.")
        if count > len(self.edits):
            raise BadInputError(
                f"The source {self.name!r} has {len(self.edits)} edits; {count} were requested."
            )
        return replace(self, edits=self.edits[:count])

    def find(self, text: str) -> Edit:
        """Returns the edit with an id or, if there is none with that id, with a number from 1.

        Raises:
            BadInputError: There is no such edit.
        """
        for edit in self.edits:
            if edit.id == text:
                return edit
        if text.isdecimal() and 1 <= int(text) <= len(self.edits):
            return self.edits[int(text) - 1]
        raise BadInputError(
            f"{self.name!r} has no edit {text!r}.",
            hint=f"It has {len(self.edits)} edits; give an id or a number from 1.",
        )

    def sample(self, number: int, count: int) -> EditSet:
        """Returns a random sample of the edits without replacement, in their order.

        Each sample ranks the edits by the hash of its number and the edit's id, and has the first `count` by
        this rank. So it depends on no other sample, on no version of Python and not on the order of the
        edits; a larger sample of the same number contains a smaller one; and an edit that is added to the
        set changes it by at most one edit.

        Args:
            number: The number of the sample, from 0, which is the seed of its ranks.
            count: The number of edits.

        Raises:
            BadInputError: There are fewer than `count` edits, or an argument is not a positive whole number.
        """
        if check_seed("number", number) < 0:
            raise BadInputError(f"The sample {number} was requested; samples have numbers from 0.")
        count = len(self.first(count))
        ranks = sorted((hash_json(["sample of edits", number, edit.id]), edit.id) for edit in self.edits)
        chosen = {edit_id for _, edit_id in ranks[:count]}
        return replace(self, edits=tuple(edit for edit in self.edits if edit.id in chosen))

    def shuffled(self, order_seed: int) -> EditSet:
        """Returns the edits in another order, which depends only on the shuffle seed.

        Raises:
            BadInputError: The seed is not a whole number.
        """
        order = list(self.edits)
        random.Random(check_seed("order_seed", order_seed)).shuffle(order)
        return replace(self, edits=tuple(order))

    @property
    def content_hash(self) -> str:
        """A hash of the edits and their order."""
        return hash_json([edit.content_hash for edit in self.edits])
