"""A causal language model, its tokenizer and its family."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import Protocol

import torch
from torch import nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from sequela.core.errors import SequelaError
from sequela.models.families import family_of
from sequela.models.family import Family
from sequela.models.fingerprint import FingerprintParts
from sequela.models.placement import execution_device, is_offloaded, read_weight


class Change(Protocol):
    """A change that is in force on a model and can be reverted."""

    def revert(self) -> None:
        """Reverts the change; the model is bit for bit as it was before."""
        ...

    def toggle(self) -> None:
        """Suspends the change, or puts it in force again; only while no later change is in force."""
        ...


@dataclass(eq=False)
class LanguageModel:
    """A causal language model under study.

    Args:
        module: The Hugging Face causal LM, in evaluation mode.
        tokenizer: Its tokenizer; it must be a fast one, since token spans need offsets.
        family: The locations of the parts of `module`.
        name: The name given by the user.
        parts: The content hashes of weights, configuration and tokenizer, computed before any edit.
        changes: The changes in force, oldest first; they are reverted in reverse order.
    """

    module: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    family: Family
    name: str
    parts: FingerprintParts
    changes: list[Change] = field(default_factory=list)

    @classmethod
    def wrap(cls, module: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, name: str) -> LanguageModel:
        """Wraps a loaded, unedited Hugging Face model and its tokenizer.

        Raises:
            UnsupportedModelError: No family describes the architecture.
            SequelaError: The tokenizer has no offsets.
        """
        family = family_of(module.config, name)
        if not tokenizer.is_fast:
            raise SequelaError(
                f"The tokenizer of {name!r} is a slow one, which has no character offsets of tokens.",
                hint="Load the model with its fast tokenizer (tokenizer.json).",
            )
        if getattr(module.config, "attn_logit_softcapping", None) is not None:
            # The default, fused attention silently omits Gemma 2's cap on attention scores.
            module.set_attn_implementation("eager")
        module.eval()
        module.requires_grad_(False)
        return cls(module, tokenizer, family, name, FingerprintParts.of(module, tokenizer))

    @cached_property
    def fingerprint(self) -> str:
        """The content hash of weights, configuration and tokenizer, computed before any edit."""
        return self.parts.fingerprint

    @property
    def device(self) -> torch.device:
        """The device of the input embedding, which inputs must be on."""
        return execution_device(self.module.get_input_embeddings())

    @property
    def offloaded(self) -> bool:
        """True if weights are loaded only while their layer runs (`placement.py`)."""
        return is_offloaded(self.module)

    @property
    def dtype(self) -> torch.dtype:
        """The dtype of the weights."""
        dtype: torch.dtype = self.module.dtype
        return dtype

    @property
    def n_layers(self) -> int:
        """The number of decoder layers."""
        return self.family.n_layers(self.module)

    @property
    def hidden_size(self) -> int:
        """The width of the residual stream, `d`."""
        return int(self.module.config.hidden_size)

    @property
    def key_size(self) -> int:
        """The width of the MLP output projection's input, `d_ff`."""
        return int(self.family.as_out_in(self.mlp_out_weight(0)).shape[1])

    @property
    def context_length(self) -> int:
        """The maximum number of tokens of an input."""
        return int(self.module.config.max_position_embeddings)

    @property
    def key_value_bytes(self) -> int:
        """The size in bytes of one token's keys and values in all layers."""
        config = self.module.config
        heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
        size = getattr(config, "head_dim", None) or self.hidden_size // config.num_attention_heads
        return int(2 * self.n_layers * heads * size * self.dtype.itemsize)

    @property
    def rotary_by_length(self) -> bool:
        """True if rotary positions depend on the longest row of a pass (LongRoPE, dynamic scaling)."""
        parameters = getattr(self.module.config, "rope_parameters", None) or {}
        kinds = [parameters, *(kind for kind in parameters.values() if isinstance(kind, dict))]
        return any(kind.get("rope_type") in ("longrope", "dynamic") for kind in kinds)

    @property
    def pad_id(self) -> int:
        """The padding token of shorter rows; with causal attention no real token sees it."""
        pad: int | None = self.tokenizer.pad_token_id
        known = self.module.get_input_embeddings().num_embeddings  # a tokenizer may have more tokens
        return pad if pad is not None and pad < known else 0

    @property
    def end_ids(self) -> frozenset[int]:
        """The tokens that end a generation: those of the tokenizer and of the generation settings."""
        configured = self.module.generation_config.eos_token_id if self.module.generation_config else None
        ids = {self.tokenizer.eos_token_id}
        ids.update(configured if isinstance(configured, list) else [configured])
        return frozenset(token for token in ids if token is not None)

    @contextmanager
    def unedited(self) -> Iterator[None]:
        """Suspends all changes within the `with` block; afterwards all are in force again, bit for bit."""
        suspended: list[Change] = []
        try:
            for change in reversed(self.changes):
                change.toggle()
                suspended.append(change)
            yield
        finally:
            for change in reversed(suspended):
                change.toggle()

    def mlp_out_weight(self, layer: int) -> nn.Parameter:
        """Returns the stored weight of a layer's MLP output projection."""
        weight: nn.Parameter = self.module.get_parameter(self.family.mlp_out_name(layer))
        return weight

    def weight(self, name: str) -> torch.Tensor:
        """Returns the values of a parameter by its name, wherever they are; they must not be changed."""
        return read_weight(self.module, name)

    def block_of(self, parameter: str) -> int:
        """Returns the block that a parameter belongs to.

        It is 0 for parameters before the blocks, and the number of layers for those only after the blocks:
        the final norm, and a head that isn't tied to the embedding.
        """
        blocks = f"{self.family.blocks}."
        if parameter.startswith(blocks):
            return int(parameter.removeprefix(blocks).split(".")[0])
        weight = self.module.get_parameter(parameter)
        after_blocks = [self.family.final_norm, self.family.unembed]
        tied = weight is self.module.get_input_embeddings().weight
        return self.n_layers if not tied and parameter.rpartition(".")[0] in after_blocks else 0

    def layer_at(self, depth: float) -> int:
        """Returns the layer at a fraction of the model's depth: its last one if it has too few layers."""
        return min(round(depth * self.n_layers), self.n_layers - 1)

    def check_layers(self, layers: tuple[int, ...]) -> None:
        """Checks that the model has some layers.

        Raises:
            SequelaError: A layer is out of range.
        """
        wrong = [layer for layer in layers if not 0 <= layer < self.n_layers]
        if wrong:
            raise SequelaError(
                f"Invalid layer {wrong[0]}; {self.name!r} has layers 0 to {self.n_layers - 1}.",
                hint="Choose layers in this range, or leave `layers` out for the default.",
            )
