"""Whether a text goes on or goes round: entropy of its n-grams, and how much of it is repeated."""

from __future__ import annotations

import math
from collections import Counter

BIGRAM_WEIGHT, TRIGRAM_WEIGHT = 2 / 3, 4 / 3
"""The weights of the literature's `GE` (Meng et al., 2022, appendix)."""


def ngram_entropy(text: str) -> float:
    """The weighted mean of the entropies of a text's bigrams and trigrams of words, in bits.

    It grows with the length of a text and falls when it repeats itself: texts are comparable only if they
    were allowed the same length. The literature's "fluency" or GE, with words where it has nltk's tokens.
    """
    words = text.split()
    return (BIGRAM_WEIGHT * _entropy(words, 2) + TRIGRAM_WEIGHT * _entropy(words, 3)) / 2


def repetition(text: str) -> float:
    """The share of a text's trigrams of words that stood in it before: 0 to almost 1, whatever its length."""
    grams = _ngrams(text.split(), 3)
    return 1 - len(set(grams)) / len(grams) if grams else 0.0


def _entropy(words: list[str], n: int) -> float:
    counts = Counter(_ngrams(words, n)).values()
    total = sum(counts)
    return -math.fsum(count / total * math.log2(count / total) for count in counts)


def _ngrams(words: list[str], n: int) -> list[tuple[str, ...]]:
    return [tuple(words[i : i + n]) for i in range(len(words) - n + 1)]
