"""Key covariances and null spaces, stored by content."""

from typing import TYPE_CHECKING

from sequela.core.lazy import lazy_names

if TYPE_CHECKING:
    from sequela.statistics.corpus import Corpus, open_corpus
    from sequela.statistics.corpus_spec import CorpusSpec
    from sequela.statistics.null_space import NullSpace
    from sequela.statistics.second_moments import KeyCovariance, collect_key_covariances
    from sequela.statistics.store import Statistics
    from sequela.statistics.whitening import Whitening

__all__ = [
    "Corpus",
    "CorpusSpec",
    "KeyCovariance",
    "NullSpace",
    "Statistics",
    "Whitening",
    "collect_key_covariances",
    "open_corpus",
]

if not TYPE_CHECKING:  # a `__getattr__` would make type checkers accept any name
    __getattr__, __dir__ = lazy_names(
        __name__,
        {
            "sequela.statistics.corpus": (
                "Corpus",
                "open_corpus",
            ),
            "sequela.statistics.corpus_spec": ("CorpusSpec",),
            "sequela.statistics.null_space": ("NullSpace",),
            "sequela.statistics.second_moments": (
                "KeyCovariance",
                "collect_key_covariances",
            ),
            "sequela.statistics.store": ("Statistics",),
            "sequela.statistics.whitening": ("Whitening",),
        },
    )
