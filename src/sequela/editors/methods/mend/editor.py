"""MEND: a network that maps the gradient of an edit to the edit (Mitchell et al. 2022, arXiv 2110.11309).

The gradient of the target's loss with respect to a linear layer's weight is read as its two factors for every
token (`editors/shared/gradient_factors.py`). A trained network maps them to the factors of the change
(`editors/shared/hypernetwork.py`). The edits of a batch are computed independently, and their changes are
added.

Differences from the released code: the change goes down the gradient, while the released code goes up and
leaves it to training to turn the sign; means and deviations are exact over all rows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

import torch

from sequela.core.seeding import seeded
from sequela.edited import Delta
from sequela.editors.base import EditReport
from sequela.editors.methods.mend.settings import MEND, MendHyperparameters
from sequela.editors.shared.gradient_factors import GradientFactors, changed_by, mlp_linears, read_factors
from sequela.editors.shared.hypernetwork import HyperNetwork, ResidualLowRank, shapes_of
from sequela.editors.shared.target_loss import collate, step_reports, tokenize_edits
from sequela.editors.training.examples import Examples
from sequela.editors.training.hypernetwork_editor import HypernetworkEditor
from sequela.editors.training.learner import IndependentLearner, TrainingOutcome
from sequela.editors.training.passes import PassStore, activation_bytes, kept_bytes
from sequela.editors.training.settings import TrainingSettings
from sequela.edits import Edit
from sequela.models import LanguageModel
from sequela.models.forward.replay import record_forward


class MendNetwork(HyperNetwork):
    """MEND's networks."""

    def forward(self, factors: Mapping[str, GradientFactors]) -> dict[str, GradientFactors]:
        """Returns the factors of each row's change by layer name: down the gradient, `-lr sum d~ x~ᵀ`."""
        changes = {}
        for index, name in enumerate(self.names):
            transformed = self.transform(name, factors[name])
            changes[name] = GradientFactors(transformed.inputs, -self.edit_lr[index] * transformed.gradients)
        return changes


class MendLearner(IndependentLearner):
    """The learner of MEND's networks, which applies each edit of a batch independently.

    Args:
        model: The unedited model.
        network: The networks.
        first: The lowest layer that is edited.
    """

    module: MendNetwork

    def __init__(self, model: LanguageModel, network: MendNetwork, first: int) -> None:
        super().__init__(network)
        self._model = model
        self._first = first
        self._passes = PassStore(model, first)

    def outcome(self, examples: Examples) -> TrainingOutcome:
        """Applies each edit on its own; in training mode, updates the network's statistics of gradients."""
        model, network = self._model, self.module
        passes = self._passes.of(examples, 0 if network.training else self.cache_bytes)
        factors, _ = read_factors(
            model, passes.prompts, network.names, examples.prompts, self.gradient_checkpointing
        )
        if network.training:
            network.update_statistics(factors)
        changes = network(factors)
        return passes.outcome(model, lambda: changed_by(model, changes), self.gradient_checkpointing)

    def bytes_of_part(self, examples: Examples) -> int:
        """Returns an estimate in bytes for all rows in the upper layers, and the factors at every token."""
        return activation_bytes(
            self._model, examples, self._first, self.module.width, self.gradient_checkpointing
        )

    def kept_bytes(self, examples: Examples, settings: TrainingSettings) -> int:
        """Returns an estimate of the memory in bytes of the passes over all examples."""
        return sum(kept_bytes(self._model, part) for part in examples.split(settings.micro_batch))


class Mend(HypernetworkEditor[MendHyperparameters]):
    """Maps gradients to edits by a trained network."""

    info = MEND
    n_layers: ClassVar[int] = 3

    def learner(self, model: LanguageModel, seed: int = 0) -> MendLearner:
        """Returns the learner with the networks before any training."""
        settings, layers = self.hyperparameters, self.layers_of(model)
        model.check_layers(layers)

        def own_layers(size: int, n_modes: int) -> list[ResidualLowRank]:
            rank, n_hidden = min(settings.rank, size), settings.n_hidden
            return [ResidualLowRank(size, rank, n_modes, rectified=i < n_hidden) for i in range(n_hidden + 1)]

        shapes = shapes_of(model, mlp_linears(model, layers))
        normalized = not settings.is_untrained
        with seeded(seed, model.device):
            network = MendNetwork(shapes, own_layers, normalized, settings.edit_lr)
        return MendLearner(model, network.to(model.device), layers[0])

    def compute_change(
        self, model: LanguageModel, edits: Sequence[Edit]
    ) -> tuple[Delta, tuple[EditReport, ...]]:
        """Computes each edit of a batch independently and adds up their changes."""
        _, network = self.trained(model)
        assert isinstance(network, MendNetwork)
        prompts = tokenize_edits(model, edits)
        recording = record_forward(model, collate(model, prompts), self.layers_of(model)[0])
        factors, before = read_factors(model, recording, network.names, prompts)
        with torch.no_grad():
            changes = network(factors)
        failures = ["" if bool(torch.isfinite(loss)) else "the loss is not finite" for loss in before]
        delta = Delta.empty(model.fingerprint)
        for row in range(len(edits)):
            own = Delta(
                model.fingerprint, {f"{name}.weight": change.of_row(row) for name, change in changes.items()}
            )
            if not failures[row] and not own.finite:
                failures[row] = "the change is not finite"
            if not failures[row]:
                delta = delta + own
        reports = step_reports(model, edits, prompts, before, delta, failures)
        return delta, reports
