"""The losses of edits' targets, for editors that optimize or report them."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from sequela.edited import Delta, EditedModel
from sequela.editors.base import EditReport, relative_norms
from sequela.edits import Edit
from sequela.models import LanguageModel, TokenizedPrompt, tokenize_prompt
from sequela.models.forward.batch import Batch, pad_right
from sequela.models.forward.replay import read_logits, record_forward


def tokenize_edits(model: LanguageModel, edits: Sequence[Edit]) -> list[TokenizedPrompt]:
    """Tokenizes each edit's bare prompt with its new target."""
    return [tokenize_prompt(model.tokenizer, edit.prompt, edit.subject, edit.target_new) for edit in edits]


def collate(model: LanguageModel, prompts: Sequence[TokenizedPrompt]) -> Batch:
    """Batches prompts with their targets, without the last token, which predicts nothing."""
    return pad_right([prompt.ids[:-1] for prompt in prompts], model.pad_id, model.device)


def target_logits(
    model: LanguageModel, final: torch.Tensor, prompts: Sequence[TokenizedPrompt]
) -> list[torch.Tensor]:
    """Returns the logits that predict each prompt's target, `[tokens, vocabulary]` each, fp32.

    Args:
        model: The model.
        final: The output of the last block, `[prompts, longest, d]`, for the batch from `collate`.
        prompts: The prompts with targets.
    """
    logits = []
    for row, prompt in enumerate(prompts):
        start = len(prompt.prompt_ids) - 1
        logits.append(read_logits(model, final[row, start : start + len(prompt.target_ids)]))
    return logits


def mean_losses(logits: Sequence[torch.Tensor], prompts: Sequence[TokenizedPrompt]) -> torch.Tensor:
    """Returns the mean cross-entropy of each prompt's target in nats per token, `[prompts]`, fp32.

    Args:
        logits: The logits from `target_logits`.
        prompts: The prompts with targets.
    """
    losses = [
        torch.nn.functional.cross_entropy(one, torch.tensor(prompt.target_ids, device=one.device))
        for one, prompt in zip(logits, prompts, strict=True)
    ]
    return torch.stack(losses)


def losses_from_hidden(
    model: LanguageModel, final: torch.Tensor, prompts: Sequence[TokenizedPrompt]
) -> tuple[torch.Tensor, torch.Tensor]:
    """Returns the cross-entropy of each prompt's target, given the output of the last block.

    Args:
        model: The model.
        final: The output of the last block, `[prompts, longest, d]`, for the batch from `collate`.
        prompts: The prompts with targets.

    Returns:
        The mean over the target's tokens in nats, `[prompts]`, and the logits at each target's first
        token, `[prompts, vocabulary]`; both fp32.
    """
    logits = target_logits(model, final, prompts)
    return mean_losses(logits, prompts), torch.stack([one[0] for one in logits])


def target_losses(
    model: LanguageModel, prompts: Sequence[TokenizedPrompt]
) -> tuple[torch.Tensor, torch.Tensor]:
    """Runs the model on prompts with targets; see `losses_from_hidden`."""
    with torch.no_grad():
        final = record_forward(model, collate(model, prompts), model.n_layers).final
        return losses_from_hidden(model, final, prompts)


def step_reports(
    model: LanguageModel,
    edits: Sequence[Edit],
    prompts: Sequence[TokenizedPrompt],
    before: torch.Tensor,
    delta: Delta,
    failures: Sequence[str],
) -> tuple[EditReport, ...]:
    """Returns the reports of edits that were applied in one step.

    Args:
        model: The model before these edits.
        edits: The edits.
        prompts: Their prompts with targets.
        before: Their losses before the edits, `[edits]`.
        delta: The joint change of weights.
        failures: For each edit the reason why it was dropped; empty if it was applied.
    """
    with EditedModel(model, delta):
        after, _ = target_losses(model, prompts)
    norm = max(relative_norms(model, delta).values(), default=0.0)
    return tuple(
        EditReport(
            edit_id=edit.id,
            optimization_steps=1,
            first_loss=float(before[n]),
            final_loss=float(after[n]),
            relative_norm=norm,
            dropped=failures[n],
        )
        for n, edit in enumerate(edits)
    )
