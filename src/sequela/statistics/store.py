"""Key statistics of one model, collected when first needed and stored by content."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch
from pydantic import BaseModel, ConfigDict

from sequela.core.descriptions import read_description_of, write_description
from sequela.core.errors import FingerprintMismatchError, IntegrityError, SequelaError
from sequela.core.files import load_tensors, save_tensors
from sequela.core.hashing import hash_json
from sequela.core.locks import waiting_lock
from sequela.core.paths import cache_folder, ensure_writable
from sequela.core.progress import SILENT, Progress
from sequela.models import LanguageModel
from sequela.statistics.corpus import Corpus, corpus_key, open_corpus
from sequela.statistics.corpus_spec import CorpusSpec
from sequela.statistics.null_space import NullSpace
from sequela.statistics.second_moments import KeyCovariance, collect_key_covariances
from sequela.statistics.whitening import Whitening

FORMAT = 2


class StoredCovariance(BaseModel):
    """The description of a stored key covariance."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: int = FORMAT
    fingerprint: str
    model: str
    layer: int
    n_tokens: int
    corpus: str
    spec: CorpusSpec
    content_hash: str


class StoredCorpus(BaseModel):
    """The description of a corpus that is stored with the statistics computed on it.

    Args:
        description: The description of the text.
        content_hash: The hash of the tensor of its tokens.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    description: str
    content_hash: str


class Statistics:
    """The key covariances of one unedited model over one corpus.

    They are stored in `<cache>/statistics/<key>/layer_<i>.safetensors`. The key is a hash of the model's
    fingerprint and the corpus recipe, so that an edited or retrained model never gets them.

    Args:
        model: The model.
        spec: The corpus recipe.
        folder: The folder to store them in; by default in the user's cache.
        progress: Receives progress reports when they are collected.
    """

    def __init__(
        self,
        model: LanguageModel,
        spec: CorpusSpec | None = None,
        folder: Path | None = None,
        progress: Progress = SILENT,
    ) -> None:
        self.model = model
        self.spec = spec or CorpusSpec()
        self.progress = progress
        self.key = hash_json(
            {"model": model.fingerprint, "corpus": corpus_key(self.spec, model), "format": FORMAT}
        )
        self.folder = (folder or cache_folder() / "statistics") / self.key
        self._whitenings: dict[tuple[int, float], Whitening] = {}
        self._null_spaces: dict[tuple[int, float], NullSpace] = {}

    def key_covariance(self, layer: int) -> KeyCovariance:
        """Returns a layer's key covariance; collects it if it isn't stored yet.

        It is read from its file every time: editors repeatedly use only `whitening` and `null_space`, which
        are kept in memory.
        """
        self.prepare([layer])
        return self._load(layer)

    def whitening(self, layer: int, ridge: float = 0.0) -> Whitening:
        """Returns a solver with a layer's key covariance plus `ridge` on its diagonal; factored on first use.

        Raises:
            BadInputError: The key covariance was computed from too few tokens.
        """
        if (layer, ridge) not in self._whitenings:
            covariance = self.key_covariance(layer)
            self._whitenings[layer, ridge] = Whitening(covariance.matrix, ridge, covariance.n_tokens)
        return self._whitenings[layer, ridge]

    def null_space(self, layer: int, threshold: float) -> NullSpace:
        """Returns the directions that a layer's keys hardly use; computed on first use.

        Raises:
            SequelaError: No eigenvalue is below the threshold.
        """
        if (layer, threshold) not in self._null_spaces:
            self._null_spaces[layer, threshold] = NullSpace(self.key_covariance(layer).matrix, threshold)
        return self._null_spaces[layer, threshold]

    def check_model(self, model: LanguageModel) -> None:
        """Checks that these are the statistics of a model.

        Raises:
            FingerprintMismatchError: They are of another model; the message has both fingerprints.
        """
        if model.fingerprint != self.model.fingerprint:
            raise FingerprintMismatchError(
                f"The statistics are of the model {self.model.fingerprint}; {model.name!r} is "
                f"{model.fingerprint}.",
                hint="Collect statistics of the model that is edited: Statistics(model).",
            )

    def missing(self, layers: Sequence[int]) -> list[int]:
        """Returns the layers whose statistics are not stored yet."""
        return [layer for layer in layers if not self._description_path(layer).is_file()]

    def prepare(self, layers: Sequence[int]) -> list[int]:
        """Collects and stores missing statistics in one pass; waits while another process collects some.

        Returns:
            The layers whose statistics were collected.

        Raises:
            SequelaError: They can't be written.
        """
        missing = self.missing(layers)
        if missing:
            ensure_writable(self.folder)
            what = f"collecting the key statistics of {self.model.name}"
            with waiting_lock(self.folder / ".lock", what, self.progress):
                missing = self.missing(layers)
                if missing:
                    corpus = self._corpus()
                    collected = collect_key_covariances(self.model, corpus, missing, self.progress)
                    for covariance in collected.values():
                        self._keep(covariance)
        return missing

    def _corpus(self) -> Corpus:
        """Returns the corpus; stores it with the statistics, since other layers are likely to follow."""
        path, description = self.folder / "corpus.safetensors", self.folder / "corpus.json"
        if description.is_file():
            with self._naming_damage():
                stored = read_description_of(description, StoredCorpus, "corpus", error=IntegrityError)
                token_ids = load_tensors(path, stored.content_hash)["token_ids"]
                return Corpus.of(stored.description, token_ids.to(torch.long))
        corpus = open_corpus(self.spec, self.model, self.progress)
        content_hash = save_tensors(path, {"token_ids": corpus.sequences.to(torch.int32)})
        write_description(
            description, StoredCorpus(description=corpus.description, content_hash=content_hash)
        )
        return corpus

    def _keep(self, covariance: KeyCovariance) -> None:
        description = StoredCovariance(
            fingerprint=self.model.fingerprint,
            model=self.model.name,
            layer=covariance.layer,
            n_tokens=covariance.n_tokens,
            corpus=covariance.corpus,
            spec=self.spec,
            content_hash=save_tensors(
                self._tensor_path(covariance.layer), {"second_moment": covariance.matrix}
            ),
        )
        write_description(self._description_path(covariance.layer), description)

    def _load(self, layer: int) -> KeyCovariance:
        with self._naming_damage():
            path = self._description_path(layer)
            stored = read_description_of(path, StoredCovariance, "statistics", error=IntegrityError)
            matrix = load_tensors(self._tensor_path(layer), stored.content_hash)["second_moment"]
        return KeyCovariance(layer, matrix.to(self.model.device), stored.n_tokens, stored.corpus)

    @contextmanager
    def _naming_damage(self) -> Iterator[None]:
        try:
            yield
        except (SequelaError, KeyError) as error:
            reason = error.message if isinstance(error, SequelaError) else f"{error} is missing."
            raise IntegrityError(
                f"The stored statistics in {self.folder} are damaged: {reason}",
                hint="Delete that folder; they will be collected again.",
            ) from error

    def _tensor_path(self, layer: int) -> Path:
        return self.folder / f"layer_{layer}.safetensors"

    def _description_path(self, layer: int) -> Path:
        return self.folder / f"layer_{layer}.json"
