"""What names an evaluation: one suite on one checkpoint of one trajectory."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from sequela.core.hashing import hash_json


class EvaluationKey(BaseModel):
    """Names an evaluation by content, so that results of different things never mix.

    Args:
        trajectory: The hash of what was edited, how and in which order.
        n_edits: The checkpoint: how many edits were in force.
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
        """One hash of the whole key; names the file of per-item records."""
        return hash_json(self.model_dump(mode="json"))
