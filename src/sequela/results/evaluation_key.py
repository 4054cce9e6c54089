"""The key of an evaluation: one suite at one checkpoint of one trajectory."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from sequela.core.hashing import hash_json


class EvaluationKey(BaseModel):
    """The content-based key of an evaluation; results of different evaluations never share a key.

    Args:
        trajectory: The hash of the model, the method, the edits and their order.
        n_edits: The checkpoint: the number of edits applied.
        suite: The suite's name.
        suite_version: The hash of its items, prompts and scoring.
        model_hash: The content hash of the edited model.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    trajectory: str = Field(min_length=1)
    n_edits: int = Field(ge=0)
    suite: str = Field(min_length=1)
    suite_version: str = Field(min_length=1)
    model_hash: str = Field(min_length=1)

    @property
    def content_hash(self) -> str:
        """The hash of the whole key; also the name of the item file."""
        return hash_json(self.model_dump(mode="json"))
