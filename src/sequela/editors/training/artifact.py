"""Trained networks on disk, with a description of their model, edits, settings and training curve."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, model_validator
from torch import nn

from sequela.core.descriptions import read_description_of, write_description
from sequela.core.errors import BadInputError
from sequela.core.files import save_tensors
from sequela.core.hashing import hash_json
from sequela.core.paths import cache_folder
from sequela.models import LanguageModel

DESCRIPTION = "artifact.json"
NETWORK = "network.safetensors"


class ValidationPoint(BaseModel):
    """The results of one validation during training.

    Args:
        step: The number of steps before the validation.
        seconds: The training time before the validation, in seconds.
        train_loss: The mean loss of the steps since the last validation; None before the first step.
        loss: The loss over the held-out edits.
        efficacy: The share of held-out edits whose target is most likely at their prompt, token by token.
        paraphrase: The share of held-out edits whose target is most likely at a paraphrase.
        locality: The share of unrelated prompts whose most likely tokens don't change.
        kl: The mean KL divergence from the unedited model at the unrelated prompts, in nats per token.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="constants")

    step: int
    seconds: float
    train_loss: float | None
    loss: float
    efficacy: float
    paraphrase: float
    locality: float
    kl: float


class Artifact(BaseModel):
    """The content of `artifact.json`.

    Args:
        format: The version of this layout.
        editor: The method.
        base_fingerprint: The fingerprint of the model that the network was trained for.
        base_name: The name of that model.
        settings: The method's settings that the network depends on.
        training: The settings of the training.
        edits: The name of the edits trained on.
        edits_hash: The hash of the edits.
        n_edits: The number of edits trained on, without the held-out ones.
        curve: The validations in order.
        step: The step at which the network was saved, which had the best validation.
        network: The hash of the network.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="constants")

    format: Literal[1] = 1
    editor: str
    base_fingerprint: str
    base_name: str
    settings: dict[str, Any]
    training: dict[str, Any]
    edits: str
    edits_hash: str
    n_edits: int
    curve: tuple[ValidationPoint, ...]
    step: int
    network: str

    @model_validator(mode="after")
    def _step_was_validated(self) -> Artifact:
        if self.curve and self.step not in [point.step for point in self.curve]:
            raise ValueError(f"the step {self.step} of the saved network is not in its curve")
        return self

    @property
    def best(self) -> ValidationPoint:
        """The validation of the saved network.

        Raises:
            BadInputError: The training had no validation.
        """
        for point in self.curve:
            if point.step == self.step:
                return point
        raise BadInputError(f"The network of {self.editor} was saved without a validation.")


def artifact_folder(editor: str, model: LanguageModel, settings: dict[str, Any]) -> Path:
    """Returns the default folder of a method's training for a model; its best network goes to the store.

    Args:
        editor: The method.
        model: The model.
        settings: The method's settings that the network depends on.
    """
    return cache_folder() / "editors" / editor / model.fingerprint / hash_json(settings)


def save_network(folder: Path, network: nn.Module) -> str:
    """Saves a network and returns its hash, for the description."""
    return save_tensors(folder / NETWORK, network.state_dict())


def describe_artifact(folder: Path, artifact: Artifact) -> None:
    """Writes the description of a network that is already saved."""
    write_description(folder / DESCRIPTION, artifact)


def read_artifact(folder: Path) -> Artifact:
    """Reads a folder's `artifact.json`.

    Raises:
        BadInputError: The file is missing or invalid.
    """
    return read_description_of(folder / DESCRIPTION, Artifact, "trained editor")
