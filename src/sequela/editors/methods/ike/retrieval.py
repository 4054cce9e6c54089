"""Retrieval of the texts that are nearest to a query."""

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
"""The number of words it reads at the end of a text, where the question is."""

BUCKETS = 2048
"""The number of hash buckets in which words are counted."""

_WORD = re.compile(r"\w+")


class Retriever(Protocol):
    """An embedding of texts in which near texts have a high cosine similarity, such as a sentence encoder."""

    @property
    def fingerprint(self) -> str:
        """The hash of everything besides the texts that the vectors depend on."""
        ...

    def encode(self, texts: Sequence[str]) -> torch.Tensor:
        """Returns the texts' vectors, of norm 1, `[texts, width]`."""
        ...


@dataclass(frozen=True)
class WordRetriever:
    """A retriever that counts words, regardless of case, so that texts are similar if they share words.

    Words are assigned to buckets by hash, so that two words may share a bucket.

    Args:
        device: The device of the vectors.
    """

    device: torch.device

    @property
    def fingerprint(self) -> str:
        """The name and width; there are no weights."""
        return f"{WORDS}/{BUCKETS}"

    def encode(self, texts: Sequence[str]) -> torch.Tensor:
        """Returns word counts scaled to norm 1, `[texts, BUCKETS]`; 0 for a text without words."""
        counts = torch.zeros(len(texts), BUCKETS)
        for row, text in enumerate(texts):
            for word in _WORD.findall(text.casefold())[-MAX_WORDS:]:
                counts[row, crc32(word.encode()) % BUCKETS] += 1
        return normalize(counts, dim=-1).to(self.device)


def load_retriever(name: str, device: torch.device) -> Retriever:
    """Loads a retriever by name.

    Args:
        name: `words`, or a sentence encoder accepted by `load_sentence_encoder`.
        device: The device that it runs on.

    Raises:
        SequelaError: The encoder can't be loaded.
    """
    return WordRetriever(device) if name == WORDS else load_sentence_encoder(name, device)


def by_nearness(query: torch.Tensor, keys: torch.Tensor) -> tuple[list[int], list[float]]:
    """Returns the indices of keys, nearest first and on ties the earlier first, and their cosines.

    Args:
        query: The query, `[width]`.
        keys: The keys, `[n, width]`.
    """
    cosines = keys @ query.to(keys.device)
    ordered = torch.sort(cosines, descending=True, stable=True)
    return ordered.indices.tolist(), ordered.values.tolist()
