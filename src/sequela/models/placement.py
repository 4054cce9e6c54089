"""The places of a model's weights: the devices that compute or, if they are offloaded, memory and disk.

Accelerate gives the modules of a model that is larger than a device's memory hooks, which load each weight
right before its layer runs and drop it afterwards. In between, such a weight is a tensor without values, on
the device `meta`. Whoever reads or changes weights does so through these functions, which find the values
wherever they are.

The files of a model are never written: the edited values of a weight that is on the disk stay in memory while
the edit is in force.
"""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping
from typing import Any

import torch
from torch import nn


def is_offloaded(module: nn.Module) -> bool:
    """Returns whether a part of the module's weights is offloaded."""
    return any(parameter.is_meta for parameter in module.parameters())


def execution_device(module: nn.Module) -> torch.device:
    """Returns the device on which a module with weights of its own computes."""
    for parameter in module.parameters(recurse=False):
        if not parameter.is_meta:
            return parameter.device
    device = _hook(module).execution_device
    return torch.device("cuda", device) if isinstance(device, int) else torch.device(device)


def read_weight(root: nn.Module, name: str) -> torch.Tensor:
    """Returns the values of a parameter by its name, on the device where they are used; not to be changed."""
    parameter = root.get_parameter(name)
    if not parameter.is_meta:
        return parameter.data
    owner, _, leaf = name.rpartition(".")
    module = root.get_submodule(owner)
    values: torch.Tensor = _hook(module).weights_map[leaf]
    return values.detach().to(execution_device(module))


def write_weight(root: nn.Module, name: str, values: torch.Tensor) -> None:
    """Changes the values of a parameter; those of an offloaded one are kept in the processor's memory."""
    parameter = root.get_parameter(name)
    if not parameter.is_meta:
        parameter.data.copy_(values)
        return
    memory, key, _ = _stored(root, name)
    with torch.inference_mode(False):  # a later pass may need gradients
        memory[key] = values.detach().to("cpu", parameter.dtype, copy=True)


def is_on_disk(root: nn.Module, name: str) -> bool:
    """Returns whether the current values of a parameter are in a file."""
    if not root.get_parameter(name).is_meta:
        return False
    memory, key, _ = _stored(root, name)
    return key not in memory


def read_from_disk_again(root: nn.Module, name: str) -> None:
    """Drops the values that `write_weight` gave to a parameter whose values were in a file."""
    memory, key, files = _stored(root, name)
    if key in files:
        memory.pop(key, None)


def _stored(root: nn.Module, name: str) -> tuple[MutableMapping[str, torch.Tensor], str, Mapping[str, Any]]:
    """Returns the weights in memory, the parameter's key, and the index of those in files."""
    owner, _, leaf = name.rpartition(".")
    weights = _hook(root.get_submodule(owner)).weights_map
    key = leaf
    if hasattr(weights, "prefix"):
        weights, key = weights.dataset, f"{weights.prefix}{leaf}"
    if hasattr(weights, "state_dict"):
        return weights.state_dict, key, weights.index
    return weights, key, {}


def _hook(module: nn.Module) -> Any:
    """Returns accelerate's hook that loads a module's weights."""
    hook: Any = module._hf_hook
    for part in getattr(hook, "hooks", ()):
        if getattr(part, "offload", False):
            return part
    return hook
