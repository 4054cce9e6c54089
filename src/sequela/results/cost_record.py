"""The cost of one step of a run."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from sequela.results.names import method_label


class CostRecord(BaseModel):
    """Time and memory of one step.

    Args:
        step: The step, such as `load model`, `statistics`, `edit` or `evaluate`.
        seconds: The wall-clock time in seconds.
        peak_memory_bytes: The peak main memory of the process up to the end of the step; None if unknown.
        units: The number of units that were processed, such as edits; 1 for an indivisible step.
        trajectory: The trajectory's hash; empty for a step that serves the whole run.
        model: The base model's name; empty if there is none.
        editor: The method; empty for a step that belongs to no method.
        variant: The method's variant.
        edit_sample: The sample of edits; None if the step belongs to none.
        n_edits: The checkpoint, if the step belongs to one.
        suite: The suite, for evaluations.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    step: str = Field(min_length=1)
    seconds: float = Field(ge=0)
    peak_memory_bytes: int | None = Field(default=None, ge=0)
    units: int = Field(default=1, ge=0)
    trajectory: str = ""
    model: str = ""
    editor: str = ""
    variant: str = ""
    edit_sample: int | None = Field(default=None, ge=0)
    n_edits: int | None = Field(default=None, ge=0)
    suite: str = ""

    @property
    def label(self) -> str:
        """The method and its variant, as in legends; empty for a step shared by all methods."""
        return method_label(self.editor, self.variant) if self.editor else ""
