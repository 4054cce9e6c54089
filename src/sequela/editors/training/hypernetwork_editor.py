"""The base class of methods that map gradients to changes of weights by a trained network.

The network was trained on gradients of the unedited model only. There are therefore two ways to apply several
batches:

* `accumulate`: each batch is applied on top of the earlier ones, as users expect.
* `last-only`: each batch is computed on the unedited model and replaces the earlier ones. MEND's released
  code returns such a model, so that after a thousand edits only one of them is applied. MALMEN's released
  code measures each batch in this way and then reverts it.
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
    """The number of highest layers that are edited by default."""
    state_class = TrainedState
    inference_only_settings = ("sequence",)

    @abc.abstractmethod
    def compute_change(
        self, model: LanguageModel, edits: Sequence[Edit]
    ) -> tuple[Delta, tuple[EditReport, ...]]:
        """Computes the change and the reports of a batch of edits on the current model."""

    @property
    def variant(self) -> str:
        """The label with `last-only` and `untrained`, where they apply."""
        settings = self.hyperparameters
        untrained = "untrained" if settings.is_untrained else ""
        last_only = settings.sequence if settings.sequence == "last-only" else ""
        return ", ".join(part for part in (last_only, untrained) if part)

    def layers_of(self, model: LanguageModel) -> tuple[int, ...]:
        """Returns the layers that are edited, ascending."""
        layers = self.hyperparameters.layers
        if layers is not None:
            return tuple(sorted(set(layers)))
        return tuple(range(max(0, model.n_layers - self.n_layers), model.n_layers))

    def prepare(self, model: LanguageModel, resources: Resources) -> TrainedState:
        """Loads the trained network.

        Raises:
            SequelaError: There is no network for this model and these settings.
            FingerprintMismatchError: The network was trained for another model.
        """
        return TrainedState(network=self.trained(model, resources.progress)[0])

    def edit(
        self, model: LanguageModel, edits: Sequence[Edit], state: TrainedState, resources: Resources
    ) -> EditOutcome[TrainedState]:
        """Computes the joint change of weights for a batch of edits.

        Raises:
            SequelaError: The earlier edits were computed with another network.
        """
        self.check_network(model, state)
        if self.hyperparameters.sequence == "accumulate":
            delta, reports = self.compute_change(model, edits)
            return EditOutcome(delta, state, reports)
        with model.unedited():
            delta, reports = self.compute_change(model, edits)
        # If all edits of the batch are dropped, the earlier batch stays applied.
        applied = any(not report.dropped for report in reports)
        return EditOutcome(delta, state, reports, replaces=applied)
