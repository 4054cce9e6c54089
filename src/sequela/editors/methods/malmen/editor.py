"""MALMEN: a network wishes a difference for every token, a ridge regression grants all (arXiv 2311.04661).

Tan, Zhang and Fu, "Massive Editing for Large Language Models via Meta Learning" (2024). From the key and the
gradient at each token of each edit a trained network makes the wished difference of the value there; each
weight gets the one change that comes nearest to all of them (`aggregation.py`). So the edits of
a batch are made together, however many they are.

The network is trained on whole batches. The gradient of the loss by the change of weights is collected from
the model a few edits at a time; then it goes on through the regression to the network. Model and network
never hold their activations at once, and a batch may be greater than what goes through the model together.

What is different from the released code:

* The loss of an edit counts its own prompt beside the paraphrase, as for all methods here; theirs has the
  paraphrase only. Each edit counts alike; theirs takes the mean over the tokens of all targets in a part.
* A token that has no gradient wishes no difference: in the highest layer, with `token: mask`, all but those
  that predict the target. Theirs normalizes the zeros and wishes something there too.
* The regression is solved in float64 and on its smaller side; theirs always on the key's features, in fp32.
* Means and deviations are exact over all rows seen.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import ClassVar

import torch

from sequela.core.seeding import seeded
from sequela.edited import Delta, Dense, LowRank, WeightUpdate
from sequela.editors.base import EditReport
from sequela.editors.methods.malmen.aggregation import ROWS_AT_ONCE, AggregatingNetwork
from sequela.editors.methods.malmen.settings import MALMEN, MalmenHyperparameters
from sequela.editors.shared.gradient_factors import GradientFactors, changed_together, read_factors
from sequela.editors.shared.hypernetwork import shapes_of
from sequela.editors.shared.settings import Token
from sequela.editors.shared.target_loss import collate, step_reports, target_losses, tokenize_edits
from sequela.editors.shared.token_features import Features, failure_of, features_of, read_features
from sequela.editors.training.examples import Examples
from sequela.editors.training.hypernetwork_editor import HypernetworkEditor
from sequela.editors.training.learner import Learner, TrainingOutcome
from sequela.editors.training.passes import PassStore, activation_bytes, kept_bytes
from sequela.editors.training.settings import TrainingSettings
from sequela.edits import Edit
from sequela.models import LanguageModel
from sequela.models.forward.replay import ForwardRecord, record_forward


class MalmenLearner(Learner):
    """MALMEN's networks, all edits of a batch together.

    Args:
        model: The unedited model.
        network: The networks.
        layers: The edited layers, ascending.
        token: Which tokens of an edit are read.
    """

    module: AggregatingNetwork

    def __init__(
        self, model: LanguageModel, network: AggregatingNetwork, layers: Sequence[int], token: Token
    ) -> None:
        super().__init__(network)
        self._model = model
        self._layers = tuple(layers)
        self._token = token
        self._passes = PassStore(model, self._layers[0])

    def backward(self, examples: Examples, settings: TrainingSettings) -> float:
        """Makes the batch, collects the gradient by its change part by part, and hands it to the network."""
        parts = examples.split(settings.micro_batch)
        recordings, tokens = self._read(parts)
        self.module.update_statistics(tokens)
        made = self.module(tokens)
        leaves = {name: _leaf(update) for name, update in made.items()}
        total = 0.0
        for part, recording in zip(parts, recordings, strict=True):
            outcome = self._outcome(part, recording, leaves)
            loss = len(part) / len(examples) * outcome.loss(settings)
            loss.backward()  # type: ignore[no-untyped-call]
            total += float(loss.detach())
        torch.autograd.backward(
            [_learned(made[name]) for name in made], [_learned(leaf).grad for leaf in leaves.values()]
        )
        return total

    def evaluate(self, examples: Examples, settings: TrainingSettings) -> Iterator[TrainingOutcome]:
        """Batches as great as when training, each made on the unedited model."""
        for batch in examples.split(settings.batch_size):
            parts = batch.split(settings.micro_batch)
            recordings, tokens = self._read(parts)
            made = self.module(tokens)
            for part, recording in zip(parts, recordings, strict=True):
                yield self._outcome(part, recording, made)

    def activation_bytes(self, examples: Examples, settings: TrainingSettings) -> int:
        """The upper part of the model over one part, and the whole batch's keys, differences and solves."""
        model, network = self._model, self.module
        part = activation_bytes(
            model,
            examples.split(settings.micro_batch)[0],
            self._layers[0],
            network.width,
            self.gradient_checkpointing,
        )
        rows = sum(self._n_tokens(prompt.target_ids, prompt.ids) for prompt in examples.prompts)
        hidden = 2 * sum(len(prompt.ids) for prompt in examples.prompts) * model.hidden_size
        own = 12 * min(rows, ROWS_AT_ONCE) * network.width
        solves = sum(4 * min(rows, n_in) ** 2 for _, n_in in network.shapes.values())
        return part + 4 * (hidden + 4 * rows * network.width + own + solves)

    def kept_bytes(self, examples: Examples, settings: TrainingSettings) -> int:
        """The passes over all examples."""
        parts = (
            part
            for batch in examples.split(settings.batch_size)
            for part in batch.split(settings.micro_batch)
        )
        return sum(kept_bytes(self._model, part) for part in parts)

    def _n_tokens(self, target: Sequence[int], ids: Sequence[int]) -> int:
        return len(target) if self._token == "ans" else len(ids) - 1

    def _read(self, parts: Sequence[Examples]) -> tuple[list[ForwardRecord], dict[str, GradientFactors]]:
        """The passes over the edits' prompts, and what stands at all tokens of the batch, by linear layer."""
        model, names = self._model, self.module.names
        recordings, found = [], []
        for part in parts:
            kept = self._passes.kept(part)
            if kept is None:
                recording = record_forward(model, collate(model, part.prompts), self._layers[0])
            else:
                recording = kept.prompts
            factors, _ = read_factors(model, recording, names, part.prompts, self.gradient_checkpointing)
            by_layer = {layer: factors[name] for layer, name in zip(self._layers, names, strict=True)}
            found += features_of(by_layer, part.prompts, self._token)
            recordings.append(recording)
        return recordings, _joined(self.module, self._layers, found)

    def _outcome(
        self, examples: Examples, recording: ForwardRecord, updates: dict[str, WeightUpdate]
    ) -> TrainingOutcome:
        room = 0 if self.module.training else self.cache_bytes
        passes = self._passes.of(examples, room, recording)
        return passes.outcome(
            self._model, lambda: changed_together(self._model, updates), self.gradient_checkpointing
        )


class Malmen(HypernetworkEditor[MalmenHyperparameters]):
    """Aggregates the differences that a trained network wishes."""

    info = MALMEN
    n_layers: ClassVar[int] = 6
    training_defaults: ClassVar[Mapping[str, float]] = {"edit_weight": 1.0, "clip": 1.0}

    def learner(self, model: LanguageModel, seed: int = 0) -> MalmenLearner:
        """The networks before any training."""
        settings, layers = self.hyperparameters, self.layers_of(model)
        model.check_layers(layers)
        shapes = shapes_of(model, [model.family.mlp_out.format(layer) for layer in layers])
        normalized = not settings.is_untrained
        with seeded(seed, model.device):
            made = AggregatingNetwork(shapes, settings.rank, settings.n_blocks, normalized, settings.edit_lr)
        return MalmenLearner(model, made.to(model.device), layers, settings.token)

    def compute_change(
        self, model: LanguageModel, edits: Sequence[Edit]
    ) -> tuple[Delta, tuple[EditReport, ...]]:
        """Makes all edits of a batch together; those that can't be read are left out of it."""
        _, network = self.trained(model)
        assert isinstance(network, AggregatingNetwork)
        prompts, layers = tokenize_edits(model, edits), self.layers_of(model)
        before, _ = target_losses(model, prompts)
        read = read_features(model, prompts, layers, self.hyperparameters.token)
        failures = [failure_of(by_layer) for by_layer in read]
        sound = [by_layer for by_layer, failure in zip(read, failures, strict=True) if not failure]
        delta = Delta.empty(model.fingerprint)
        if sound:
            with torch.no_grad():
                changes = network(_joined(network, layers, sound))
            delta = Delta(model.fingerprint, {f"{name}.weight": update for name, update in changes.items()})
        if not delta.finite:
            failures = [failure or "the change of the batch is not finite" for failure in failures]
            delta = Delta.empty(model.fingerprint)
        return delta, step_reports(model, edits, prompts, before, delta, failures)


def _joined(
    network: AggregatingNetwork, layers: Sequence[int], found: Sequence[dict[int, Features]]
) -> dict[str, GradientFactors]:
    """What stands at the tokens of all edits, one after the other, by linear layer."""
    return {
        name: GradientFactors(
            torch.cat([by_layer[layer].keys for by_layer in found]),
            torch.cat([by_layer[layer].gradients for by_layer in found]),
        )
        for layer, name in zip(layers, network.names, strict=True)
    }


def _learned(update: WeightUpdate) -> torch.Tensor:
    """The part of an update that follows from the network; the keys of a low-rank one don't."""
    return update.b if isinstance(update, LowRank) else update.values


def _leaf(update: WeightUpdate) -> WeightUpdate:
    """The same update, cut off from the network, to collect a gradient."""
    learned = _learned(update).detach().requires_grad_()
    return LowRank(learned, update.a) if isinstance(update, LowRank) else Dense(learned)
