"""Key second moments, kept by content."""

from sequela.statistics.corpus import Corpus, CorpusSpec, open_corpus
from sequela.statistics.second_moments import SecondMoment, collect_second_moments
from sequela.statistics.store import Statistics

__all__ = [
    "Corpus",
    "CorpusSpec",
    "SecondMoment",
    "Statistics",
    "collect_second_moments",
    "open_corpus",
]
