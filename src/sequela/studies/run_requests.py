"""Requests to a run that goes on, from other processes: pause, and cancel a cell.

A request is a file in the run's folder. The processes that do the run's tasks look at them every second.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from sequela.core.descriptions import read_description_of, write_description
from sequela.core.hashing import hash_json

FOLDER = ".requests"
_PAUSE = "pause"


class Cell(BaseModel):
    """A cell of a study: a model and a method, with one sample and shuffle seed or with all.

    Args:
        model: The model's name in the study.
        editor: The method's name, which stands for all its variants, or the method with its variant.
        sample: The sample of edits; None for all.
        seed: The shuffle seed; None for all.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str
    editor: str
    sample: int | None = None
    seed: int | None = None

    def __str__(self) -> str:
        """Returns the cell in words."""
        sample = "" if self.sample is None else f", sample {self.sample}"
        seed = "" if self.seed is None else f", shuffle seed {self.seed}"
        return f"{self.editor} on {self.model}{sample}{seed}"


@dataclass(frozen=True)
class Requested:
    """The requests to a run at a moment.

    Args:
        is_paused: True if no more tasks are to be started.
        canceled: The cells whose tasks are not to be started.
    """

    is_paused: bool = False
    canceled: tuple[Cell, ...] = ()


class RunRequests:
    """The requests to the run in a folder.

    Cells that were read once stay canceled for this object, also when their files are gone.

    Args:
        folder: The folder of the run.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder / FOLDER
        self._canceled: dict[Path, Cell] = {}

    def read(self) -> Requested:
        """Returns what is requested now.

        Raises:
            SequelaError: A request can't be read.
        """
        for path in sorted(self._folder.glob("cancel-*.json")):
            if path not in self._canceled:
                self._canceled[path] = read_description_of(path, Cell, "request")
        return Requested((self._folder / _PAUSE).exists(), self.canceled)

    @property
    def canceled(self) -> tuple[Cell, ...]:
        """The cells that were canceled, as far as they have been read."""
        return tuple(self._canceled.values())

    def pause(self) -> None:
        """Requests that no more tasks are started."""
        self._folder.mkdir(exist_ok=True)
        (self._folder / _PAUSE).touch()

    def unpause(self) -> None:
        """Takes a pause back."""
        (self._folder / _PAUSE).unlink(missing_ok=True)

    def cancel(self, cell: Cell) -> None:
        """Requests that the tasks of a cell that have not been started are left out."""
        self._folder.mkdir(exist_ok=True)
        write_description(self._folder / f"cancel-{hash_json(cell.model_dump())[:16]}.json", cell)

    def clear(self) -> None:
        """Removes all requests, when a run begins or ends."""
        with suppress(FileNotFoundError):
            for path in self._folder.iterdir():
                path.unlink(missing_ok=True)
            self._folder.rmdir()
