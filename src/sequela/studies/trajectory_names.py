"""The keys of trajectories in a run, and the names under which its manifest has them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import product

from sequela.core.hashing import hash_json
from sequela.results import Manifest


def trajectory_name(model: str, method: str, order_seed: int) -> str:
    """Returns the name of a trajectory.

    Args:
        model: The model's name in the study.
        method: The method and its variant, as in tables.
        order_seed: The shuffle seed.
    """
    return f"{model}, {method}, shuffle seed {order_seed}"


def method_of(name: str) -> str:
    """Returns the model and the method of a trajectory's name, as the manifest names what a method has read.

    That doesn't depend on the order of edits or the size of batches.
    """
    label = name.rpartition(", shuffle seed ")[0]
    return _BATCHES.sub(r"\1", label)


_BATCHES = re.compile(r"(?: \(batches of \d+\)|, batches of \d+(\)))$")


def unedited_key(fingerprint: str, edits: str) -> str:
    """Returns the trajectory under which results of an unedited model are stored.

    Args:
        fingerprint: The model's fingerprint.
        edits: The hash of the edits.
    """
    return hash_json({"model": fingerprint, "edits": edits})


def names_of_model(names: Iterable[str], model: str, models: Iterable[str]) -> list[str]:
    """Returns the names, of trajectories or inputs, that are of a model.

    Args:
        names: The names, which begin with that of a model.
        model: The model.
        models: All models of the study; the name of one may begin with that of another.
    """
    longer = [one for one in models if one != model and one.startswith(f"{model}, ")]
    return [
        name
        for name in names
        if name.startswith(f"{model}, ") and not any(name.startswith(f"{one}, ") for one in longer)
    ]


def trajectories_by_place(manifest: Manifest) -> dict[str, tuple[str, int, int]]:
    """Returns the model, the position of the method and the shuffle seed of each trajectory, by its name.

    A name has a label that may depend on presets. So a trajectory is identified by its position, in the order
    of the study's methods and then of its seeds. A model that doesn't have all of them is left out.
    """
    config = manifest.config
    places = list(product(range(len(config["editors"])), config["order_seeds"]))
    found = {}
    for model in config["models"]:
        names = names_of_model(manifest.trajectory_keys, model, config["models"])
        if len(names) == len(places):
            found.update({name: (model, *place) for name, place in zip(names, places, strict=True)})
    return found
