"""Perplexity of a fixed text, a cheap indicator of damage to a model."""

from __future__ import annotations

import math
from dataclasses import dataclass

from sequela.core.errors import SequelaError
from sequela.core.progress import SILENT, Progress
from sequela.edited import EditedModel
from sequela.inference.engine import Engine, ScoreRequest


@dataclass(frozen=True)
class Perplexity:
    """Perplexity per token of a text.

    Args:
        mean_loss: The mean negative log-likelihood per token, in nats.
        stderr: The standard error of `mean_loss`, taken over windows.
        n_tokens: The number of predicted tokens.
        n_windows: The number of windows.
        n_nonfinite: The number of windows with a logit that was not finite; they are not in the mean.
        n_too_long: The number of windows longer than the model's context; they are not in the mean either.
        window_losses: The mean loss of each window, in order; None for windows that are not in the mean.
    """

    mean_loss: float
    stderr: float
    n_tokens: int
    n_windows: int
    n_nonfinite: int
    n_too_long: int
    window_losses: tuple[float | None, ...]

    @property
    def value(self) -> float:
        """`exp(mean_loss)`; infinite if a window was not finite, NaN if one was too long."""
        if self.n_too_long:
            return math.nan
        if self.n_nonfinite:
            return math.inf
        return math.exp(self.mean_loss) if self.mean_loss < 700 else math.inf


def perplexity(
    engine: Engine, model: EditedModel, text: str, window: int = 256, progress: Progress = SILENT
) -> Perplexity:
    """Returns the perplexity of a text that is cut into independent windows of equal length.

    Args:
        engine: The engine that runs the model.
        model: The model, edited or not.
        text: The text; at least two tokens.
        window: The number of tokens per window; the first of each is context only.
        progress: Receives progress reports.

    Raises:
        SequelaError: The text is too short.
    """
    ids = tuple(model.base.tokenizer(text, add_special_tokens=False)["input_ids"])
    windows = [ids[i : i + window] for i in range(0, len(ids), window)]
    windows = [w for w in windows if len(w) == window] or windows[:1]
    if not windows or len(windows[0]) < 2:
        raise SequelaError("The text for the perplexity must have at least two tokens.")
    start = _start_of_text(model)
    scores = engine.score(model, [ScoreRequest(start + w[:1], w[1:]) for w in windows], progress)
    window_losses = tuple(-score.mean_logprob if score.finite else None for score in scores)
    losses = [loss for loss in window_losses if loss is not None]
    n_tokens = sum(len(score.token_logprobs) for score in scores if score.finite)
    mean = math.fsum(losses) / len(losses) if losses else math.nan
    spread = math.fsum((loss - mean) ** 2 for loss in losses)
    stderr = math.sqrt(spread / (len(losses) - 1) / len(losses)) if len(losses) > 1 else math.nan
    n_too_long = sum(score.too_long is not None for score in scores)
    n_nonfinite = len(scores) - len(losses) - n_too_long
    return Perplexity(mean, stderr, n_tokens, len(windows), n_nonfinite, n_too_long, window_losses)


def _start_of_text(model: EditedModel) -> tuple[int, ...]:
    """Returns the token that the tokenizer puts before every text, if any; models trained with it need it."""
    tokenizer = model.base.tokenizer
    first = tuple(tokenizer("a")["input_ids"][:1])
    return first if first == (tokenizer.bos_token_id,) else ()
