"""The interface between a trained method and the training loop."""

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
    """The effect of edits on their examples.

    Args:
        edit_loss: The loss of the edits, mean over them. For most methods the cross-entropy of the targets in
            nats per token, mean over prompts and paraphrases.
        kl: The KL divergence from the unedited model at the neighbors, in nats per token, mean over them.
        efficacy: For each edit, whether its target is most likely at its prompt, token by token.
        paraphrase: For each edit, whether its target is most likely at the paraphrase.
        locality: For each edit, whether the neighbor's most likely tokens don't change.
    """

    edit_loss: torch.Tensor
    kl: torch.Tensor
    efficacy: list[bool]
    paraphrase: list[bool]
    locality: list[bool]

    def __len__(self) -> int:
        return len(self.efficacy)

    def loss(self, settings: TrainingSettings) -> torch.Tensor:
        """Returns the weighted sum of both losses."""
        return settings.edit_weight * self.edit_loss + settings.locality_weight * self.kl


class Learner(abc.ABC):
    """The trainable part of a method for one model, with its loss.

    `Training` draws batches, takes Adam steps, validates and saves; the learner has the model and computes
    the loss. Its module is in training mode during `backward`, and otherwise in evaluation mode.

    Args:
        module: The trained module. Its parameters that require gradients are trained, and its `state_dict` is
            saved.
    """

    gradient_checkpointing: bool = False
    """True to recompute the model's blocks in the backward pass instead of keeping their activations."""
    cache_bytes: int = 0
    """The maximum number of bytes cached for examples that are used repeatedly, i.e., the held-out ones."""

    def __init__(self, module: nn.Module) -> None:
        self.module = module

    @abc.abstractmethod
    def backward(self, examples: Examples, settings: TrainingSettings) -> float:
        """Adds the gradient of a batch's loss to the module's parameters.

        Args:
            examples: The edits of one step.
            settings: The weights of the losses and the micro-batch size.

        Returns:
            The loss.
        """

    @abc.abstractmethod
    def evaluate(self, examples: Examples, settings: TrainingSettings) -> Iterator[TrainingOutcome]:
        """Applies edits and measures their effect, without training or gradients.

        Args:
            examples: Any number of edits.
            settings: The settings of the training.

        Yields:
            The outcomes of consecutive parts of the examples; the learner chooses their sizes.
        """

    @abc.abstractmethod
    def activation_bytes(self, examples: Examples, settings: TrainingSettings) -> int:
        """Returns an estimate of `backward`'s peak memory in bytes, without parameters and gradients."""

    def kept_bytes(self, examples: Examples, settings: TrainingSettings) -> int:
        """Returns an estimate of the memory in bytes to cache all that can be reused of the examples."""
        return 0


class IndependentLearner(Learner):
    """A learner that applies each edit independently, so that batches can be split at will."""

    @abc.abstractmethod
    def outcome(self, examples: Examples) -> TrainingOutcome:
        """Applies each edit on its own and measures its effect; gradients flow to the module."""

    @abc.abstractmethod
    def bytes_of_part(self, examples: Examples) -> int:
        """Returns an estimate of the memory in bytes that `outcome` and its gradients take."""

    def backward(self, examples: Examples, settings: TrainingSettings) -> float:
        """Computes the loss micro-batch by micro-batch and accumulates the gradients."""
        total = 0.0
        for part in examples.split(settings.micro_batch):
            loss = len(part) / len(examples) * self.outcome(part).loss(settings)
            loss.backward()  # type: ignore[no-untyped-call]
            total += float(loss.detach())
        return total

    def evaluate(self, examples: Examples, settings: TrainingSettings) -> Iterator[TrainingOutcome]:
        """Yields the outcome of each micro-batch."""
        for part in examples.split(settings.micro_batch):
            yield self.outcome(part)

    def activation_bytes(self, examples: Examples, settings: TrainingSettings) -> int:
        """Returns an estimate of the memory of one micro-batch in bytes."""
        return self.bytes_of_part(examples.split(settings.micro_batch)[0])
