"""The locations of the parts of a Hugging Face architecture, under the names of the papers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch
    from torch import nn
    from transformers import PreTrainedModel


@dataclass(frozen=True)
class Family:
    """A table from canonical names to the modules of one group of Hugging Face classes.

    The paths are attribute paths from the causal-LM object; `{}` stands for the layer index.

    Args:
        name: The family's name, as `model_type` in a Hugging Face configuration.
        architectures: The class names that it describes, e.g. `LlamaForCausalLM`.
        blocks: The list of decoder layers.
        mlp_out: The MLP's output projection, `W [d, d_ff]` in the papers; its input is the key.
        mlp_activation: The MLP's activation function.
        attention_out: The attention's output projection.
        embed: The input embedding.
        final_norm: The norm before the head.
        unembed: The head (which may share its weight with `embed`).
        transposed: True if weights are stored as `[in, out]` (GPT-2's Conv1D), not `[out, in]`.
        logit_softcap: True if the configuration's `final_logit_softcapping` applies to the logits.
        post_norms: True if attention's and the MLP's output each pass through a norm before they are added
            to the residual stream, so that only the output's direction has an effect, not its length.
    """

    name: str
    architectures: tuple[str, ...]
    blocks: str
    mlp_out: str
    mlp_activation: str
    attention_out: str
    embed: str
    final_norm: str
    unembed: str = "lm_head"
    transposed: bool = False
    logit_softcap: bool = False
    post_norms: bool = False

    def n_layers(self, module: PreTrainedModel) -> int:
        """Returns the number of decoder layers."""
        return len(self.block_list(module))

    def block_list(self, module: PreTrainedModel) -> nn.ModuleList:
        """Returns the decoder layers, in order."""
        found: nn.ModuleList = module.get_submodule(self.blocks)
        return found

    def block(self, module: PreTrainedModel, layer: int) -> nn.Module:
        """Returns a decoder layer."""
        return self.block_list(module)[layer]

    def mlp_out_name(self, layer: int) -> str:
        """Returns the parameter name of the MLP output projection's weight."""
        return f"{self.mlp_out.format(layer)}.weight"

    def mlp_out_module(self, module: PreTrainedModel, layer: int) -> nn.Module:
        """Returns the MLP output projection of a layer; its input is the key, its output the value."""
        found: nn.Module = module.get_submodule(self.mlp_out.format(layer))
        return found

    def mlp_activation_module(self, module: PreTrainedModel, layer: int) -> nn.Module:
        """Returns the MLP's activation function of a layer; gated MLPs multiply its output by the gate."""
        found: nn.Module = module.get_submodule(self.mlp_activation.format(layer))
        return found

    def attention_out_module(self, module: PreTrainedModel, layer: int) -> nn.Module:
        """Returns the attention output projection of a layer."""
        found: nn.Module = module.get_submodule(self.attention_out.format(layer))
        return found

    def as_out_in(self, weight: torch.Tensor) -> torch.Tensor:
        """Returns a view of a stored weight in the papers' orientation, `[out, in]`."""
        return weight.T if self.transposed else weight

    def cap_logits(self, module: PreTrainedModel, logits: torch.Tensor) -> torch.Tensor:
        """Applies the soft cap of the logits, if the family and the configuration have one."""
        cap = module.config.final_logit_softcapping if self.logit_softcap else None
        return logits if cap is None else (logits / cap).tanh() * cap

    def logits(self, module: PreTrainedModel, hidden: torch.Tensor) -> torch.Tensor:
        """Applies final norm and head to hidden states `[..., d]`; returns logits `[..., vocabulary]`."""
        normed = module.get_submodule(self.final_norm)(hidden)
        return self.cap_logits(module, module.get_submodule(self.unembed)(normed))
