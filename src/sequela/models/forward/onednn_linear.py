"""Linear layers through oneDNN for passes with gradients: twice as quick where MKL is slow.

PyTorch hands fp32 matrix products to MKL, which on processors of other makers leaves wide vector units idle.
oneDNN does not, and takes weights as they are stored: no packed copies are kept, so that editing needs no
memory beyond the model's. (Engines, which run the same weights again and again without gradients, do pack
them: `inference/torch/packed_linear.py`.) The results are those of an ordinary linear layer up to the order
of summation.
"""

from __future__ import annotations

import platform
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import nn

from sequela.models.forward.blocks import ForwardReplaced


def has_onednn(device: torch.device) -> bool:
    """Whether oneDNN computes for a device: on x86 processors, if PyTorch was built with it."""
    if device.type != "cpu" or platform.machine().lower() not in ("x86_64", "amd64"):
        return False
    return bool(torch.backends.mkldnn.is_available())  # type: ignore[no-untyped-call]


def uses_onednn(device: torch.device, dtype: torch.dtype) -> bool:
    """Whether oneDNN is there and not what PyTorch uses anyway: for fp32."""
    return dtype == torch.float32 and has_onednn(device)


class FrozenLinear(torch.autograd.Function):
    """`x Wᵀ + bias` with a gradient for x only."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
        """The product for x `[..., in]` and W `[out, in]`."""
        ctx.save_for_backward(weight)
        product: torch.Tensor = torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")
        return product

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor, None, None]:
        """`gradient W`."""
        (gradient,), (weight,) = gradients, ctx.saved_tensors
        n_out, n_in = weight.shape
        flat = gradient.reshape(-1, n_out).contiguous()
        back = torch.ops.aten.mkldnn_linear_backward_input([len(flat), n_in], flat.to_mkldnn(), weight)
        return back.to_dense().reshape(*gradient.shape[:-1], n_in), None, None


@contextmanager
def onednn_linears(modules: Iterable[nn.Module]) -> Iterator[None]:
    """While entered, the linear layers among the modules and below them compute through oneDNN.

    Layers whose weights get gradients themselves stay as they are, and so do other kinds of layers and all
    of them where oneDNN has no advantage. Gradients may be taken after leaving.
    """
    with ExitStack() as stack:
        for module in modules:
            for layer in module.modules():
                if type(layer) is nn.Linear and _can(layer):
                    stack.enter_context(ForwardReplaced(layer, _Frozen(layer)))
        yield


class _Frozen:
    """What a layer computes instead; it looks its weight up at every call."""

    def __init__(self, layer: nn.Linear) -> None:
        self.layer = layer

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        if x.numel() == 0:
            return nn.functional.linear(x, self.layer.weight, self.layer.bias)
        product: torch.Tensor = FrozenLinear.apply(  # type: ignore[no-untyped-call]
            x, self.layer.weight, self.layer.bias
        )
        return product


def _can(layer: nn.Linear) -> bool:
    trained = layer.weight.requires_grad or (layer.bias is not None and layer.bias.requires_grad)
    return not trained and uses_onednn(layer.weight.device, layer.weight.dtype)
