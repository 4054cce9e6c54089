"""A program that edits a model whose upper half is on another, simulated device.

Tensors on the simulated device are wrappers around CPU tensors, and an operation on tensors of two devices
fails as on a real device. So a tensor that an editor creates on the wrong device causes an error. Inputs of
the model's parts are moved as by accelerate's hooks.

It prints a JSON object: for each method and weight the norm of the change, and of its difference from the
change on one device. Arguments are methods, all by default; with `--without-hooks` no inputs are moved, so
that it must fail.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch.utils import _pytree as pytree
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.backend_registration import _setup_privateuseone_for_python_backend

from sequela.editors import Resources, create_editor
from sequela.models import LanguageModel
from support.edits import CONTEXTS, TINY_EDITS
from support.sessions import edit_in_batches
from support.statistics import tiny_statistics
from support.tiny import LAYERS, tiny_language_model

FAR = "far"
HOOKS = "--without-hooks"
TRANSFERS = {"_to_copy", "copy_", "to"}
"""The operations that accept tensors of both devices."""


class FarTensor(torch.Tensor):
    """A tensor on the simulated device; its values are in `here`."""

    here: torch.Tensor

    @staticmethod
    def __new__(cls, here: torch.Tensor) -> FarTensor:
        wrapper: FarTensor = torch.Tensor._make_wrapper_subclass(
            cls,
            here.size(),
            strides=here.stride(),
            storage_offset=here.storage_offset(),
            dtype=here.dtype,
            device=torch.device(FAR, 0),
        )
        wrapper.here = here
        return wrapper

    @classmethod
    def __torch_dispatch__(
        cls, operation: Any, _: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        return run(operation, args, kwargs or {})


def run(operation: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Runs an operation on the CPU, and returns its result on the right device."""
    tensors = [one for one in pytree.tree_leaves((args, kwargs)) if isinstance(one, torch.Tensor)]
    far = [isinstance(one, FarTensor) for one in tensors if one.dim() > 0 or isinstance(one, FarTensor)]
    name = operation._schema.name.split("::")[1]
    if any(far) and not all(far) and name not in TRANSFERS:
        raise RuntimeError(f"{operation} was given tensors of two devices: {[t.device for t in tensors]}")
    goes_to = kwargs.get("device")
    result_is_far = torch.device(goes_to).type == FAR if goes_to is not None else any(far)
    if name == "copy_":
        result_is_far = isinstance(args[0], FarTensor)
    given_kwargs = {**kwargs, "device": torch.device("cpu")} if goes_to is not None else kwargs

    def here(value: Any) -> Any:
        return value.here if isinstance(value, FarTensor) else value

    inner_args, inner_kwargs = pytree.tree_map(here, (args, given_kwargs))
    result = operation(*inner_args, **inner_kwargs)
    originals = {id(one.here): one for one in tensors if isinstance(one, FarTensor)}

    def there(value: Any) -> Any:
        if not isinstance(value, torch.Tensor):
            return value
        original = originals.get(id(value))
        return FarTensor(value) if original is None else original

    return pytree.tree_map(there, result) if result_is_far else result


class Pretending(TorchDispatchMode):
    """Intercepts operations without a tensor of the simulated device, such as transfers to it."""

    def __torch_dispatch__(
        self, operation: Any, _: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        return run(operation, args, kwargs or {})


def register() -> torch.library.Library:
    """Registers the creation of tensors on the simulated device by code that bypasses dispatch modes."""
    library = torch.library.Library("aten", "IMPL")

    def empty_strided(size: Any, stride: Any, dtype: Any = None, **_: Any) -> torch.Tensor:
        return FarTensor(torch.empty_strided(size, stride, dtype=dtype, device="cpu"))

    def copy_from(source: torch.Tensor, target: torch.Tensor, _: bool = False) -> torch.Tensor:
        inner = source.here if isinstance(source, FarTensor) else source
        (target.here if isinstance(target, FarTensor) else target).copy_(inner)
        return target

    library.impl("empty_strided", empty_strided, "PrivateUse1")
    library.impl("_copy_from", copy_from, "PrivateUse1")
    return library


def spread(model: LanguageModel) -> None:
    """Puts the upper half of the blocks, the norm and the head on the simulated device."""
    family, module = model.family, model.module
    blocks = family.block_list(module)
    upper = [*blocks[LAYERS // 2 :], module.get_submodule(family.final_norm)]
    head = module.get_submodule(family.unembed)
    for part in (*upper, head):
        for owner in part.modules():
            for name, parameter in list(owner._parameters.items()):
                if parameter is not None:
                    owner._parameters[name] = torch.nn.Parameter(FarTensor(parameter.data), False)
            for name, buffer in list(owner._buffers.items()):
                if buffer is not None:
                    owner._buffers[name] = FarTensor(buffer)
        if HOOKS not in sys.argv:
            part.register_forward_pre_hook(_moved, with_kwargs=True)


def _moved(part: torch.nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, Any]:
    """Moves a part's inputs to the device of its weights, as accelerate's hooks do."""
    device = next(part.parameters()).device

    def moved(value: Any) -> Any:
        return value.to(device) if isinstance(value, torch.Tensor) else value

    return pytree.tree_map(moved, (args, kwargs))  # type: ignore[no-any-return]


METHODS: dict[str, dict[str, Any]] = {
    "rome": {"layers": [2], "v_num_grad_steps": 3},
    "rome+nas+rect+prune": {"layers": [1], "v_num_grad_steps": 3},
    "memit": {"layers": [1, 2], "v_num_grad_steps": 3},
    "memit-history": {"layers": [1, 2], "v_num_grad_steps": 3},
    "pmet": {"layers": [1, 2], "v_num_grad_steps": 3},
    "emmet": {"layers": [1, 2], "v_num_grad_steps": 3},
    "alphaedit": {"layers": [1, 2], "v_num_grad_steps": 3, "nullspace_threshold": 10.0},
    "kn": {"steps": 3, "adaptive_threshold": 0.1},
    "ultraedit": {"layers": [1, 2], "token": "mask", "lr": 3e-3},
    "ft-m": {"layers": [1, 2], "num_steps": 3, "lr": 5e-3},
    "ft-l": {"layers": [1, 2], "num_steps": 3, "lr": 5e-3},
    "lora": {"layers": [1, 2], "num_steps": 3, "lr": 1e-2, "dropout": 0.0},
    "mend": {"layers": [1, 2], "artifact": "identity", "edit_lr": 0.05},
    "malmen": {"layers": [1, 2], "artifact": "identity", "edit_lr": 0.05},
    "grace": {"layers": [2], "num_steps": 3, "lr": 0.3},
    "ike": {"demonstrations": "builtin", "n_demonstrations": 1, "retriever": "words"},
    "serac": {"artifact": "identity", "layers": [1, 2]},
    "melo": {"layers": [0, 1, 2], "num_steps": 3},
    "wise": {"layers": [2], "num_steps": 3, "shard_size": 1},
}


def edited(name: str, folder: Path, place: Callable[[LanguageModel], None]) -> dict[str, torch.Tensor]:
    """Returns a method's weight change for two edits, on the CPU, or its state if it changes no weights."""
    model = tiny_language_model("llama", tie_word_embeddings=False)
    place(model)
    resources = Resources(tiny_statistics(model, folder), contexts=CONTEXTS)
    editor = create_editor(name, METHODS[name])
    *_, last = edit_in_batches(editor, model, TINY_EDITS[:2], 1, resources)
    delta = editor.finalize_delta(model, last.delta)
    assert not any(report.dropped for report in last.reports)
    changes = {weight: update.to_dense().cpu() for weight, update in delta.updates.items()}
    return changes or {kept: tensor.double().cpu() for kept, tensor in last.state.tensors.items()}


def main() -> None:
    torch.set_num_threads(1)
    _setup_privateuseone_for_python_backend(FAR)
    library = register()  # it is registered for as long as it is referenced
    reported: dict[str, Any] = {}
    for name in [argument for argument in sys.argv[1:] if argument != HOOKS] or METHODS:
        with tempfile.TemporaryDirectory() as folder:
            one = edited(name, Path(folder), lambda _: None)
        with tempfile.TemporaryDirectory() as folder, Pretending():
            two = edited(name, Path(folder), spread)
        reported[name] = {
            weight: [float(one[weight].norm()), float((two[weight] - one[weight]).norm())] for weight in one
        }
    print(json.dumps(reported))  # noqa: T201
    del library


if __name__ == "__main__":
    main()
