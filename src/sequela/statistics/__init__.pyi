from .corpus import Corpus as Corpus
from .corpus import open_corpus as open_corpus
from .corpus_spec import CorpusSpec as CorpusSpec
from .null_space import NullSpace as NullSpace
from .second_moments import KeyCovariance as KeyCovariance
from .second_moments import collect_key_covariances as collect_key_covariances
from .store import Statistics as Statistics
from .whitening import Whitening as Whitening
