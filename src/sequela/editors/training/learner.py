"""What of a method is trained, as training knows it."""

from __future__ import annotations

import abc
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import nn

from sequela.editors.training.examples import Examples
from sequela.editors.training.settings import TrainingSettings


@dataclass(frozen=True)
class TrainingOutcome:
    """What edits did to the examples they were made of.

    Args:
        edit_loss: How far the edits are from being made, mean over them. For most methods the cross-entropy
            of the targets in nats a token, mean over prompts and paraphrases.
        kl: How much changed elsewhere, mean over the neighbors: the divergence from the unedited model in
            nats a token.
        efficacy: For each edit whether its target is the likeliest after its prompt, token by token.
        paraphrase: The same after the paraphrase.
        locality: For each whether the neighbor's likeliest tokens stay.
    """

    edit_loss: torch.Tensor
    kl: torch.Tensor
    efficacy: list[bool]
    paraphrase: list[bool]
    locality: list[bool]

    def __len__(self) -> int:
        return len(self.efficacy)

    def loss(self, settings: TrainingSettings) -> torch.Tensor:
        """Both losses with their weights."""
        return settings.edit_weight * self.edit_loss + settings.locality_weight * self.kl


class Learner(abc.ABC):
    """What of a method is trained for one model.

    Training draws batches, takes steps with Adam, validates, and keeps what it found; the learner knows the
    model and what its loss is. While it descends its module is in training mode, else in evaluation mode.

    Args:
        module: What is trained: its parameters that need a gradient; its `state_dict` is what is kept.
    """

    gradient_checkpointing: bool = False
    """Whether the model's blocks are run again in the backward pass and keep nothing for it."""
    cache_bytes: int = 0
    """How many bytes may be kept of examples that come again, which are those outside of training."""

    def __init__(self, module: nn.Module) -> None:
        self.module = module

    @abc.abstractmethod
    def backward(self, examples: Examples, settings: TrainingSettings) -> float:
        """Adds the gradient of a batch's loss to the module's parameters.

        Args:
            examples: The edits of one step.
            settings: The weights of losses, and how many edits may go through the model together.

        Returns:
            The loss.
        """

    @abc.abstractmethod
    def evaluate(self, examples: Examples, settings: TrainingSettings) -> Iterator[TrainingOutcome]:
        """Makes edits and looks at what became of them; nothing is trained, no gradients are needed.

        Args:
            examples: Any number of edits.
            settings: As for `backward`.

        Yields:
            What came of the first of them, of the next, and so on, in parts that the learner chooses.
        """

    @abc.abstractmethod
    def activation_bytes(self, examples: Examples, settings: TrainingSettings) -> int:
        """About how much memory `backward` takes at its height, parameters and their gradients left out."""

    def kept_bytes(self, examples: Examples, settings: TrainingSettings) -> int:
        """About how much memory all that takes that would be kept of examples, if there were room for it."""
        return 0


class IndependentLearner(Learner):
    """A learner whose edits don't meet: each is made by itself, so that any few can be taken together."""

    @abc.abstractmethod
    def outcome(self, examples: Examples) -> TrainingOutcome:
        """Makes each edit by itself and looks at what became of it; gradients flow to the module."""

    @abc.abstractmethod
    def bytes_of_part(self, examples: Examples) -> int:
        """About how much memory `outcome` and its gradients take."""

    def backward(self, examples: Examples, settings: TrainingSettings) -> float:
        """Goes through the batch in parts and adds up their gradients."""
        total = 0.0
        for part in examples.split(settings.micro_batch):
            loss = len(part) / len(examples) * self.outcome(part).loss(settings)
            loss.backward()  # type: ignore[no-untyped-call]
            total += float(loss.detach())
        return total

    def evaluate(self, examples: Examples, settings: TrainingSettings) -> Iterator[TrainingOutcome]:
        """As many edits at once as when training."""
        for part in examples.split(settings.micro_batch):
            yield self.outcome(part)

    def activation_bytes(self, examples: Examples, settings: TrainingSettings) -> int:
        """That of one part."""
        return self.bytes_of_part(examples.split(settings.micro_batch)[0])
