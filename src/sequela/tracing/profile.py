"""Many traces as one: what each kind of token carries, layer by layer."""

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
"""The kinds of tokens of the paper's figure 1; tokens before the subject count as none of them."""


@dataclass(frozen=True)
class Profile:
    """The average of some traces.

    Args:
        n: How many.
        clean: The answer's mean probability in the clean runs.
        corrupted: In the corrupted ones.
        restored: The mean gain over the corrupted run with a place put back, `[places, layers]`; NaN where
            no prompt has such a place.
    """

    n: int
    clean: float
    corrupted: float
    restored: torch.Tensor

    @property
    def strongest_layer(self) -> int:
        """The layer where putting back the subject's last token brings back most."""
        return int(self.restored[PLACES.index("last subject token")].argmax())


def profile_of(traces: Sequence[CausalTrace]) -> Profile:
    """Averages traces of one model place by place, each prompt counting alike."""
    gains = []
    for trace in traces:
        gain = trace.restored - trace.corrupted
        places = [place_of(token, len(trace.tokens), trace.subject) for token in range(len(trace.tokens))]
        rows = []
        for name in PLACES:
            own = [token for token, place in enumerate(places) if place == name]
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
    """The kind of a token; empty for one before the subject."""
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
