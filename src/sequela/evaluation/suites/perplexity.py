"""Health of the whole model: its perplexity on a fixed text.

It shows early that a model is damaged, but not which abilities it has lost; the benchmarks do.
Perplexity is per token, so it compares edited models with their own base, never models with
different tokenizers.
"""

from __future__ import annotations

import math
from functools import cached_property
from pathlib import Path

from sequela.core.errors import BadInputError
from sequela.core.hashing import hash_json
from sequela.core.progress import SILENT, Progress
from sequela.edited import EditedModel
from sequela.inference import Engine, Perplexity, perplexity
from sequela.results import ItemRecord, Section, SuiteInfo, TaskResult
from sequela.results.metrics import LOSS, PERPLEXITY

WINDOW = 128
"""The default number of tokens per window."""

PROTOCOL = "fixed_text"
TASK = "fixed_text"
RULE = "mean over equal windows of the mean token loss in nats, first token of a window unscored; v1"
"""Part of the version hash; changed when the measurement of the same text changes."""

_TEXT = Path(__file__).parent / "data" / "health_text.txt"


class HealthSuite:
    """Perplexity and loss on a text that comes with Sequela; perplexity is the exponential of the loss.

    Args:
        window: Tokens per window, at least 2; each window is scored without the others as context.

    Raises:
        BadInputError: The window is shorter than 2 tokens.
    """

    name = "perplexity"
    info = SuiteInfo(section=Section.HEALTH)

    def __init__(self, *, window: int = WINDOW) -> None:
        if window < 2:
            raise BadInputError(f"perplexity: the window is {window} tokens, expected at least 2.")
        self._window = window

    @cached_property
    def text(self) -> str:
        """The fixed text."""
        return _TEXT.read_text(encoding="utf-8").strip()

    @cached_property
    def version(self) -> str:
        """A hash of the text, the window and the rule."""
        return hash_json({"text": self.text, "window": self._window, "rule": RULE})

    @property
    def n_tokens(self) -> int:
        """The approximate number of tokens the model reads, at four characters per token."""
        return len(self.text) // 4

    def evaluate(self, model: EditedModel, engine: Engine, progress: Progress = SILENT) -> list[TaskResult]:
        """Measures `perplexity` and `loss`, in this order.

        If any window has a non-finite logit or is longer than the model's context, neither has a value.
        The loss has the records of the windows, of which it is the mean; the perplexity is not a mean.
        """
        measured = perplexity(engine, model, self.text, self._window, progress)
        return [self._perplexity(measured), self._loss(measured)]

    def _loss(self, measured: Perplexity) -> TaskResult:
        known = not self._failures_note(measured)
        return TaskResult(
            suite=self.name,
            task=TASK,
            metric=LOSS.name,
            protocol=PROTOCOL,
            value=measured.mean_loss if known else None,
            stderr=_number(measured.stderr) if known else None,
            n=measured.n_windows,
            n_nonfinite=measured.n_nonfinite,
            n_too_long=measured.n_too_long,
            note=self._failures_note(measured),
            items=tuple(
                self._record(number, loss)
                for number, loss in enumerate(measured.window_losses)
                if loss is not None
            ),
        )

    def _perplexity(self, measured: Perplexity) -> TaskResult:
        value = _number(measured.value)
        stderr = None if value is None else _number(value * measured.stderr)  # the delta method
        note = self._failures_note(measured)
        if value is None and not note:
            note = f"exp({measured.mean_loss:.1f}) is too large for a floating-point number"
        return TaskResult(
            suite=self.name,
            task=TASK,
            metric=PERPLEXITY.name,
            protocol=PROTOCOL,
            value=value,
            stderr=stderr,
            n=measured.n_windows,
            n_nonfinite=measured.n_nonfinite,
            n_too_long=measured.n_too_long,
            note=note,
        )

    def _record(self, number: int, loss: float) -> ItemRecord:
        return ItemRecord(
            suite=self.name,
            task=TASK,
            metric=LOSS.name,
            protocol=PROTOCOL,
            item=f"window-{number:03d}",
            value=loss,
            details={"tokens": self._window},
        )

    def _failures_note(self, measured: Perplexity) -> str:
        if measured.n_too_long:
            return (
                f"{measured.n_too_long} of {measured.n_windows} windows of {self._window} tokens are longer "
                "than the model's context and were not run"
            )
        if measured.n_nonfinite:
            return f"{measured.n_nonfinite} of {measured.n_windows} windows have a non-finite logit"
        return ""


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None
