"""Device maps: which device has which part of a model, checked without importing PyTorch."""

from __future__ import annotations

import json
from collections.abc import Mapping

from sequela.core.errors import BadInputError, shown
from sequela.core.hardware_names import check_device_name

STRATEGIES = ("auto", "balanced", "balanced_low_0", "sequential")
"""The ways in which accelerate fills the devices of a machine by itself."""

DISK = "disk"
"""The name of the place of weights that are read from their file whenever their layer runs."""

DeviceMap = str | Mapping[str, str | int]
"""A strategy, one place for all weights, or a table of places by module; an integer is the index of a GPU."""

_HINT = (
    f"Write {', '.join(STRATEGIES)}, a device, {DISK}, or a table of these by module, such as "
    '{"model.layers.0": "cpu", "": "disk"}.'
)


def read_device_map(value: DeviceMap) -> str | dict[str, str]:
    """Returns a strategy, or the place of each module by its name; an empty name stands for the whole model.

    Args:
        value: A device map; the command line gives a table as a text in JSON.

    Raises:
        BadInputError: It is none, or names something that is no device.
    """
    if isinstance(value, str):
        if value in STRATEGIES:
            return value
        if not value.lstrip().startswith("{"):
            return {"": _place(value, value)}
        try:
            value = json.loads(value)
        except (ValueError, RecursionError) as error:
            raise BadInputError(f"The device map {shown(value)} is not JSON: {error}.", hint=_HINT) from error
    if not isinstance(value, Mapping) or not value or not all(isinstance(key, str) for key in value):
        raise BadInputError(f"Invalid device map {shown(value)}.", hint=_HINT)
    return {module: _place(place, value) for module, place in value.items()}


def check_device_map(value: str) -> str:
    """Checks a device map on the command line, and returns it.

    Raises:
        BadInputError: It is none.
    """
    read_device_map(value)
    return value


def devices_of(places: Mapping[str, str]) -> list[str]:
    """Returns the devices in a device map, without the disk, in the order of their first module."""
    return [place for place in dict.fromkeys(places.values()) if place != DISK]


def _place(place: object, whole: DeviceMap) -> str:
    if isinstance(place, int) and not isinstance(place, bool) and place >= 0:
        return check_device_name(f"cuda:{place}")
    if place == DISK:
        return DISK
    try:
        return check_device_name(str(place) if isinstance(place, str) else "")
    except BadInputError as error:
        raise BadInputError(
            f"Invalid device map {shown(whole)}: {shown(place)} is no device.", hint=_HINT
        ) from error
