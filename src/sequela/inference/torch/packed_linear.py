"""The linear layers of an engine, each in the way that is the fastest on this machine.

PyTorch uses MKL for fp32 matrix products, which leaves wide vector units of some processors idle, and packs
bf16 weights anew in every call. Where oneDNN is faster, layers compute through it, with weights that are
packed once for a run of requests if that helps (`models/forward/linear_products.py`). The results equal those
of an ordinary linear layer up to the order of summation.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import torch
from torch import nn
from transformers.pytorch_utils import Conv1D

from sequela.models import LanguageModel
from sequela.models.forward.blocks import ForwardReplaced
from sequela.models.forward.linear_products import PLAIN, Linear, ProductChoices, Ways, linear_by
from sequela.models.forward.onednn_linear import has_onednn


def packs_linears(device: torch.device, dtype: torch.dtype) -> bool:
    """Returns whether linear layers of this kind can go through oneDNN: fp32 and bf16 on x86 processors."""
    if not has_onednn(device):
        return False
    return dtype == torch.float32 or (
        dtype == torch.bfloat16 and bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
    )


def fastest_linear(weight: torch.Tensor, bias: torch.Tensor | None = None) -> Linear:
    """Returns a linear layer over a weight `[out, in]` that is used repeatedly and doesn't change."""
    n_out, n_in = weight.shape
    return linear_by(ways_of((n_out, n_in), weight.dtype, weight.device), weight, bias)


def ways_of(shape: tuple[int, int], dtype: torch.dtype, device: torch.device) -> Ways:
    """Returns the ways of a linear layer by the shape of its weight, `(out, in)`."""
    if not packs_linears(device, dtype):
        return PLAIN
    return ProductChoices().ways([shape], dtype)[shape]


@contextmanager
def fastest_linears(model: LanguageModel, first: int = 0, may_pack: bool = True) -> Iterator[None]:
    """Makes the blocks' linear layers compute in their fastest ways within the `with` block.

    Enter it while the edits are in force; the weights must not change inside. Packed copies need as much
    memory as the weights. An offloaded model's layers are unchanged.

    Args:
        model: The model.
        first: The lowest block that will be run.
        may_pack: If true, the blocks' weights may be in memory a second time, packed.
    """
    with ExitStack() as stack:
        for module, weight, ways in _ways(model, first, may_pack):
            if ways != PLAIN:
                linear = linear_by(ways, weight.detach(), dict(module.named_parameters()).get("bias"))
                stack.enter_context(ForwardReplaced(module, linear))
        yield


def packed_bytes(model: LanguageModel) -> int:
    """Returns the bytes of the weights that `fastest_linears` packs, about the size of the packed copies."""
    return sum(
        weight.numel() * weight.itemsize for _, weight, ways in _ways(model, 0, True) if "packed" in ways
    )


def _ways(model: LanguageModel, first: int, may_pack: bool) -> Iterator[tuple[nn.Module, torch.Tensor, Ways]]:
    """Yields the linear layers of the blocks from `first` on, with weight `[out, in]` and ways."""
    if not packs_linears(model.device, model.dtype) or model.offloaded:
        return
    modules = model.family.block_list(model.module)[first:].modules()
    layers = [module for module in modules if type(module) in (nn.Linear, Conv1D)]
    weights = [_weight(layer) for layer in layers]
    shapes = [(weight.shape[0], weight.shape[1]) for weight in weights]
    ways = ProductChoices().ways(shapes, model.dtype, may_pack)
    for layer, weight, shape in zip(layers, weights, shapes, strict=True):
        yield layer, weight, ways[shape]


def _weight(layer: nn.Module) -> torch.Tensor:
    """Returns the weight of a linear layer, `[out, in]`."""
    weight = layer.get_parameter("weight")
    return weight.T if type(layer) is Conv1D else weight
