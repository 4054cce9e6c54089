"""Keys and values at the subject's last token."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from sequela.core.batching import by_token_budget
from sequela.edits import Edit
from sequela.models import LanguageModel, TokenizedPrompt, tokenize_prompt
from sequela.models.forward.activations import Site, read_activations
from sequela.models.forward.batch import pad_right

TOKENS_AT_ONCE = 4096


def in_contexts(model: LanguageModel, edit: Edit, contexts: Sequence[str]) -> list[TokenizedPrompt]:
    """Returns the edit's prompt in every context, without a target."""
    return [
        tokenize_prompt(model.tokenizer, edit.prompt, edit.subject, context=context) for context in contexts
    ]


def read_at_subject(
    model: LanguageModel, prompts: Sequence[TokenizedPrompt], sites: Sequence[Site]
) -> dict[Site, torch.Tensor]:
    """Returns the activations of each site at the last token of each prompt's subject.

    Returns:
        The activations by site, `[prompts, width]`, in the order of the prompts.
    """
    found: dict[Site, list[torch.Tensor]] = {site: [torch.empty(0)] * len(prompts) for site in sites}
    lengths = [prompt.subject_last + 1 for prompt in prompts]
    for group in by_token_budget(lengths, TOKENS_AT_ONCE):
        # By causality, tokens after the subject can't change the activations at its last token.
        rows = [prompts[i].ids[: lengths[i]] for i in group]
        batch = pad_right(rows, model.pad_id, model.device)
        for site, activations in read_activations(model, batch, sites).items():
            for row, i in enumerate(group):
                found[site][i] = activations[row, lengths[i] - 1]
    return {site: torch.stack(rows) for site, rows in found.items()}


def mean_weights(n_contexts: int, *, bare_half: bool) -> torch.Tensor:
    """Returns the weight of each context in the mean key, `[contexts]`, summing to 1.

    Args:
        n_contexts: The number of contexts, including the bare prompt, which is first.
        bare_half: True to give the bare prompt as much weight as all others together, as in MEMIT, where it
            is a context type of its own. ROME gives all contexts the same weight.
    """
    if bare_half and n_contexts > 1:
        weights = torch.full((n_contexts,), 0.5 / (n_contexts - 1))
        weights[0] = 0.5
        return weights
    return torch.full((n_contexts,), 1.0 / n_contexts)
