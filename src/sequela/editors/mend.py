"""MEND: a network that turns the gradient of an edit into the edit (Mitchell et al. 2022, arXiv 2110.11309).

The gradient of the target's loss by a linear layer's weight is read as its two factors for every token
(`factors.py`); a network that was trained before maps them to those of the change
(`hypernetworks/network.py`). The network saw gradients of the unedited model only. What it makes of an edited
model's is therefore two methods:

* `accumulate`: each edit comes on top of the earlier ones, which is what a user means.
* `last-only`: each edit is made on the unedited model and takes the place of the earlier ones. The released
  code returns such a model, so a run of a thousand edits has one of them in force.

What is different from the released code: the change goes down the gradient where the released one goes up and
leaves it to training to turn the sign; means and deviations are exact over all rows seen.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

import torch
from pydantic import Field, NonNegativeInt

from sequela.deltas import Delta
from sequela.editors.editor import EditReport, Outcome, Resources
from sequela.editors.factors import changed_by, mlp_linears, read_factors
from sequela.editors.hypernetworks.network import HyperNetwork, shapes_of
from sequela.editors.likelihood import batch_of, reports_of_step, with_targets
from sequela.editors.training.examples import Examples
from sequela.editors.training.learner import IndependentLearner
from sequela.editors.training.learner import Outcome as Learned
from sequela.editors.training.passes import Passes, activation_bytes
from sequela.editors.training.trained_editor import (
    IDENTITY,
    TrainedEditor,
    TrainedHyperparameters,
    TrainedState,
)
from sequela.edits import Edit
from sequela.ground.randomness import seeded
from sequela.models import LanguageModel
from sequela.models.partial import record

N_LAYERS = 3
"""How many of the highest layers are edited by default."""


class MendHyperparameters(TrainedHyperparameters):
    """MEND's settings."""

    layers: tuple[NonNegativeInt, ...] | None = Field(
        default=None,
        min_length=1,
        description="The layers whose MLPs are edited; by default the three highest.",
    )
    rank: int = Field(default=1920, ge=1, description="The rank of the network's own layers, at most.")
    n_hidden: int = Field(default=1, ge=0, description="The network's hidden layers.")
    edit_lr: float = Field(default=1e-4, gt=0, description="Where the learned step sizes begin.")
    sequence: Literal["accumulate", "last-only"] = Field(
        default="accumulate",
        description="Whether edits add up, or each is made on the unedited model and takes the place of the "
        "others, as the released code does.",
    )


class MendLearner(IndependentLearner):
    """MEND's networks, each edit of a batch by itself.

    Args:
        model: The unedited model.
        network: The networks.
        first: The lowest layer that is edited.
    """

    module: HyperNetwork

    def __init__(self, model: LanguageModel, network: HyperNetwork, first: int) -> None:
        super().__init__(network)
        self._model = model
        self._first = first

    def outcome(self, examples: Examples) -> Learned:
        """Makes each edit by itself; while training the network takes the gradients into its means."""
        model, network = self._model, self.module
        passes = Passes.of(model, examples, self._first)
        factors, _ = read_factors(model, passes.prompts, network.names, examples.prompts)
        if network.training:
            network.see(factors)
        changes = network(factors)
        return passes.outcome(model, lambda: changed_by(model, changes))

    def bytes_of_part(self, examples: Examples) -> int:
        """The upper part of the model over all rows, and the factors at every token."""
        return activation_bytes(self._model, examples, self._first, self.module.width)


class Mend(TrainedEditor[MendHyperparameters, TrainedState]):
    """Maps gradients to edits by a trained network."""

    name: ClassVar[str] = "mend"
    summary: ClassVar[str] = "A trained network maps an edit's gradient to the edit (Mitchell et al. 2022)."
    paper: ClassVar[str] = "Mitchell et al. 2022, arXiv 2110.11309"
    needs_subject: ClassVar[bool] = False
    hyperparameters_class = MendHyperparameters
    state_class = TrainedState
    not_of_training = ("sequence",)

    @property
    def variant(self) -> str:
        """`last-only`, if it is that, and `untrained`."""
        settings = self.hyperparameters
        untrained = "untrained" if settings.artifact == IDENTITY else ""
        last_only = settings.sequence if settings.sequence == "last-only" else ""
        return ", ".join(part for part in (last_only, untrained) if part)

    def layers_of(self, model: LanguageModel) -> tuple[int, ...]:
        """The layers that are edited, ascending."""
        layers = self.hyperparameters.layers
        if layers is not None:
            return tuple(sorted(set(layers)))
        return tuple(range(max(0, model.n_layers - N_LAYERS), model.n_layers))

    def learner(self, model: LanguageModel, seed: int = 0) -> MendLearner:
        """The networks before any training."""
        settings, layers = self.hyperparameters, self.layers_of(model)
        model.check_layers(layers)
        shapes = shapes_of(model, mlp_linears(model, layers))
        normalized = settings.artifact != IDENTITY
        with seeded(seed, model.device):
            made = HyperNetwork(shapes, settings.rank, settings.n_hidden, normalized, settings.edit_lr)
        return MendLearner(model, made.to(model.device), layers[0])

    def prepare(self, model: LanguageModel, resources: Resources) -> TrainedState:
        """Finds the trained network.

        Raises:
            SequelaError: There is none for this model, or it has other layers.
            FingerprintMismatchError: It was trained for another model.
        """
        return TrainedState(network=self.trained(model)[0])

    def edit(
        self, model: LanguageModel, edits: Sequence[Edit], state: TrainedState, resources: Resources
    ) -> Outcome[TrainedState]:
        """Makes a batch of edits together.

        Raises:
            SequelaError: The state came from another network.
        """
        self.check_network(model, state)
        if self.hyperparameters.sequence == "accumulate":
            delta, reports = self._made(model, edits)
            return Outcome(delta, state, reports)
        with model.unedited():
            delta, reports = self._made(model, edits)
        # A batch that can't be made leaves the earlier one in force.
        made = any(not report.dropped for report in reports)
        return Outcome(delta, state, reports, replaces=made)

    def _made(self, model: LanguageModel, edits: Sequence[Edit]) -> tuple[Delta, tuple[EditReport, ...]]:
        _, network = self.trained(model)
        assert isinstance(network, HyperNetwork)
        prompts = with_targets(model, edits)
        recording = record(model, batch_of(model, prompts), self.layers_of(model)[0])
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
        reports = reports_of_step(model, edits, prompts, before, delta, failures)
        return delta, reports
