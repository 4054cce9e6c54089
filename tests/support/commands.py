"""The result of a command."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Answer:
    """The output and the exit status of a command."""

    exit_code: int
    stdout: str
    stderr: str

    @property
    def json(self) -> Any:
        """Returns the whole standard output as JSON."""
        return json.loads(self.stdout)


Sequela = Callable[..., Answer]
