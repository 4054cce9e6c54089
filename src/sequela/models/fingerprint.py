"""Fingerprints of models: content hashes to which edits, statistics and results are bound."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from functools import partial
from typing import Any

from transformers import PreTrainedModel, PreTrainedTokenizerBase

from sequela.core.hashing import hash_json, hash_parts, hash_read_tensors
from sequela.models.placement import read_weight


@dataclass(frozen=True)
class FingerprintParts:
    """The hashes that a fingerprint is made of, by which it can be said how two models differ.

    Args:
        weights: The hash of all weights.
        config: The hash of the settings that differ from the defaults of the model's class.
        tokenizer: The hash of the tokenizer and its chat template.
    """

    weights: str
    config: str
    tokenizer: str

    @classmethod
    def of(cls, module: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> FingerprintParts:
        """Returns the hashes of a model and its tokenizer."""
        names = [name for name, _ in module.named_parameters()]
        # Only differences from the class's defaults: a new version of transformers may add fields.
        config: dict[str, Any] = module.config.to_diff_dict()
        ignored = {"transformers_version", "dtype", "torch_dtype", "quantization_config", "architectures"}
        settings = {k: v for k, v in config.items() if not k.startswith("_") and k not in ignored}
        pipeline: dict[str, Any] = json.loads(tokenizer.backend_tokenizer.to_str())
        # Padding and truncation are temporary settings of a call, not properties of the tokenizer.
        words = {k: v for k, v in pipeline.items() if k not in ("version", "truncation", "padding")}
        return cls(
            weights=hash_read_tensors(names, partial(read_weight, module)),
            config=hash_json(json.loads(json.dumps(settings, default=_plain))),
            tokenizer=hash_json({"pipeline": words, "template": tokenizer.chat_template}),
        )

    @property
    def fingerprint(self) -> str:
        """The hash of all parts."""
        return hash_parts(dataclasses.asdict(self))

    def differing(self, other: FingerprintParts) -> tuple[str, ...]:
        """Returns the names of the parts that differ from another model's."""
        own, others = dataclasses.asdict(self), dataclasses.asdict(other)
        return tuple(_NAMES[part] for part in own if own[part] != others[part])


_NAMES = {"weights": "weights", "config": "configuration", "tokenizer": "tokenizer or chat template"}


def _plain(value: object) -> object:
    return (
        dataclasses.asdict(value)
        if dataclasses.is_dataclass(value) and not isinstance(value, type)
        else str(value)
    )
