"""Protocols: how a metric is measured."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True)
class ProtocolInfo:
    """What is known of a protocol.

    Args:
        name: The name in results.
        meaning: How it measures, as a phrase.
        headline: Whether short tables give it first, where a metric is measured in several ways.
    """

    name: str
    meaning: str = ""
    headline: bool = False

    @property
    def label(self) -> str:
        """The name as people write it."""
        return self.name.replace("_", " ")


FREE_DECODING = ProtocolInfo(
    "free_decoding",
    "the model writes freely and stops by itself; its text is compared with the answer",
    headline=True,
)
TEACHER_FORCED = ProtocolInfo(
    "teacher_forced",
    "the right answer is fed in token by token, and each next token is checked; easier than free decoding",
)
PROBABILITY = ProtocolInfo("probability", "the new answer is more probable than the old one")
AGREEMENT = ProtocolInfo("agreement", "the model says what the unedited model said")
HITS = ProtocolInfo("hits", "the share of prompts for which a memory-based method found an edit to apply")
LOGLIKELIHOOD = ProtocolInfo("loglikelihood", "the choice to which the model gives the highest probability")
LETTERS = ProtocolInfo("letters", "the letter of a choice to which the model gives the highest probability")
ANSWERS = ProtocolInfo(
    "answers", "the answer, none being shown, to which the model gives the highest probability"
)
GENERATION = ProtocolInfo(
    "generation", "the model writes its answer, which is read by fixed rules", headline=True
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
            LOGLIKELIHOOD,
            LETTERS,
            ANSWERS,
            GENERATION,
        )
    }
)
"""The protocols that need words, in the order in which reports explain them."""


def protocol_info(name: str) -> ProtocolInfo:
    """Returns what is known of a protocol; of an unknown one its name."""
    return CATALOG.get(name) or ProtocolInfo(name)
