"""What methods have in common that map gradients to changes of weights by a trained network.

The network saw gradients of the unedited model only. What it makes of an edited model's is therefore two
methods:

* `accumulate`: each batch comes on top of the earlier ones, which is what a user means.
* `last-only`: each batch is made on the unedited model and takes the place of the earlier ones. MEND's
  released code returns such a model, so a run of a thousand edits has one of them in force; MALMEN's measures
  each batch so and takes it back.
"""

from __future__ import annotations

import abc
from collections.abc import Sequence
from typing import ClassVar, Generic, TypeVar

from sequela.edited import Delta
from sequela.editors.base import EditOutcome, EditReport, Resources
from sequela.editors.shared.settings import HypernetworkHyperparameters
from sequela.editors.training.trained_editor import (
    TrainedEditor,
    TrainedState,
)
from sequela.edits import Edit
from sequela.models import LanguageModel

NetworkH = TypeVar("NetworkH", bound=HypernetworkHyperparameters)


class HypernetworkEditor(TrainedEditor[NetworkH, TrainedState], Generic[NetworkH]):
    """A method that maps gradients to changes of weights by a trained network."""

    n_layers: ClassVar[int]
    """How many of the highest layers are edited by default."""
    state_class = TrainedState
    inference_only_settings = ("sequence",)

    @abc.abstractmethod
    def compute_change(
        self, model: LanguageModel, edits: Sequence[Edit]
    ) -> tuple[Delta, tuple[EditReport, ...]]:
        """Makes a batch of edits on the model as it is."""

    @property
    def variant(self) -> str:
        """`last-only`, if it is that, and `untrained`."""
        settings = self.hyperparameters
        untrained = "untrained" if settings.is_untrained else ""
        last_only = settings.sequence if settings.sequence == "last-only" else ""
        return ", ".join(part for part in (last_only, untrained) if part)

    def layers_of(self, model: LanguageModel) -> tuple[int, ...]:
        """The layers that are edited, ascending."""
        layers = self.hyperparameters.layers
        if layers is not None:
            return tuple(sorted(set(layers)))
        return tuple(range(max(0, model.n_layers - self.n_layers), model.n_layers))

    def prepare(self, model: LanguageModel, resources: Resources) -> TrainedState:
        """Finds the trained network.

        Raises:
            SequelaError: There is none for this model, or it has other layers.
            FingerprintMismatchError: It was trained for another model.
        """
        return TrainedState(network=self.trained(model)[0])

    def edit(
        self, model: LanguageModel, edits: Sequence[Edit], state: TrainedState, resources: Resources
    ) -> EditOutcome[TrainedState]:
        """Makes a batch of edits together.

        Raises:
            SequelaError: The state came from another network.
        """
        self.check_network(model, state)
        if self.hyperparameters.sequence == "accumulate":
            delta, reports = self.compute_change(model, edits)
            return EditOutcome(delta, state, reports)
        with model.unedited():
            delta, reports = self.compute_change(model, edits)
        # A batch that can't be made leaves the earlier one in force.
        made = any(not report.dropped for report in reports)
        return EditOutcome(delta, state, reports, replaces=made)
