"""Finding the texts that are nearest to another one."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol
from zlib import crc32

import torch
from torch.nn.functional import normalize

from sequela.models.sentence_encoder import load_sentence_encoder

WORDS = "words"
"""The name of the retriever that compares words and needs no encoder."""

MAX_WORDS = 256
"""How many words of a text it reads, from the end: there stands what is asked."""

PLACES = 2048
"""How many places the words are counted in."""

_WORD = re.compile(r"\w+")


class Retriever(Protocol):
    """Something that puts texts where near ones have a high cosine. A sentence encoder is one."""

    @property
    def fingerprint(self) -> str:
        """A hash of what the vectors depend on besides the texts."""
        ...

    def encode(self, texts: Sequence[str]) -> torch.Tensor:
        """Vectors of length 1, `[texts, width]`."""
        ...


@dataclass(frozen=True)
class WordRetriever:
    """Counts words, whatever their case: texts are near if they share words.

    Two words may fall into one place by their hash.

    Args:
        device: Where the vectors are.
    """

    device: torch.device

    @property
    def fingerprint(self) -> str:
        """Its name and width: it has no weights."""
        return f"{WORDS}/{PLACES}"

    def encode(self, texts: Sequence[str]) -> torch.Tensor:
        """Word counts at length 1, `[texts, PLACES]`; 0 for a text without words."""
        counts = torch.zeros(len(texts), PLACES)
        for row, text in enumerate(texts):
            for word in _WORD.findall(text.casefold())[-MAX_WORDS:]:
                counts[row, crc32(word.encode()) % PLACES] += 1
        return normalize(counts, dim=-1).to(self.device)


def load_retriever(name: str, device: torch.device) -> Retriever:
    """A retriever by name.

    Args:
        name: `words`, or a sentence encoder as `load_sentence_encoder` knows it.
        device: Where it runs.

    Raises:
        SequelaError: The encoder can't be had.
    """
    return WordRetriever(device) if name == WORDS else load_sentence_encoder(name, device)


def by_nearness(query: torch.Tensor, keys: torch.Tensor) -> tuple[list[int], list[float]]:
    """The places of keys, nearest first and the earlier of equals first, and their cosines.

    Args:
        query: `[width]`.
        keys: `[n, width]`.
    """
    cosines = keys @ query.to(keys.device)
    found = torch.sort(cosines, descending=True, stable=True)
    return found.indices.tolist(), found.values.tolist()
