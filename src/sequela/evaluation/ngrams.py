"""Measures of repetition in a text: the entropy of its n-grams, and the share of repeated trigrams."""

from __future__ import annotations

import math
from collections import Counter

BIGRAM_WEIGHT, TRIGRAM_WEIGHT = 2 / 3, 4 / 3
"""The weights of the generation entropy `GE` (Meng et al., 2022, appendix)."""


def ngram_entropy(text: str) -> float:
    """Returns the weighted mean of the entropies of a text's bigrams and trigrams of words, in bits.

    The entropy grows with the length of a text and falls with repetition, so texts are comparable only if
    they had the same length limit. It is the literature's "fluency" or GE, over words instead of nltk tokens.
    """
    words = text.split()
    return (BIGRAM_WEIGHT * _entropy(words, 2) + TRIGRAM_WEIGHT * _entropy(words, 3)) / 2


def repetition(text: str) -> float:
    """Returns the share of a text's word trigrams that occurred earlier in it: 0 to almost 1."""
    grams = _ngrams(text.split(), 3)
    return 1 - len(set(grams)) / len(grams) if grams else 0.0


def _entropy(words: list[str], n: int) -> float:
    counts = Counter(_ngrams(words, n)).values()
    total = sum(counts)
    return -math.fsum(count / total * math.log2(count / total) for count in counts)


def _ngrams(words: list[str], n: int) -> list[tuple[str, ...]]:
    return [tuple(words[i : i + n]) for i in range(len(words) - n + 1)]
