"""Ctrl-C at every single step of a piece of code.

Python delivers a signal between two instructions of a function, never between a function's last instruction
and its caller; so the steps are lines, or instructions.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection
from types import FrameType
from typing import Any


class InterruptAt:
    """Raises KeyboardInterrupt before the n-th line of Python code that runs in a `with` block.

    Args:
        steps: The numbers of steps, from 1, at which to interrupt; later ones count from the one before.
        within: Parts of paths; only code of files whose path has one of them counts. Empty for all code.
        instructions: Whether a step is an instruction of the interpreter instead of a line.
    """

    def __init__(self, *steps: int, within: Collection[str] = (), instructions: bool = False) -> None:
        self.left = list(steps)
        self.within = tuple(within)
        self.event = "opcode" if instructions else "line"
        self.seen = 0
        self.fired = 0

    def __enter__(self) -> InterruptAt:
        sys.settrace(self._enter_frame)
        return self

    def __exit__(self, *_: object) -> None:
        sys.settrace(None)

    def _enter_frame(self, frame: FrameType, _event: str, _argument: Any) -> Callable[..., Any] | None:
        name = frame.f_code.co_filename
        counts = not name.endswith("interrupts.py") and (
            not self.within or any(part in name for part in self.within)
        )
        frame.f_trace_opcodes = self.event == "opcode"
        return self._step if counts else None

    def _step(self, frame: FrameType, event: str, _argument: Any) -> Callable[..., Any] | None:
        if event != self.event or not self.left:
            return self._step
        self.seen += 1
        if self.seen < self.left[0]:
            return self._step
        self.left.pop(0)
        self.seen = 0
        self.fired += 1
        # An error in a trace function ends the tracing; what follows is traced for a second interrupt.
        raise KeyboardInterrupt
