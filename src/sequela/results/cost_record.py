"""What one step of a run cost."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from sequela.results.names import method_label


class CostRecord(BaseModel):
    """Time and memory of one step.

    Args:
        step: What was done, e.g. `load model`, `statistics`, `edit`, `evaluate`.
        seconds: Wall-clock time.
        peak_memory_bytes: The most main memory the process held so far; None if not known.
        units: How many units the step worked on, e.g. edits or items; 1 if it can't be divided.
        trajectory: The trajectory it belongs to; empty if it serves the whole run.
        model: The base model's name, where there is one.
        editor: The method; empty if the step belongs to none.
        variant: The method's variant.
        n_edits: The checkpoint the step belongs to, if any.
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
    n_edits: int | None = Field(default=None, ge=0)
    suite: str = ""

    @property
    def label(self) -> str:
        """The method and its variant, as in legends; empty for a step that serves all methods."""
        return method_label(self.editor, self.variant) if self.editor else ""
