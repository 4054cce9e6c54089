"""How likely targets are, for editors that optimise or report it."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from sequela.edits import Edit
from sequela.models import LanguageModel, TokenizedPrompt, tokenize_prompt
from sequela.models.batch import Batch, pad_right
from sequela.models.partial import read_logits, record


def with_targets(model: LanguageModel, edits: Sequence[Edit]) -> list[TokenizedPrompt]:
    """Each edit's bare prompt with its new target."""
    return [tokenize_prompt(model.tokenizer, edit.prompt, edit.subject, edit.target_new) for edit in edits]


def batch_of(model: LanguageModel, prompts: Sequence[TokenizedPrompt]) -> Batch:
    """The prompts with their targets side by side; the last token, which predicts nothing, is left out."""
    return pad_right([prompt.ids[:-1] for prompt in prompts], model.pad_id, model.device)


def losses_of(
    model: LanguageModel, final: torch.Tensor, prompts: Sequence[TokenizedPrompt]
) -> tuple[torch.Tensor, torch.Tensor]:
    """Cross-entropy of each prompt's target, from what leaves the last block.

    Args:
        model: The model.
        final: `[prompts, longest, d]`, as `batch_of` has them.
        prompts: The prompts with targets.

    Returns:
        The mean over the target's tokens in nats, `[prompts]`, and the logits at each target's first
        token, `[prompts, vocabulary]`; both fp32.
    """
    losses, first = [], []
    for row, prompt in enumerate(prompts):
        start = len(prompt.prompt_ids) - 1
        hidden = final[row, start : start + len(prompt.target_ids)]
        logits = read_logits(model, hidden)
        target = torch.tensor(prompt.target_ids, device=logits.device)
        losses.append(torch.nn.functional.cross_entropy(logits, target))
        first.append(logits[0])
    return torch.stack(losses), torch.stack(first)


def target_losses(
    model: LanguageModel, prompts: Sequence[TokenizedPrompt]
) -> tuple[torch.Tensor, torch.Tensor]:
    """Runs the model on prompts with targets; see `losses_of`."""
    with torch.no_grad():
        final = record(model, batch_of(model, prompts), model.n_layers).final
        return losses_of(model, final, prompts)
