"""The keys of trajectories in a run, and the names under which its manifest has them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import product

from sequela.core.hashing import hash_json
from sequela.results import Manifest, order_label


def of_sample(name: str, sample: int | None) -> str:
    """Returns the name of what each sample of edits has, such as edit quality; None is no sample."""
    return name if sample is None else f"{name}, sample {sample}"


def trajectory_name(model: str, method: str, sample: int | None, order_seed: int) -> str:
    """Returns the name of a trajectory.

    Args:
        model: The model's name in the study.
        method: The method and its variant, as in tables.
        sample: The sample of edits; None if the study has none.
        order_seed: The shuffle seed.
    """
    return f"{model}, {method}, {order_label(sample, order_seed)}"


def without_order(name: str) -> str:
    """Returns the model and the method of a trajectory's name, without the sample and the order of edits."""
    return _SAMPLE.sub("", name.rpartition(", shuffle seed ")[0])


def method_of(name: str) -> str:
    """Returns the model and the method of a trajectory's name, as the manifest names what a method has read.

    That doesn't depend on the order of edits or the size of batches.
    """
    return _BATCHES.sub(r"\1", without_order(name))


_SAMPLE = re.compile(r", sample \d+$")
_BATCHES = re.compile(r"(?: \(batches of \d+\)|, batches of \d+(\)))$")


def unedited_key(fingerprint: str, edits: str | None, sample: int | None = None) -> str:
    """Returns the trajectory under which results of an unedited model are stored.

    Args:
        fingerprint: The model's fingerprint.
        edits: The hash of the edits; None for what concerns none of the samples of a study that has samples.
        sample: The sample that the edits are; two samples of few edits may be the same.
    """
    of_edits = {} if sample is None else {"edit_sample": sample}
    return hash_json({"model": fingerprint, "edits": edits, **of_edits})


def unedited_keys(manifest: Manifest, fingerprint: str) -> dict[int | None, str]:
    """Returns the keys under which a run has results of an unedited model, by sample of edits.

    The key of None is that of everything but the edit quality of samples.
    """
    (*samples,) = samples_of(manifest)
    hashes = list(manifest.edit_set_hashes.values())
    if samples == [None]:
        return {None: unedited_key(fingerprint, hashes[0])} if hashes else {}
    by_sample = zip(samples, hashes, strict=True)
    return {
        None: unedited_key(fingerprint, None),
        **{sample: unedited_key(fingerprint, edits, sample) for sample, edits in by_sample},
    }


def samples_of(manifest: Manifest) -> list[int | None]:
    """Returns the samples of edits of a study; None alone if it has none."""
    return manifest.config["edits"].get("samples") or [None]


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


def trajectories_by_place(manifest: Manifest) -> dict[str, tuple[str, int, int | None, int]]:
    """Returns the model, the position of the method, the sample and the shuffle seed of each trajectory.

    A name has a label that may depend on presets. So a trajectory is identified by its position, in the order
    of the study's methods, then of its samples and its seeds. A model without all of them is left out.
    """
    config = manifest.config
    places = list(product(range(len(config["editors"])), samples_of(manifest), config["order_seeds"]))
    found = {}
    for model in config["models"]:
        names = names_of_model(manifest.trajectory_keys, model, config["models"])
        if len(names) == len(places):
            found.update({name: (model, *place) for name, place in zip(names, places, strict=True)})
    return found
