"""Linear layers through oneDNN, which needs less than half of the default's time on many processors.

PyTorch uses MKL for fp32 matrix products, which leaves wide vector units of non-Intel processors idle, and
packs bf16 weights anew in every call. Here each weight is packed once for a run of requests. The results
equal those of an ordinary linear layer up to the order of summation.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import torch
from torch import nn
from transformers.pytorch_utils import Conv1D

from sequela.models import LanguageModel
from sequela.models.forward.blocks import ForwardReplaced
from sequela.models.forward.onednn_linear import has_onednn

Linear = Callable[[torch.Tensor], torch.Tensor]

TYPICAL_ROWS = 1024  # the packing is chosen for products with about this many rows


def packs_linears(device: torch.device, dtype: torch.dtype) -> bool:
    """Returns whether linear layers of this kind go through oneDNN: fp32 and bf16 on x86 processors."""
    if not has_onednn(device):
        return False
    return dtype == torch.float32 or (
        dtype == torch.bfloat16 and bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
    )


def packed_linear(weight: torch.Tensor, bias: torch.Tensor | None = None) -> Linear:
    """Returns a linear layer over a packed copy of a weight `[out, in]`; later changes have no effect."""
    packed = torch.ops.mkldnn._reorder_linear_weight(weight.contiguous(), TYPICAL_ROWS)

    def linear(x: torch.Tensor) -> torch.Tensor:
        product: torch.Tensor = torch.ops.mkldnn._linear_pointwise(x, packed, bias, "none", [], "")
        return product

    return linear


def linear_once(weight: torch.Tensor) -> Linear:
    """Returns a linear layer without bias over a weight `[out, in]` that is used too rarely to be packed."""
    weight = weight.contiguous()

    def linear(x: torch.Tensor) -> torch.Tensor:
        product: torch.Tensor = torch.ops.mkldnn._linear_pointwise(x, weight, None, "none", [], "")
        return product

    return linear


@contextmanager
def packed_linears(model: LanguageModel, first: int = 0) -> Iterator[None]:
    """Makes the blocks' linear layers use packed copies of their weights within the `with` block.

    Enter it while the edits are in force; the weights must not change inside. The copies need as much memory
    as the blocks' weights, so an offloaded model has none.

    Args:
        model: The model.
        first: The lowest block that will be run.
    """
    with ExitStack() as stack:
        if packs_linears(model.device, model.dtype) and not model.offloaded:
            for module in _linears(model, first):
                weights = dict(module.named_parameters())
                weight = weights["weight"].T if type(module) is Conv1D else weights["weight"]
                linear = packed_linear(weight.detach(), weights.get("bias"))
                stack.enter_context(ForwardReplaced(module, linear))
        yield


def linears_bytes(model: LanguageModel) -> int:
    """Returns the bytes of the weights that `packed_linears` packs, about the size of the packed copies."""
    weights = [module.get_parameter("weight") for module in _linears(model)]
    return sum(weight.numel() * weight.itemsize for weight in weights)


def _linears(model: LanguageModel, first: int = 0) -> list[nn.Module]:
    """Returns the linear layers of the blocks from `first` on."""
    modules = model.family.block_list(model.module)[first:].modules()
    return [module for module in modules if type(module) in (nn.Linear, Conv1D)]
