"""Trained networks as objects of the store, and the choice of the network that a method edits with.

An object has the network and its `artifact.json`. Its address is computed from the method, the model, the
settings, the training and the network itself. A method without the setting `artifact` takes the network that
this user has trained last, which is in the folder of the training, and stores it; if there is none, the first
one in the store that fits. So another user's later training doesn't change what a study uses.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import nn

from sequela.core.errors import BadInputError, CantWriteError, FingerprintMismatchError, SequelaError
from sequela.core.files import load_tensors, save_tensors
from sequela.core.progress import SILENT, Progress
from sequela.core.wording import number_of
from sequela.editors.training.artifact import (
    DESCRIPTION,
    NETWORK,
    Artifact,
    artifact_folder,
    describe_artifact,
    read_artifact,
)
from sequela.models import LanguageModel
from sequela.store import Address, DamagedObjectError, Entry, Kind, Store, StoreError, open_store

Settings = Mapping[str, Any]


def load_network(
    network: nn.Module,
    editor: str,
    model: LanguageModel,
    settings: Settings,
    chosen: str | None = None,
    progress: Progress = SILENT,
) -> Address | None:
    """Loads the weights that were trained for a model into a network.

    Args:
        network: The network before training.
        editor: The method.
        model: The model.
        settings: The method's settings that the network depends on.
        chosen: The folder of the artifact, or its address in the store, as `network/<key>`; None takes the
            user's own or one in the store.
        progress: Receives a message on what is used.

    Returns:
        The object of the store that was read; None if the network is elsewhere.

    Raises:
        SequelaError: No network was trained for this model with these settings.
        BadInputError: The artifact is missing, invalid or of another method.
        FingerprintMismatchError: The network was trained for another model.
        IntegrityError: The network or its description differs from what was saved.
    """
    folder, address = _chosen(chosen) if chosen else _found(editor, model, settings, progress)
    artifact = read_artifact(folder)
    where = folder if address is None else address
    if artifact.editor != editor:
        raise BadInputError(f"{where} holds a trained {artifact.editor}, not {editor}.")
    if artifact.base_fingerprint != model.fingerprint:
        raise FingerprintMismatchError(
            f"The {editor} in {where} was trained for the model {artifact.base_fingerprint} "
            f"({artifact.base_name}); {model.name!r} is {model.fingerprint}.",
            hint="Train a network for this model, or load the model that it was trained for.",
        )
    differing = [name for name, value in settings.items() if artifact.settings.get(name) != value]
    if differing:
        description = ", ".join(f"{name} = {artifact.settings.get(name)!r}" for name in differing)
        raise SequelaError(f"The {editor} in {where} was trained with other settings: {description}.")
    network.load_state_dict(load_tensors(folder / NETWORK, artifact.network))
    return address


def keep_network(folder: Path, store: Store, progress: Progress = SILENT) -> tuple[Path, Address | None]:
    """Stores the network in the folder of a training, unless it is stored already.

    Args:
        folder: The folder of the training.
        store: The store.
        progress: Receives a message if the store can't be written to, or has a damaged copy.

    Returns:
        The folder to read the network from, and its address; if it couldn't be stored, the folder of the
        training and None.

    Raises:
        SequelaError: The network in the folder is missing or damaged.
    """
    artifact = read_artifact(folder)
    about = _about(artifact)
    address = Address.of(Kind.NETWORK, about)
    try:
        if store.has(address):
            return store.fetch(address), address
    except DamagedObjectError as error:
        progress.say(f"The trained {artifact.editor} in {folder} is used again: {error}")
        if error.aside is None:
            return folder, None
    tensors = load_tensors(folder / NETWORK, artifact.network)
    try:
        with store.writing(address, about) as files:
            save_tensors(files / NETWORK, tensors)
            describe_artifact(files, artifact)
        return store.fetch(address), address
    except (StoreError, CantWriteError) as error:
        progress.say(f"The trained {artifact.editor} in {folder} is used where it is: {error.message}")
        return folder, None


def _about(artifact: Artifact) -> dict[str, Any]:
    return {
        "format": artifact.format,
        "editor": artifact.editor,
        "model": artifact.base_fingerprint,
        "settings": artifact.settings,
        "training": artifact.training,
        "edits": artifact.edits_hash,
        "step": artifact.step,
        "network": artifact.network,
    }


def _chosen(named: str) -> tuple[Path, Address | None]:
    """Returns the folder of a network that a setting names, and its address if it names an object."""
    if not named.startswith(f"{Kind.NETWORK}/") or Path(named).exists():
        return Path(named), None
    address = Address.parse(named)
    return open_store().fetch(address), address


def _found(
    editor: str, model: LanguageModel, settings: Settings, progress: Progress
) -> tuple[Path, Address | None]:
    """Returns the user's own network, or the first in the store that fits."""
    store, own = open_store(), artifact_folder(editor, model, dict(settings))
    if (own / DESCRIPTION).is_file():
        return keep_network(own, store, progress)
    entries = list(store.entries([Kind.NETWORK]))
    fitting = _fitting(entries, {"editor": editor, "model": model.fingerprint, "settings": dict(settings)})
    if not fitting:
        damaged = "".join(f" {one.problem}" for one in entries if one.description is None)
        raise SequelaError(
            f"{editor} must be trained before it can edit {model.name!r}; no network was trained with these "
            f"settings.{damaged}",
            hint=f"sequela train-editor {editor} --model {model.name} --edits counterfact-easyedit-train",
        )
    address = fitting[0].address
    folder = store.fetch(address)
    artifact = read_artifact(folder)
    others = number_of("other network", len(fitting) - 1)
    progress.say(
        f"{editor} for {model.name}: the network {address} of the store, trained on {artifact.n_edits} edits "
        f"of {artifact.edits}"
        + (f"; {others} there would fit too: name one as `artifact`" if len(fitting) > 1 else "")
    )
    return folder, address


def _fitting(entries: list[Entry], wanted: Settings) -> list[Entry]:
    """Returns the networks that were trained for what is wanted, those that were stored first first."""
    found = [
        (one.description.created, one.address, one)
        for one in entries
        if one.description is not None and wanted.items() <= one.description.about.items()
    ]
    return [one for *_, one in sorted(found, key=lambda each: each[:2])]
