"""What was trained, on disk: for which model, from which edits, with which settings, how training went."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict
from torch import nn

from sequela.core.errors import BadInputError, FingerprintMismatchError, SequelaError
from sequela.core.files import load_tensors, read_description_of, save_tensors, write_description
from sequela.core.hashing import hash_json
from sequela.core.paths import cache_folder
from sequela.models import LanguageModel

DESCRIPTION = "artifact.json"
NETWORK = "network.safetensors"


class ValidationPoint(BaseModel):
    """How training stood at one validation.

    Args:
        step: After so many steps.
        seconds: Of training until then.
        train_loss: The mean loss of the steps since the last validation; None at the beginning.
        loss: The loss over the held-out edits.
        efficacy: The share of them whose target is the likeliest, token by token, after their own edit.
        paraphrase: The same after another phrasing.
        locality: The share of unrelated prompts whose likeliest tokens stay.
        kl: The mean KL divergence there from the unedited model, in nats a token.
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
    """What `artifact.json` says.

    Args:
        format: The version of this layout.
        editor: The method.
        base_fingerprint: The model it was trained for.
        base_name: What that was called.
        settings: The method's settings that the network depends on.
        training: The settings of the training.
        edits: Where the edits came from.
        edits_hash: A hash of them.
        n_edits: How many there were.
        curve: How training went.
        step: The step whose network this is: the best of the curve.
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

    @property
    def best(self) -> ValidationPoint:
        """The reading of the network that is kept."""
        return next(point for point in self.curve if point.step == self.step)


def artifact_folder(editor: str, model: LanguageModel, settings: dict[str, Any]) -> Path:
    """Where a method's network for a model is looked for if no other place is given.

    Args:
        editor: The method.
        model: The model.
        settings: Those of the method's settings that a network depends on.
    """
    return cache_folder() / "editors" / editor / model.fingerprint / hash_json(settings)


def save_network(folder: Path, network: nn.Module) -> str:
    """Writes a network; returns its hash, which belongs into the description."""
    return save_tensors(folder / NETWORK, network.state_dict())


def describe_artifact(folder: Path, artifact: Artifact) -> None:
    """Writes the description of a network that is there already."""
    write_description(folder / DESCRIPTION, artifact)


def read_artifact(folder: Path) -> Artifact:
    """What a folder's `artifact.json` says.

    Raises:
        BadInputError: It is missing or not one of ours.
    """
    return read_description_of(folder / DESCRIPTION, Artifact, "trained editor")


def load_network(
    network: nn.Module, editor: str, model: LanguageModel, settings: dict[str, Any], folder: Path | None
) -> Artifact:
    """Fills a network with what was trained for a model.

    Args:
        network: As it is before training.
        editor: The method.
        model: The model.
        settings: Those of the method's settings that a network depends on.
        folder: Where it is; None looks in the usual place.

    Raises:
        SequelaError: Nothing was trained for this model and these settings.
        FingerprintMismatchError: It was trained for another model.
        IntegrityError: The numbers are not the ones that were saved.
    """
    place = folder or artifact_folder(editor, model, settings)
    if folder is None and not (place / DESCRIPTION).is_file():
        raise SequelaError(
            f"{editor} has to be trained before it can edit {model.name!r}; with these settings it was not.",
            hint=f"sequela train-editor {editor} --model {model.name} --edits counterfact-easyedit-train",
        )
    artifact = read_artifact(place)
    if artifact.editor != editor:
        raise BadInputError(f"{place} holds a trained {artifact.editor}, not {editor}.")
    if artifact.base_fingerprint != model.fingerprint:
        raise FingerprintMismatchError(
            f"The {editor} in {place} was trained for the model {artifact.base_fingerprint} "
            f"({artifact.base_name}); {model.name!r} is {model.fingerprint}.",
            hint="Train one for this model, or load the model that it was trained for.",
        )
    differing = [name for name, value in settings.items() if artifact.settings.get(name) != value]
    if differing:
        description = ", ".join(f"{name} = {artifact.settings.get(name)!r}" for name in differing)
        raise SequelaError(f"The {editor} in {place} was trained with other settings: {description}.")
    network.load_state_dict(load_tensors(place / NETWORK, artifact.network))
    return artifact
