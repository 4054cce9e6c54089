"""The catalog of protocols: the ways in which a metric can be measured."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True)
class ProtocolInfo:
    """The description of a protocol.

    Args:
        name: The name in results.
        meaning: The way of measuring, as a phrase.
        headline: True if short tables show this protocol first when a metric is measured by several.
    """

    name: str
    meaning: str = ""
    headline: bool = False

    @property
    def label(self) -> str:
        """The display name."""
        return self.name.replace("_", " ")


FREE_DECODING = ProtocolInfo(
    "free_decoding",
    "the model generates greedily, and the generated text is compared with the answer",
    headline=True,
)
TEACHER_FORCED = ProtocolInfo(
    "teacher_forced",
    "each token of the correct answer is predicted with the earlier ones given; easier than free decoding",
)
PROBABILITY = ProtocolInfo("probability", "the new answer is more probable than the old one")
AGREEMENT = ProtocolInfo("agreement", "the model gives the same answer as the unedited model")
HITS = ProtocolInfo(
    "hits", "the share of prompts for which a memory-based or in-context method found an edit to apply"
)
FROM_EDITS = ProtocolInfo("from_edits", "counted from the edits and their prompts; no model is asked")
FREE_TEXT = ProtocolInfo("free_text", "a property of the text that the model generates")
LOGLIKELIHOOD = ProtocolInfo("loglikelihood", "the choice with the highest probability")
LETTERS = ProtocolInfo("letters", "the choice whose letter has the highest probability")
ANSWERS = ProtocolInfo(
    "answers", "the answer with the highest probability, without the choices in the prompt"
)
GENERATION = ProtocolInfo(
    "generation", "the model generates an answer, which is parsed by fixed rules", headline=True
)

CATALOG: Mapping[str, ProtocolInfo] = MappingProxyType(
    {
        one.name: one
        for one in (
            FREE_DECODING,
            HITS,
            TEACHER_FORCED,
            PROBABILITY,
            AGREEMENT,
            FROM_EDITS,
            LOGLIKELIHOOD,
            LETTERS,
            ANSWERS,
            GENERATION,
        )
    }
)
"""The protocols that need an explanation, in the order in which reports explain them."""


def protocol_info(name: str) -> ProtocolInfo:
    """Returns the description of a protocol; for an unknown protocol, one with its name only."""
    return CATALOG.get(name) or ProtocolInfo(name)
