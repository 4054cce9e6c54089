"""Linear layers through oneDNN for passes with gradients, twice as fast where MKL is slow.

PyTorch uses MKL for fp32 matrix products, which leaves wide vector units of some processors idle. oneDNN does
not, and it uses weights as they are stored: no packed copies are kept, so that editing needs no memory beyond
the model's. (Engines, which run the same weights repeatedly without gradients, also pack them:
`inference/torch/packed_linear.py`.) Layers for which oneDNN isn't faster on this machine are left to PyTorch
(`linear_products.py`). The results equal those of an ordinary linear layer up to the order of summation.
"""

from __future__ import annotations

import platform
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import nn

from sequela.models.forward.blocks import ForwardReplaced
from sequela.models.forward.linear_products import ProductChoices
from sequela.models.placement import execution_device


def has_onednn(device: torch.device) -> bool:
    """Returns whether oneDNN supports a device: x86 processors, if PyTorch was built with oneDNN."""
    if device.type != "cpu" or platform.machine().lower() not in ("x86_64", "amd64"):
        return False
    return bool(torch.backends.mkldnn.is_available())  # type: ignore[no-untyped-call]


def uses_onednn(device: torch.device, dtype: torch.dtype) -> bool:
    """Returns whether oneDNN has an advantage: for fp32, for which PyTorch itself doesn't use it."""
    return dtype == torch.float32 and has_onednn(device)


class FrozenLinear(torch.autograd.Function):
    """`x Wᵀ + bias` with a gradient for x only."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
        """Computes the layer for x `[..., in]` and W `[out, in]`."""
        ctx.save_for_backward(weight)
        product: torch.Tensor = torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")
        return product

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor, None, None]:
        """Computes the gradient of x, `gradient W`."""
        (gradient,), (weight,) = gradients, ctx.saved_tensors
        # oneDNN reads the transposed weight where it is. `mkldnn_linear_backward_input` computes the same,
        # but converts the gradients to tensors of its own.
        back = torch.ops.mkldnn._linear_pointwise(gradient.contiguous(), weight.T, None, "none", [], "")
        return back, None, None


@contextmanager
def onednn_linears(modules: Iterable[nn.Module]) -> Iterator[None]:
    """Makes linear layers in the modules compute through oneDNN within the `with` block.

    Layers whose weights need gradients are unchanged, as are other kinds of layers, and those for which
    oneDNN has no advantage. The backward pass may run after the block.
    """
    layers = [
        layer
        for module in modules
        for layer in module.modules()
        if type(layer) is nn.Linear and _is_replaceable(layer)
    ]
    with ExitStack() as stack:
        if layers:
            shapes = [(layer.out_features, layer.in_features) for layer in layers]
            ways = ProductChoices().ways(shapes, torch.float32, may_pack=False)
            for layer, shape in zip(layers, shapes, strict=True):
                if ways[shape].many != "plain":
                    stack.enter_context(ForwardReplaced(layer, _Frozen(layer)))
        yield


class _Frozen:
    """The replacement of a layer's `forward`; it reads the layer's weight in every call."""

    def __init__(self, layer: nn.Linear) -> None:
        self.layer = layer

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        if x.numel() == 0:
            return nn.functional.linear(x, self.layer.weight, self.layer.bias)
        product: torch.Tensor = FrozenLinear.apply(  # type: ignore[no-untyped-call]
            x, self.layer.weight, self.layer.bias
        )
        return product


def _is_replaceable(layer: nn.Linear) -> bool:
    trained = layer.weight.requires_grad or (layer.bias is not None and layer.bias.requires_grad)
    return not trained and uses_onednn(execution_device(layer), layer.weight.dtype)
