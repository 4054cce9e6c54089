"""Recorded passes of the unedited model over examples, which are replayed with edits in the upper layers."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from sequela.editors.shared.target_loss import collate, mean_losses, target_logits
from sequela.editors.training.examples import Examples
from sequela.editors.training.learner import TrainingOutcome
from sequela.models import LanguageModel, TokenizedPrompt
from sequela.models.forward.replay import ApplyChange, ForwardRecord, record_forward


@dataclass(frozen=True)
class Passes:
    """Recorded passes of the unedited model over examples, for replay from the lowest edited layer.

    Args:
        examples: The examples.
        prompts: The pass over the edits' own prompts.
        paraphrases: The pass over paraphrases.
        neighbors: The pass over unrelated prompts.
        before: The unedited model's logits of the neighbors' answers, `[tokens, vocabulary]` each.
    """

    examples: Examples
    prompts: ForwardRecord
    paraphrases: ForwardRecord
    neighbors: ForwardRecord
    before: tuple[torch.Tensor, ...]

    @classmethod
    def of(
        cls, model: LanguageModel, examples: Examples, first: int, prompts: ForwardRecord | None = None
    ) -> Passes:
        """Runs the unedited model.

        Args:
            model: The model.
            examples: The examples.
            first: The lowest layer that is edited.
            prompts: The pass over the edits' own prompts, if it was already run.
        """
        if prompts is None:
            prompts = record_forward(model, collate(model, examples.prompts), first)
        paraphrases, neighbors = (
            record_forward(model, collate(model, rows), first)
            for rows in (examples.paraphrases, examples.neighbors)
        )
        with torch.no_grad():
            before = target_logits(model, neighbors.final, examples.neighbors)
        return cls(examples, prompts, paraphrases, neighbors, tuple(before))

    def outcome(self, model: LanguageModel, edited: ApplyChange, recompute: bool = False) -> TrainingOutcome:
        """Returns the outcome of edits on the examples; gradients flow to the change that `edited` applies.

        Args:
            model: The model.
            edited: Returns a context manager in which the edits are applied.
            recompute: True to recompute blocks in the backward pass instead of keeping their activations.
        """
        recomputed = edited if recompute else None
        losses, correct = [], []
        for rows, recorded in (
            (self.examples.prompts, self.prompts),
            (self.examples.paraphrases, self.paraphrases),
        ):
            with edited():
                logits = target_logits(model, recorded.replay(recomputed=recomputed), rows)
            losses.append(mean_losses(logits, rows).mean())
            correct.append([_is_predicted(one, prompt) for one, prompt in zip(logits, rows, strict=True)])
        with edited():
            after = target_logits(
                model, self.neighbors.replay(recomputed=recomputed), self.examples.neighbors
            )
        divergences = [_kl(one, other) for one, other in zip(self.before, after, strict=True)]
        unchanged = [
            bool((one.argmax(-1) == other.argmax(-1)).all())
            for one, other in zip(self.before, after, strict=True)
        ]
        return TrainingOutcome(
            torch.stack(losses).mean(), torch.stack(divergences).mean(), correct[0], correct[1], unchanged
        )

    @property
    def n_bytes(self) -> int:
        """The memory of the passes' tensors in bytes."""
        recordings = (self.prompts, self.paraphrases, self.neighbors)
        return sum(one.n_bytes for one in recordings) + sum(logits.nbytes for logits in self.before)


class PassStore:
    """A cache of passes over examples that are used repeatedly, such as the held-out ones.

    Args:
        model: The unedited model.
        first: The lowest layer that is edited.
    """

    def __init__(self, model: LanguageModel, first: int) -> None:
        self._model = model
        self._first = first
        self._kept: dict[Examples, Passes] = {}
        self.n_bytes = 0

    def kept(self, examples: Examples) -> Passes | None:
        """Returns the cached passes over examples; None if they aren't cached."""
        return self._kept.get(examples)

    def of(self, examples: Examples, cache_bytes: int, prompts: ForwardRecord | None = None) -> Passes:
        """Returns the passes over examples, and runs them unless they are cached.

        Args:
            examples: The examples.
            cache_bytes: The maximum size of the cache in bytes; new passes are cached only within it.
            prompts: The pass over the edits' own prompts, if it was already run.
        """
        passes = self.kept(examples)
        if passes is None:
            passes = Passes.of(self._model, examples, self._first, prompts)
            if self.n_bytes + passes.n_bytes <= cache_bytes:
                self._kept[examples] = passes
                self.n_bytes += passes.n_bytes
        return passes


def kept_bytes(model: LanguageModel, examples: Examples) -> int:
    """Returns an estimate of the memory in bytes that the passes over examples take."""
    tokens, _ = _counted(examples)
    answers = sum(len(prompt.target_ids) for prompt in examples.neighbors)
    return 4 * (2 * tokens * model.hidden_size + answers * int(model.module.config.vocab_size))


def activation_bytes(
    model: LanguageModel, examples: Examples, first: int, features: int, recompute: bool = False
) -> int:
    """Returns an estimate of the memory in bytes of passes over examples, their outcome and its gradients.

    Args:
        model: The model.
        examples: The examples.
        first: The lowest layer that is edited.
        features: The number of features that the learner reads at each token.
        recompute: True if blocks keep only their input.
    """
    tokens, targets = _counted(examples)
    layers = model.n_layers - first
    block = 8 * (model.key_size + model.hidden_size)
    blocks = layers * model.hidden_size + block if recompute else layers * block
    return 4 * (tokens * (12 * features + blocks) + 4 * targets * int(model.module.config.vocab_size))


def _counted(examples: Examples) -> tuple[int, int]:
    """Counts the tokens of all passes over examples, including padding, and the tokens of their targets."""
    rows = (examples.prompts, examples.paraphrases, examples.neighbors)
    tokens = sum(len(some) * max(len(prompt.ids) for prompt in some) for some in rows)
    return tokens, sum(len(prompt.target_ids) for some in rows for prompt in some)


def _is_predicted(logits: torch.Tensor, prompt: TokenizedPrompt) -> bool:
    """Returns whether every token of the target is the most likely one at its position."""
    return logits.argmax(-1).tolist() == list(prompt.target_ids)


def _kl(before: torch.Tensor, after: torch.Tensor) -> torch.Tensor:
    old, new = before.log_softmax(-1), after.log_softmax(-1)
    return (old.exp() * (old - new)).sum(-1).mean()
