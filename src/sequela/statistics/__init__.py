"""Key second moments and null spaces, kept by content."""

from sequela.statistics.corpus import Corpus, CorpusSpec, open_corpus
from sequela.statistics.null_space import NullSpace
from sequela.statistics.second_moments import SecondMoment, collect_second_moments
from sequela.statistics.store import Statistics
from sequela.statistics.whitening import Whitening

__all__ = [
    "Corpus",
    "CorpusSpec",
    "NullSpace",
    "SecondMoment",
    "Statistics",
    "Whitening",
    "collect_second_moments",
    "open_corpus",
]
