"""The passes of the unedited model over examples, and what changes of the upper part make of them."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass

import torch

from sequela.editors.likelihood import batch_of, mean_losses, target_logits
from sequela.editors.training.examples import Examples
from sequela.editors.training.learner import Outcome
from sequela.models import LanguageModel, TokenizedPrompt
from sequela.models.partial import Recording, record


@dataclass(frozen=True)
class Passes:
    """What the unedited model makes of examples, to be continued from the lowest edited layer.

    Args:
        examples: The examples.
        prompts: The pass over the edits' own prompts.
        paraphrases: The pass over other phrasings.
        neighbors: The pass over unrelated prompts.
        before: The logits of the neighbors' answers, `[tokens, vocabulary]` each.
    """

    examples: Examples
    prompts: Recording
    paraphrases: Recording
    neighbors: Recording
    before: tuple[torch.Tensor, ...]

    @classmethod
    def of(
        cls, model: LanguageModel, examples: Examples, first: int, prompts: Recording | None = None
    ) -> Passes:
        """Runs the unedited model.

        Args:
            model: The model.
            examples: The examples.
            first: The lowest layer that is edited.
            prompts: The pass over the edits' own prompts, where it was run already.
        """
        if prompts is None:
            prompts = record(model, batch_of(model, examples.prompts), first)
        paraphrases, neighbors = (
            record(model, batch_of(model, rows), first) for rows in (examples.paraphrases, examples.neighbors)
        )
        with torch.no_grad():
            before = target_logits(model, neighbors.final, examples.neighbors)
        return cls(examples, prompts, paraphrases, neighbors, tuple(before))

    def outcome(self, model: LanguageModel, edited: Callable[[], AbstractContextManager[None]]) -> Outcome:
        """What became of the examples; gradients flow to what `edited` puts in force.

        Args:
            model: The model.
            edited: Puts the edits in force for the length of a block.
        """
        losses, right = [], []
        for rows, recorded in (
            (self.examples.prompts, self.prompts),
            (self.examples.paraphrases, self.paraphrases),
        ):
            with edited():
                logits = target_logits(model, recorded.run(), rows)
            losses.append(mean_losses(logits, rows).mean())
            right.append([_says(one, prompt) for one, prompt in zip(logits, rows, strict=True)])
        with edited():
            after = target_logits(model, self.neighbors.run(), self.examples.neighbors)
        divergences = [_kl(one, other) for one, other in zip(self.before, after, strict=True)]
        stays = [
            bool((one.argmax(-1) == other.argmax(-1)).all())
            for one, other in zip(self.before, after, strict=True)
        ]
        return Outcome(torch.stack(losses).mean(), torch.stack(divergences).mean(), right[0], right[1], stays)


def activation_bytes(model: LanguageModel, examples: Examples, first: int, features: int) -> int:
    """About how much memory the passes over examples, their outcome and its gradients take.

    Args:
        model: The model.
        examples: The examples.
        first: The lowest layer that is edited.
        features: The numbers that a learner reads at each token.
    """
    rows = (examples.prompts, examples.paraphrases, examples.neighbors)
    tokens = sum(len(some) * max(len(prompt.ids) for prompt in some) for some in rows)
    targets = sum(len(prompt.target_ids) for some in rows for prompt in some)
    vocabulary = int(model.module.config.vocab_size)
    layers = model.n_layers - first
    numbers = tokens * (12 * features + 8 * layers * (model.key_size + model.hidden_size))
    return 4 * (numbers + 4 * targets * vocabulary)


def _says(logits: torch.Tensor, prompt: TokenizedPrompt) -> bool:
    """Whether every token of the target is the likeliest in its place."""
    return logits.argmax(-1).tolist() == list(prompt.target_ids)


def _kl(before: torch.Tensor, after: torch.Tensor) -> torch.Tensor:
    old, new = before.log_softmax(-1), after.log_softmax(-1)
    return (old.exp() * (old - new)).sum(-1).mean()
