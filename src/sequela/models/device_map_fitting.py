"""Device maps fitted to a model, before its weights are read."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import torch
from torch import nn
from transformers import AutoModelForCausalLM, PretrainedConfig

from sequela.core.device_maps import DISK
from sequela.core.errors import BadInputError


def fitted(
    places: str | dict[str, str], config: PretrainedConfig, name: str, folder: Path
) -> str | dict[str, str]:
    """Returns a device map with a place for each part of a model.

    Args:
        places: A strategy with which accelerate finds the places, or a table, in which "" stands for
            everything that has no place of its own.
        config: The model's configuration.
        name: The model's name, for messages.
        folder: The folder with its weights.

    Raises:
        BadInputError: It doesn't fit the model, or the disk has no weights that can be read one by one.
    """
    if isinstance(places, str):
        return places
    if DISK in places.values() and not any(folder.glob("*.safetensors")):
        raise BadInputError(
            f"The weights of {name!r} are not in safetensors files, so no layer can be read from the disk.",
            hint="Load the model once without a device map, and save it again.",
        )
    with torch.device("meta"):
        module = AutoModelForCausalLM.from_config(config)
    names = [key for key, _ in module.named_parameters()]
    known = {*names, *(key for key, _ in module.named_modules())}
    if unknown := [part for part in places if part not in known]:
        raise BadInputError(
            f"The device map names {unknown[0]!r}, which the model {name!r} doesn't have.",
            hint=f"Its parts are {', '.join(_parts(names))}.",
        )
    without = [key for key in names if not any(_covers(part, key) for part in places)]
    if without:
        raise BadInputError(
            f"The device map has no place for {without[0]} of the model {name!r}"
            + (f" and {len(without) - 1} more." if len(without) > 1 else "."),
            hint='The name "" stands for everything that has no place of its own.',
        )
    others = places.get("")
    if others is not None and len(places) == 1:
        return places
    own = _with_tied({part: place for part, place in places.items() if part}, module, name)
    return own if others is None else {**own, **dict.fromkeys(_uncovered(module, "", own), others)}


def _with_tied(places: Mapping[str, str], module: nn.Module, name: str) -> dict[str, str]:
    """Returns places in which a head that is tied to the embedding is where the embedding is.

    Raises:
        BadInputError: The device map gives them different places.
    """
    names_of: dict[int, list[str]] = {}
    for key, weight in module.named_parameters(remove_duplicate=False):
        names_of.setdefault(id(weight), []).append(key)
    found = dict(places)
    for keys in names_of.values():
        chosen = {key: place for key in keys if (place := _place(key, places)) is not None}
        if len(set(chosen.values())) > 1:
            at = " and ".join(f"{key} at {place}" for key, place in chosen.items())
            raise BadInputError(
                f"The device map places {at}, which are one weight of the model {name!r}.",
                hint="Give both the same place.",
            )
        for key in keys if chosen and len(keys) > 1 else ():
            if key not in chosen:
                found[key.rpartition(".")[0]] = next(iter(chosen.values()))
    return found


def _place(key: str, places: Mapping[str, str]) -> str | None:
    """Returns the place of a parameter: that of the longest name that covers it."""
    covering = [part for part in places if _covers(part, key)]
    return places[max(covering, key=len)] if covering else None


def _covers(part: str, key: str) -> bool:
    return not part or key == part or key.startswith(f"{part}.")


def _uncovered(module: nn.Module, prefix: str, places: Mapping[str, str]) -> Iterator[str]:
    """Yields the largest parts of a module, named from `prefix`, of which nothing has a place."""
    inside = [*(key for key, _ in module.named_children())]
    inside += [key for key, _ in module.named_parameters(recurse=False)]
    for key in inside:
        part = f"{prefix}{key}"
        if any(_covers(place, part) for place in places):
            continue
        if any(_covers(part, place) for place in places):
            yield from _uncovered(module.get_submodule(key), f"{part}.", places)
        else:
            yield part


def _parts(names: Iterable[str]) -> list[str]:
    """Returns the modules that device maps usually name: the blocks, and the others."""
    return list(dict.fromkeys(re.sub(r"(\.\d+)\..*", r"\1", key.removesuffix(".weight")) for key in names))
