"""Methods that must be trained before they can edit."""

from __future__ import annotations

import abc
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Generic, TypeVar

from torch import nn

from sequela.core.errors import SequelaError
from sequela.core.hashing import hash_tensors
from sequela.editors.base import Editor, EditorState
from sequela.editors.shared.settings import TrainedHyperparameters
from sequela.editors.training.artifact import load_network
from sequela.editors.training.learner import Learner
from sequela.models import LanguageModel


class TrainedState(EditorState):
    """Which network is used.

    Args:
        network: A hash of it, so that nothing goes on with another one.
    """

    network: str = ""


TrainedH = TypeVar("TrainedH", bound=TrainedHyperparameters)
TrainedS = TypeVar("TrainedS", bound=TrainedState)


class TrainedEditor(Editor[TrainedH, TrainedS], Generic[TrainedH, TrainedS]):
    """A method that edits with what was trained for the model beforehand.

    Args:
        hyperparameters: The method's settings.
    """

    inference_only_settings: ClassVar[tuple[str, ...]] = ()
    """The method's own settings that training doesn't depend on."""
    training_defaults: ClassVar[Mapping[str, float]] = {}
    """By name, settings of training that the method has otherwise; none that the command sets itself."""

    def __init__(self, hyperparameters: TrainedH) -> None:
        super().__init__(hyperparameters)
        self._loaded: tuple[str, str, nn.Module] | None = None

    @abc.abstractmethod
    def learner(self, model: LanguageModel, seed: int = 0) -> Learner:
        """What is trained, as it is before any training.

        Args:
            model: The unedited model.
            seed: The seed of where learning begins.
        """

    @property
    def training_dependent_settings(self) -> dict[str, Any]:
        """Those of the settings that what is trained depends on."""
        others = {"preset", "artifact", *self.inference_only_settings}
        return {name: value for name, value in self.settings.items() if name not in others}

    def trained(self, model: LanguageModel) -> tuple[str, nn.Module]:
        """The hash of what was trained for a model, and the module itself; loaded once for a model.

        Raises:
            SequelaError: Nothing was trained for this model and these settings.
            FingerprintMismatchError: What `artifact` names was trained for another model.
            IntegrityError: The numbers are not the ones that were saved.
        """
        if self._loaded is None or self._loaded[0] != model.fingerprint:
            module = self.learner(model).module
            if not self.hyperparameters.is_untrained:
                folder = self.hyperparameters.artifact
                place = Path(folder) if folder else None
                load_network(module, self.name, model, self.training_dependent_settings, place)
            module.requires_grad_(False).eval()
            self._loaded = (model.fingerprint, hash_tensors(module.state_dict().items()), module)
        return self._loaded[1:]

    def check_network(self, model: LanguageModel, state: TrainedS) -> None:
        """Refuses to go on with edits that another network made.

        Raises:
            SequelaError: The state came from another network.
        """
        known, _ = self.trained(model)
        if state.network != known:
            raise SequelaError(
                f"The edits so far were made with the network {state.network}; the one in place is {known}.",
                hint="Put that network back, name it as `artifact`, or begin anew in another folder.",
            )


AnyTrainedEditor = TrainedEditor[Any, Any]
