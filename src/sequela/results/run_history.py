"""The history of a run: changes of its study, the parts that were asked for, early ends of trajectories."""

from __future__ import annotations

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class HistoryEntry(_Record):
    """A command that changed the study of a run, or ran a part of it.

    Args:
        time: The time at which it started (UTC).
        command: The command.
        changes: What differed from the study before, in sentences without a full stop.
        part: The part that was asked for, in words; empty for the whole study.
    """

    time: AwareDatetime
    command: str = ""
    changes: tuple[str, ...] = ()
    part: str = ""


class EarlyEnd(_Record):
    """The early end of a trajectory.

    Args:
        model: The model's name in the study.
        method: The method and its variant, as in tables.
        edit_sample: The sample of edits; None if the study has none.
        order_seed: The shuffle seed.
        n_unmeasured: The number of evaluations that it leaves out.
        note: The end in words, for readers of the results.
    """

    model: str
    method: str
    edit_sample: int | None = None
    order_seed: int
    n_unmeasured: int = Field(ge=0)
    note: str
