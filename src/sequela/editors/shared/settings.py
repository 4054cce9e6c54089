"""Settings shared by several methods that are not of the locate-then-edit kind."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, NonNegativeInt

from sequela.core.validation import Count
from sequela.editors.hyperparameters import Hyperparameters

IDENTITY = "identity"
"""The name used in place of an artifact for the network as initialized, before any training."""

Token = Literal["ans", "mask"]
"""The tokens of an edit that are read: all (`mask`), or those that predict the target (`ans`)."""

SameKey = Literal["take over", "published"]
SAME_KEY = (
    "The handling of an edit with the same key as an earlier one and another target: it takes over the key, "
    "or, as published, neither can be reached."
)


class TrainedHyperparameters(Hyperparameters):
    """Settings of all trained methods."""

    artifact: str | None = Field(
        default=None,
        description="The folder of a trained network, or its address in the store (`network/<key>`); by "
        "default the one that `sequela train-editor` wrote for the model, or the first in the store that "
        "fits. `identity` is an untrained network.",
    )

    @property
    def is_untrained(self) -> bool:
        """True if the network is used as initialized, before any training."""
        return self.artifact == IDENTITY


class HypernetworkHyperparameters(TrainedHyperparameters):
    """Settings of methods that map gradients to changes of weights."""

    layers: tuple[NonNegativeInt, ...] | None = Field(
        default=None,
        min_length=1,
        description="The layers whose MLPs are edited; by default the highest, three (mend) or six (malmen).",
    )
    rank: Count = Field(default=1920, ge=1, description="The rank of the network's own layers, at most.")
    sequence: Literal["accumulate", "last-only"] = Field(
        default="accumulate",
        description="`accumulate` adds up the changes of all batches; `last-only` computes each batch on the "
        "unedited model and replaces earlier batches, as in the released code.",
    )
