"""The average of many traces by kind of token and layer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from sequela.tracing.causal_trace import CausalTrace

PLACES = (
    "first subject token",
    "middle subject tokens",
    "last subject token",
    "first token after",
    "further tokens",
    "last token",
)
"""The kinds of tokens in the paper's figure 1; tokens before the subject are of no kind."""


@dataclass(frozen=True)
class Profile:
    """The average of some traces.

    Args:
        n: The number of traces.
        clean: The answer's mean probability in the clean runs.
        corrupted: Its mean probability in the corrupted runs.
        restored: The mean gain over the corrupted run with one state restored, `[kinds, layers]`; NaN for
            kinds of tokens that no prompt has.
    """

    n: int
    clean: float
    corrupted: float
    restored: torch.Tensor

    @property
    def strongest_layer(self) -> int:
        """The layer with the largest gain at the subject's last token."""
        return int(self.restored[PLACES.index("last subject token")].argmax())


def profile_of(traces: Sequence[CausalTrace]) -> Profile:
    """Averages traces of one model by kind of token, with equal weight for each prompt."""
    gains = []
    for trace in traces:
        gain = trace.restored - trace.corrupted
        kinds = [place_of(token, len(trace.tokens), trace.subject) for token in range(len(trace.tokens))]
        rows = []
        for name in PLACES:
            own = [token for token, kind in enumerate(kinds) if kind == name]
            missing = torch.full((gain.shape[1],), float("nan"))
            rows.append(gain[own].mean(0) if own else missing)
        gains.append(torch.stack(rows))
    n = len(traces)
    return Profile(
        n=n,
        clean=sum(trace.clean for trace in traces) / n,
        corrupted=sum(trace.corrupted for trace in traces) / n,
        restored=torch.stack(gains).nanmean(0),
    )


def place_of(token: int, n_tokens: int, subject: tuple[int, int]) -> str:
    """Returns the kind of a token; empty for one before the subject."""
    first, last = subject
    if token < first:
        return ""
    if token == last:
        return "last subject token"
    if token < last:
        return "first subject token" if token == first else "middle subject tokens"
    if token == n_tokens - 1:
        return "last token"
    return "first token after" if token == last + 1 else "further tokens"
