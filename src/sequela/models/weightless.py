"""Models without weights: everything that follows from the configuration and the tokenizer alone.

The modules are those of the real model, with tensors that have a shape and no values. So the number of
parameters, the layers of a method and the tokens of a request are the real ones, for every family.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoTokenizer,
    GenerationConfig,
    PreTrainedTokenizerBase,
    PreTrainedTokenizerFast,
)

from sequela.core.damaged_files import first_line
from sequela.core.errors import BadInputError, SequelaError, UnsupportedModelError
from sequela.models.aliases import ALIASES
from sequela.models.config_sizes import check_class_names, check_sizes
from sequela.models.families import family_of
from sequela.models.fingerprint import FingerprintParts
from sequela.models.known_fingerprints import known_fingerprint
from sequela.models.language_model import LanguageModel
from sequela.models.loading import quiet_transformers
from sequela.models.model_files import ModelFiles, find_model_files
from sequela.models.names import is_path

BYTES_PER_TOKEN = 4
"""The typical number of bytes of English text per token, if a model's tokenizer is not here."""

_TOKENIZER_FILES = ("tokenizer.json", "tokenizer.model", "tokenizer_config.json")


@dataclass(eq=False)
class WeightlessModel(LanguageModel):
    """A model whose tensors have no values. It can be asked, counted and planned with, but not run.

    Args:
        computing_device: The device on which the real model would be.
        files: Where the model is on this machine.
        has_tokenizer: False if a tokenizer with one token per byte stands in for the model's own.
        knows_weights: True if the fingerprint is that of the real weights.
    """

    computing_device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    files: ModelFiles | None = None
    has_tokenizer: bool = True
    knows_weights: bool = False

    @property
    def device(self) -> torch.device:
        """The device on which the real model would be."""
        return self.computing_device

    @property
    def offloaded(self) -> bool:
        """False: that the tensors have no values doesn't mean that they are elsewhere."""
        return False

    @property
    def context_length(self) -> int:
        """The maximum number of tokens of an input, in tokens of the tokenizer at hand."""
        return super().context_length * (1 if self.has_tokenizer else BYTES_PER_TOKEN)

    @property
    def n_parameters(self) -> int:
        """The number of weights; tied ones count once."""
        return sum(weight.numel() for weight in self.module.parameters())


def weightless_model(name: str, dtype: torch.dtype, device: torch.device) -> WeightlessModel:
    """Returns a model without its weights, by the name that the user gives.

    Args:
        name: An alias, a folder (config.json suffices), a GGUF file or a hub id in the cache.
        dtype: The dtype of the weights.
        device: The device on which the model would be.

    Raises:
        SequelaError: There is not even a configuration of the model on this machine.
        UnsupportedModelError: Sequela can't edit this architecture, or the weights are quantized.
    """
    files = find_model_files(name)
    if files is None:
        raise SequelaError(
            f"There is no configuration of the model {name!r} on this machine, from which its size would "
            "follow.",
            hint=_how_to_get(name),
        )
    where = {"gguf_file": files.gguf} if files.gguf else {}
    with quiet_transformers():
        config = _config(files, name, where)
        with torch.device("meta"):
            module = AutoModelForCausalLM.from_config(config, dtype=dtype)
        module.tie_weights()
        if (files.folder / "generation_config.json").is_file() and not files.gguf:
            module.generation_config = GenerationConfig.from_pretrained(
                str(files.folder), local_files_only=True
            )
        tokenizer = _tokenizer(files, name, where)
    if getattr(config, "attn_logit_softcapping", None) is not None:
        module.set_attn_implementation("eager")
    module.eval()
    module.requires_grad_(False)
    known = known_fingerprint(files, dtype)
    return WeightlessModel(
        module=module,
        tokenizer=tokenizer or _stand_in(),
        family=family_of(config, name),
        name=name,
        parts=known or FingerprintParts(weights=f"unknown {name}", config="unknown", tokenizer="unknown"),
        computing_device=device,
        files=files,
        has_tokenizer=tokenizer is not None,
        knows_weights=known is not None,
    )


def _how_to_get(name: str) -> str:
    if name in ALIASES:
        return f"Load it once, with `sequela evaluate {name} --suite perplexity`."
    if is_path(name):
        return "Name a folder that has config.json."
    return (
        f'Download the small files alone with `hf download {name} --include "*.json"`, or name a folder that '
        "has config.json."
    )


def _config(files: ModelFiles, name: str, where: dict[str, str]) -> Any:
    try:
        config = AutoConfig.from_pretrained(str(files.folder), local_files_only=True, **where)
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise BadInputError(f"The configuration of {name!r} can't be read: {first_line(error)}") from error
    check_class_names(config, name)
    family_of(config, name)
    check_sizes(config, name)
    if getattr(config, "quantization_config", None) is not None:
        raise UnsupportedModelError(f"The weights of {name!r} are quantized, so no edit can change them.")
    return config


def _tokenizer(files: ModelFiles, name: str, where: dict[str, str]) -> PreTrainedTokenizerBase | None:
    """Returns the model's tokenizer; None if its files are not here."""
    if not files.gguf and not any((files.folder / file).is_file() for file in _TOKENIZER_FILES):
        return None
    try:
        tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(
            str(files.folder), local_files_only=True, **where
        )
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise BadInputError(f"The tokenizer of {name!r} can't be read: {first_line(error)}") from error
    if not tokenizer.is_fast:
        raise SequelaError(f"The tokenizer of {name!r} is a slow one, which has no offsets of tokens.")
    return tokenizer


def _stand_in() -> PreTrainedTokenizerFast:
    """Returns a tokenizer with one token per byte: counts divided by `BYTES_PER_TOKEN` are estimates."""
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE(vocab={letter: n for n, letter in enumerate(letters)}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(["<|end|>"])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token="<|end|>", clean_up_tokenization_spaces=False
    )
