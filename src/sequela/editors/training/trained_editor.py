"""The base class of methods that must be trained before they can edit."""

from __future__ import annotations

import abc
from collections.abc import Mapping
from typing import Any, ClassVar, Generic, TypeVar

from torch import nn

from sequela.core.errors import SequelaError
from sequela.core.hashing import hash_tensors
from sequela.core.progress import SILENT, Progress
from sequela.editors.base import Editor, EditorState
from sequela.editors.shared.settings import TrainedHyperparameters
from sequela.editors.training.learner import Learner
from sequela.editors.training.stored_network import load_network
from sequela.models import LanguageModel
from sequela.store import Address


class TrainedState(EditorState):
    """The state of a trained method, which identifies its network.

    Args:
        network: The hash of the network, so that later batches can't use another one.
    """

    network: str = ""


TrainedH = TypeVar("TrainedH", bound=TrainedHyperparameters)
TrainedS = TypeVar("TrainedS", bound=TrainedState)


class TrainedEditor(Editor[TrainedH, TrainedS], Generic[TrainedH, TrainedS]):
    """A method that edits with a network trained for the model beforehand.

    Args:
        hyperparameters: The method's settings.
    """

    inference_only_settings: ClassVar[tuple[str, ...]] = ()
    """The names of the method's settings that training doesn't depend on."""
    training_defaults: ClassVar[Mapping[str, float]] = {}
    """The method's own defaults of training settings, by name, except those that the command sets itself."""

    def __init__(self, hyperparameters: TrainedH) -> None:
        super().__init__(hyperparameters)
        self._loaded: tuple[str, str, nn.Module] | None = None
        self._address: Address | None = None

    @abc.abstractmethod
    def learner(self, model: LanguageModel, seed: int = 0) -> Learner:
        """Returns the learner with its module as initialized, before any training.

        Args:
            model: The unedited model.
            seed: The seed of the initialization.
        """

    @property
    def training_dependent_settings(self) -> dict[str, Any]:
        """The settings that the trained network depends on, by name."""
        others = {"preset", "artifact", *self.inference_only_settings}
        return {name: value for name, value in self.settings.items() if name not in others}

    def trained(self, model: LanguageModel, progress: Progress = SILENT) -> tuple[str, nn.Module]:
        """Returns the hash of the module trained for a model, and the module itself, loaded once per model.

        Args:
            model: The unedited model.
            progress: Receives a message on which network is used, when it is loaded.

        Raises:
            SequelaError: No network was trained for this model with these settings.
            FingerprintMismatchError: The network in `artifact` was trained for another model.
            IntegrityError: The tensors differ from those that were saved.
        """
        if self._loaded is None or self._loaded[0] != model.fingerprint:
            module = self.learner(model).module
            if not self.hyperparameters.is_untrained:
                settings, chosen = self.training_dependent_settings, self.hyperparameters.artifact
                self._address = load_network(module, self.name, model, settings, chosen, progress)
            module.requires_grad_(False).eval()
            self._loaded = (model.fingerprint, hash_tensors(module.state_dict().items()), module)
        return self._loaded[1:]

    def used_objects(self, model: LanguageModel) -> frozenset[Address]:
        """Returns the network, if it has been loaded from the store."""
        return frozenset() if self._address is None else frozenset({self._address})

    def inputs(self, model: LanguageModel, state: TrainedS) -> Mapping[str, str]:
        """Returns the hash of the network."""
        return {"network": state.network}

    def check_network(self, model: LanguageModel, state: TrainedS) -> None:
        """Rejects a state whose edits were computed with another network.

        Raises:
            SequelaError: The state belongs to another network.
        """
        current, _ = self.trained(model)
        if state.network != current:
            raise SequelaError(
                f"The earlier edits were computed with the network {state.network}; the current one is "
                f"{current}.",
                hint="Restore that network, name it as `artifact`, or start again in another folder.",
            )


AnyTrainedEditor = TrainedEditor[Any, Any]
