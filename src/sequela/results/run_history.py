"""The history of a run: changes of its study, the parts that were asked for, early ends of trajectories."""

from __future__ import annotations

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from sequela.core.wording import number_of
from sequela.results.names import order_label


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
        n_edits: The number of edits that it reached.
        reason: Why it ended.
        n_unmeasured: The number of evaluations that it leaves out.
        not_reached: The checkpoints that it leaves out.
    """

    model: str
    method: str
    edit_sample: int | None = None
    order_seed: int
    n_edits: int = Field(ge=0)
    reason: str
    n_unmeasured: int = Field(ge=0)
    not_reached: tuple[int, ...] = ()

    @property
    def note(self) -> str:
        """The end in words, for readers of the results."""
        where = f"{self.model}, {self.method}, {order_label(self.edit_sample, self.order_seed)}"
        end = f"{where}: stopped after {number_of('edit', self.n_edits)}: {self.reason}."
        left = ", ".join(map(str, self.not_reached))
        return f"{end} Checkpoints not reached: {left}." if left else end
