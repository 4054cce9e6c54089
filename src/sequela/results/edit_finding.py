"""Findings about the edits of a run, as its manifest records them."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

SHARED_KEY = "shared_key"
"""The kind of finding that lists the edits whose key is also another's."""


class EditFinding(BaseModel):
    """A property of the edits that limits what their scores can show.

    Args:
        kind: The kind, such as `contradiction`.
        title: The questions, edits, prompts or answers that have the property, as a phrase.
        count: The number of those that have it.
        of: The number of those that were examined.
        edit_ids: The ids of the edits concerned.
        consequence: What follows for measuring, in a sentence.
        examples: The first cases, in words.
        edit_sample: The sample of edits that was examined; None if the study has no samples.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: str
    title: str
    count: int = Field(ge=1)
    of: int = Field(ge=1)
    edit_ids: tuple[str, ...]
    consequence: str
    examples: tuple[str, ...] = ()
    edit_sample: int | None = Field(default=None, ge=0)
