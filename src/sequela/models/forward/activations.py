"""Reading activations at named sites in one pass."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import nn

from sequela.models.forward.batch import Batch
from sequela.models.forward.blocks import block_output
from sequela.models.forward.replay import run_blocks
from sequela.models.language_model import LanguageModel

SiteKind = Literal["key", "preactivation", "value", "attention", "block"]

INPUT_SITES = ("key", "preactivation")
"""The kinds of sites that are inputs of a module, not outputs."""


@dataclass(frozen=True)
class Site:
    """A location of activations in the model.

    Args:
        kind: `key` (input of the MLP output projection, `d_ff` wide), `preactivation` (input of the
            MLP's activation function, `d_ff` wide), `value` (the MLP output projection's output, `d`
            wide), `attention` (output of the attention's output projection, `d` wide) or `block`
            (the block's output, the residual stream, `d` wide).
        layer: The layer.
    """

    kind: SiteKind
    layer: int


def module_at(model: LanguageModel, site: Site) -> nn.Module:
    """Returns the module whose output is the site, or whose input is, for kinds in `INPUT_SITES`."""
    family = model.family
    if site.kind == "block":
        return family.block(model.module, site.layer)
    if site.kind == "attention":
        return family.attention_out_module(model.module, site.layer)
    if site.kind == "preactivation":
        return family.mlp_activation_module(model.module, site.layer)
    return family.mlp_out_module(model.module, site.layer)


class _DoneReading(Exception):  # noqa: N818 - it ends a pass, it is not an error
    """Ends a pass when all sites have been read, so that higher blocks are not run."""


@torch.no_grad()
def read_activations(model: LanguageModel, batch: Batch, sites: Sequence[Site]) -> dict[Site, torch.Tensor]:
    """Runs a batch and returns the activations at each site, `[rows, longest, width]`.

    Blocks above the highest site are not run.
    """
    activations: dict[Site, torch.Tensor] = {}
    hooks = []

    def keep(site: Site, tensor: torch.Tensor) -> None:
        activations[site] = tensor.to(model.device)
        if len(activations) == len(set(sites)):
            raise _DoneReading

    def hook_on(site: Site) -> Any:
        module = module_at(model, site)
        if site.kind in INPUT_SITES:

            def before(_: nn.Module, args: tuple[torch.Tensor, ...]) -> None:
                keep(site, args[0])

            return module.register_forward_pre_hook(before)

        def after(_: nn.Module, __: Any, output: Any) -> None:
            keep(site, block_output(output))

        return module.register_forward_hook(after)

    try:
        hooks = [hook_on(site) for site in dict.fromkeys(sites)]
        run_blocks(model, batch)
    except _DoneReading:
        pass
    finally:
        for hook in hooks:
            hook.remove()
    return activations
