"""MALMEN: value differences predicted by a network and aggregated by ridge regression (arXiv 2311.04661).

Tan, Zhang and Fu, "Massive Editing for Large Language Models via Meta Learning" (2024). From the key and the
gradient at each token of each edit, a trained network computes the target difference of the value. Each
weight gets the ridge solution for all of them (`aggregation.py`), so that the edits of a batch of any size
are applied together.

The network is trained on whole batches. The gradient of the loss with respect to the change of weights is
accumulated over micro-batches and then propagated through the regression to the network. Model and network
never hold their activations at the same time, and a batch may be larger than a micro-batch.

Differences from the released code:

* The loss of an edit includes its own prompt in addition to the paraphrase, as for all methods here; the
  released code uses the paraphrase only. Each edit has the same weight; the released code averages over the
  tokens of all targets in a micro-batch.
* A token without a gradient gets a zero difference: in the highest layer, with `token: mask`, all except
  those that predict the target. The released code normalizes the zeros and gets nonzero differences.
* The regression is solved in float64 over the smaller of tokens and features; the released code always solves
  over the key's features, in fp32.
* Means and deviations are exact over all rows.
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
    """The learner of MALMEN's networks, which applies all edits of a batch together.

    Args:
        model: The unedited model.
        network: The networks.
        layers: The edited layers, ascending.
        token: The tokens of an edit that are read.
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
        """Accumulates the gradient with respect to the batch's change, and propagates it to the network."""
        parts = examples.split(settings.micro_batch)
        recordings, tokens = self._read(parts)
        self.module.update_statistics(tokens)
        updates = self.module(tokens)
        leaves = {name: _leaf(update) for name, update in updates.items()}
        total = 0.0
        for part, recording in zip(parts, recordings, strict=True):
            outcome = self._outcome(part, recording, leaves)
            loss = len(part) / len(examples) * outcome.loss(settings)
            loss.backward()  # type: ignore[no-untyped-call]
            total += float(loss.detach())
        torch.autograd.backward(
            [_learned(updates[name]) for name in updates], [_learned(leaf).grad for leaf in leaves.values()]
        )
        return total

    def evaluate(self, examples: Examples, settings: TrainingSettings) -> Iterator[TrainingOutcome]:
        """Applies batches of the training's batch size, each to the unedited model."""
        for batch in examples.split(settings.batch_size):
            parts = batch.split(settings.micro_batch)
            recordings, tokens = self._read(parts)
            updates = self.module(tokens)
            for part, recording in zip(parts, recordings, strict=True):
                yield self._outcome(part, recording, updates)

    def activation_bytes(self, examples: Examples, settings: TrainingSettings) -> int:
        """Returns an estimate in bytes: one micro-batch in the upper layers, and the whole batch's solve."""
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
        """Returns an estimate of the memory in bytes of the passes over all examples."""
        parts = (
            part
            for batch in examples.split(settings.batch_size)
            for part in batch.split(settings.micro_batch)
        )
        return sum(kept_bytes(self._model, part) for part in parts)

    def _n_tokens(self, target: Sequence[int], ids: Sequence[int]) -> int:
        return len(target) if self._token == "ans" else len(ids) - 1

    def _read(self, parts: Sequence[Examples]) -> tuple[list[ForwardRecord], dict[str, GradientFactors]]:
        """Returns the passes over the edits' prompts, and the factors at all tokens, by linear layer."""
        model, names = self._model, self.module.names
        recordings, features = [], []
        for part in parts:
            cached = self._passes.kept(part)
            if cached is None:
                recording = record_forward(model, collate(model, part.prompts), self._layers[0])
            else:
                recording = cached.prompts
            factors, _ = read_factors(model, recording, names, part.prompts, self.gradient_checkpointing)
            by_layer = {layer: factors[name] for layer, name in zip(self._layers, names, strict=True)}
            features += features_of(by_layer, part.prompts, self._token)
            recordings.append(recording)
        return recordings, _joined(self.module, self._layers, features)

    def _outcome(
        self, examples: Examples, recording: ForwardRecord, updates: dict[str, WeightUpdate]
    ) -> TrainingOutcome:
        cache_bytes = 0 if self.module.training else self.cache_bytes
        passes = self._passes.of(examples, cache_bytes, recording)
        return passes.outcome(
            self._model, lambda: changed_together(self._model, updates), self.gradient_checkpointing
        )


class Malmen(HypernetworkEditor[MalmenHyperparameters]):
    """Aggregates target differences predicted by a trained network."""

    info = MALMEN
    n_layers: ClassVar[int] = 6
    training_defaults: ClassVar[Mapping[str, float]] = {"edit_weight": 1.0, "clip": 1.0}

    def learner(self, model: LanguageModel, seed: int = 0) -> MalmenLearner:
        """Returns the learner with the networks before any training."""
        settings, layers = self.hyperparameters, self.layers_of(model)
        model.check_layers(layers)
        shapes = shapes_of(model, [model.family.mlp_out.format(layer) for layer in layers])
        normalized = not settings.is_untrained
        with seeded(seed, model.device):
            network = AggregatingNetwork(
                shapes, settings.rank, settings.n_blocks, normalized, settings.edit_lr
            )
        return MalmenLearner(model, network.to(model.device), layers, settings.token)

    def compute_change(
        self, model: LanguageModel, edits: Sequence[Edit]
    ) -> tuple[Delta, tuple[EditReport, ...]]:
        """Computes the joint change of a batch; edits with features that aren't finite are left out."""
        _, network = self.trained(model)
        assert isinstance(network, AggregatingNetwork)
        prompts, layers = tokenize_edits(model, edits), self.layers_of(model)
        before, _ = target_losses(model, prompts)
        read = read_features(model, prompts, layers, self.hyperparameters.token)
        failures = [failure_of(by_layer) for by_layer in read]
        usable = [by_layer for by_layer, failure in zip(read, failures, strict=True) if not failure]
        delta = Delta.empty(model.fingerprint)
        if usable:
            with torch.no_grad():
                changes = network(_joined(network, layers, usable))
            delta = Delta(model.fingerprint, {f"{name}.weight": update for name, update in changes.items()})
        if not delta.finite:
            failures = [failure or "the change of the batch is not finite" for failure in failures]
            delta = Delta.empty(model.fingerprint)
        return delta, step_reports(model, edits, prompts, before, delta, failures)


def _joined(
    network: AggregatingNetwork, layers: Sequence[int], features: Sequence[dict[int, Features]]
) -> dict[str, GradientFactors]:
    """Concatenates the features at the tokens of all edits, by linear layer."""
    return {
        name: GradientFactors(
            torch.cat([by_layer[layer].keys for by_layer in features]),
            torch.cat([by_layer[layer].gradients for by_layer in features]),
        )
        for layer, name in zip(layers, network.names, strict=True)
    }


def _learned(update: WeightUpdate) -> torch.Tensor:
    """Returns the tensor of an update that depends on the network, unlike a low-rank update's keys."""
    return update.b if isinstance(update, LowRank) else update.values


def _leaf(update: WeightUpdate) -> WeightUpdate:
    """Returns the update detached from the network, as a leaf that accumulates a gradient."""
    learned = _learned(update).detach().requires_grad_()
    return LowRank(learned, update.a) if isinstance(update, LowRank) else Dense(learned)
