"""The passes of the unedited model over examples, and what changes of the upper part make of them."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from sequela.editors.shared.target_loss import collate, mean_losses, target_logits
from sequela.editors.training.examples import Examples
from sequela.editors.training.learner import TrainingOutcome
from sequela.models import LanguageModel, TokenizedPrompt
from sequela.models.forward.replay import ForwardRecord, InForce, record_forward


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
            prompts: The pass over the edits' own prompts, where it was run already.
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

    def outcome(self, model: LanguageModel, edited: InForce, recompute: bool = False) -> TrainingOutcome:
        """What became of the examples; gradients flow to what `edited` puts in force.

        Args:
            model: The model.
            edited: Puts the edits in force for the length of a block.
            recompute: Whether blocks are run again in the backward pass and keep nothing for it.
        """
        recomputed = edited if recompute else None
        losses, right = [], []
        for rows, recorded in (
            (self.examples.prompts, self.prompts),
            (self.examples.paraphrases, self.paraphrases),
        ):
            with edited():
                logits = target_logits(model, recorded.replay(recomputed=recomputed), rows)
            losses.append(mean_losses(logits, rows).mean())
            right.append([_says(one, prompt) for one, prompt in zip(logits, rows, strict=True)])
        with edited():
            after = target_logits(
                model, self.neighbors.replay(recomputed=recomputed), self.examples.neighbors
            )
        divergences = [_kl(one, other) for one, other in zip(self.before, after, strict=True)]
        stays = [
            bool((one.argmax(-1) == other.argmax(-1)).all())
            for one, other in zip(self.before, after, strict=True)
        ]
        return TrainingOutcome(
            torch.stack(losses).mean(), torch.stack(divergences).mean(), right[0], right[1], stays
        )

    @property
    def n_bytes(self) -> int:
        """What its tensors take."""
        recordings = (self.prompts, self.paraphrases, self.neighbors)
        return sum(one.n_bytes for one in recordings) + sum(logits.nbytes for logits in self.before)


class PassStore:
    """Passes over examples that come again, as the held-out ones do: kept for as long as there is room.

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
        """The passes over examples, if they were kept."""
        return self._kept.get(examples)

    def of(self, examples: Examples, cache_bytes: int, prompts: ForwardRecord | None = None) -> Passes:
        """The passes over examples, run unless they were kept.

        Args:
            examples: The examples.
            cache_bytes: They are kept if all that is kept then takes no more than so many bytes.
            prompts: The pass over the edits' own prompts, where it was run already.
        """
        found = self.kept(examples)
        if found is None:
            found = Passes.of(self._model, examples, self._first, prompts)
            if self.n_bytes + found.n_bytes <= cache_bytes:
                self._kept[examples] = found
                self.n_bytes += found.n_bytes
        return found


def kept_bytes(model: LanguageModel, examples: Examples) -> int:
    """About how much memory the passes over examples take."""
    tokens, _ = _counted(examples)
    answers = sum(len(prompt.target_ids) for prompt in examples.neighbors)
    return 4 * (2 * tokens * model.hidden_size + answers * int(model.module.config.vocab_size))


def activation_bytes(
    model: LanguageModel, examples: Examples, first: int, features: int, recompute: bool = False
) -> int:
    """About how much memory the passes over examples, their outcome and its gradients take.

    Args:
        model: The model.
        examples: The examples.
        first: The lowest layer that is edited.
        features: The numbers that a learner reads at each token.
        recompute: Whether blocks keep only what entered them.
    """
    tokens, targets = _counted(examples)
    layers = model.n_layers - first
    block = 8 * (model.key_size + model.hidden_size)
    blocks = layers * model.hidden_size + block if recompute else layers * block
    return 4 * (tokens * (12 * features + blocks) + 4 * targets * int(model.module.config.vocab_size))


def _counted(examples: Examples) -> tuple[int, int]:
    """The tokens of all passes over examples, padding included, and those of their targets."""
    rows = (examples.prompts, examples.paraphrases, examples.neighbors)
    tokens = sum(len(some) * max(len(prompt.ids) for prompt in some) for some in rows)
    return tokens, sum(len(prompt.target_ids) for some in rows for prompt in some)


def _says(logits: torch.Tensor, prompt: TokenizedPrompt) -> bool:
    """Whether every token of the target is the likeliest in its place."""
    return logits.argmax(-1).tolist() == list(prompt.target_ids)


def _kl(before: torch.Tensor, after: torch.Tensor) -> torch.Tensor:
    old, new = before.log_softmax(-1), after.log_softmax(-1)
    return (old.exp() * (old - new)).sum(-1).mean()
