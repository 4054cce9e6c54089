"""The check that an adapter reaches the served model.

A server may ignore an adapter, or a part of it, without an error: if a module has another name there, or the
adapter is scaled differently. So the first adapter that changes an answer noticeably is compared with the
same delta in Sequela's own process.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch

from sequela.models import LanguageModel

N_TOKENS = 32
"""The number of tokens whose log-probabilities are compared."""

MIN_CHANGE = 0.1
"""The least change in nats of a log-probability that shows whether an adapter is in force."""

MAX_DEVIATION = 0.5
"""The relative deviation of the changes above which an adapter does something else than the delta.

In bfloat16, both engines round at different points, by much less; an adapter without effect deviates by 1.
"""


@torch.inference_mode()
def changes_of(base: LanguageModel, prompt: Sequence[int]) -> dict[int, float]:
    """Returns by how much the edits in force on a model change the log-probabilities after a prompt.

    Args:
        base: The model, with edits in force.
        prompt: The token ids.

    Returns:
        The changes in nats of the `N_TOKENS` tokens that change most, by token. Empty if a change is not
        finite, or if none is large enough to be distinguished from rounding.
    """
    ids = torch.tensor([list(prompt)], device=base.device)
    edited = base.module(ids).logits[0, -1].float().log_softmax(-1)
    with base.unedited():
        unedited = base.module(ids).logits[0, -1].float().log_softmax(-1)
    changes = edited - unedited
    most = changes.abs().topk(min(N_TOKENS, len(changes)))
    if not torch.isfinite(changes).all() or float(most.values[0]) < MIN_CHANGE:
        return {}
    return {int(token): float(changes[token]) for token in most.indices}


def deviation(expected: Mapping[int, float], found: Mapping[int, float]) -> float:
    """Returns the relative deviation of changes from the expected ones; 1 if nothing was changed."""
    wanted = torch.tensor(list(expected.values()), dtype=torch.float64)
    got = torch.tensor([found[token] for token in expected], dtype=torch.float64)
    return float((got - wanted).norm() / wanted.norm())
