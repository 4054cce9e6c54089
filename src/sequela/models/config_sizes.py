"""Checks of a model's configuration: class names, and sizes of which building a model would never end."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from transformers import PretrainedConfig

from sequela.core.errors import BadInputError, shown

LARGEST: Mapping[str, int] = MappingProxyType(
    {
        "num_hidden_layers": 10_000,
        "hidden_size": 2**20,
        "intermediate_size": 2**22,
        "num_attention_heads": 2**14,
        "num_key_value_heads": 2**14,
        "head_dim": 2**16,
        "vocab_size": 2**25,
        "max_position_embeddings": 2**31,
    }
)
"""The largest size by its name in configurations; each is far above that of any model."""


def check_class_names(config: PretrainedConfig, name: str) -> None:
    """Checks that the classes a configuration names are a list of texts, or missing.

    Args:
        config: The configuration.
        name: The model's name, for messages.

    Raises:
        BadInputError: They are something else.
    """
    value = getattr(config, "architectures", None)
    if value and not (isinstance(value, list | tuple) and all(isinstance(one, str) for one in value)):
        raise BadInputError(
            f"The configuration of {name!r} has architectures = {shown(value)}; expected a list of class "
            "names."
        )


def check_sizes(config: PretrainedConfig, name: str) -> None:
    """Checks the sizes of a configuration before a model is built from it.

    Args:
        config: The configuration.
        name: The model's name, for messages.

    Raises:
        BadInputError: A size is not a positive number or too large; the message names the field.
    """
    for field, largest in LARGEST.items():
        value = getattr(config, field, None)
        if value is None:
            continue
        if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= largest:
            raise BadInputError(
                f"The configuration of {name!r} has {field} = {value!r}; expected a whole number from 1 to "
                f"{largest:,}."
            )
