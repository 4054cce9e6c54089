"""Key statistics of one model, collected when first needed and stored by content."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from pydantic import BaseModel, ConfigDict
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from sequela.core.damaged_files import UNREADABLE
from sequela.core.errors import FingerprintMismatchError, IntegrityError
from sequela.core.hashing import hash_json, hash_tensors
from sequela.core.paths import cache_folder, ensure_writable, replacing
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

    def prepare(self, layers: Sequence[int]) -> None:
        """Collects and stores missing statistics in one pass.

        Raises:
            SequelaError: They can't be written.
        """
        missing = self.missing(layers)
        if missing:
            ensure_writable(self.folder)
            corpus = self._corpus()
            for covariance in collect_key_covariances(self.model, corpus, missing, self.progress).values():
                self._keep(covariance)

    def _corpus(self) -> Corpus:
        """Returns the corpus; stores it with the statistics, since other layers are likely to follow."""
        path = self.folder / "corpus.safetensors"
        description = self.folder / "corpus.txt"
        if description.is_file():
            try:
                token_ids = load_file(path)["token_ids"].to(torch.long)
                return Corpus.of(description.read_text(encoding="utf-8"), token_ids)
            except (OSError, ValueError, SafetensorError, KeyError) as error:
                raise self._damaged(error) from error
        corpus = open_corpus(self.spec, self.model, self.progress)
        with replacing(path) as temporary:
            save_file({"token_ids": corpus.sequences.to(torch.int32)}, temporary)
        with replacing(description) as temporary:
            temporary.write_text(corpus.description, encoding="utf-8")
        return corpus

    def _keep(self, covariance: KeyCovariance) -> None:
        description = StoredCovariance(
            fingerprint=self.model.fingerprint,
            model=self.model.name,
            layer=covariance.layer,
            n_tokens=covariance.n_tokens,
            corpus=covariance.corpus,
            spec=self.spec,
            content_hash=_hash_of(covariance.matrix),
        )
        with replacing(self._tensor_path(covariance.layer)) as path:
            save_file({"second_moment": covariance.matrix.cpu().contiguous()}, path)
        with replacing(self._description_path(covariance.layer)) as path:
            path.write_text(description.model_dump_json(indent=2) + "\n", encoding="utf-8")

    def _load(self, layer: int) -> KeyCovariance:
        try:
            text = self._description_path(layer).read_text(encoding="utf-8")
            stored = StoredCovariance.model_validate_json(text)
            matrix: torch.Tensor = load_file(self._tensor_path(layer))["second_moment"]
        except UNREADABLE as error:
            raise self._damaged(error) from error
        except SafetensorError as error:
            raise self._damaged(error) from error
        if _hash_of(matrix) != stored.content_hash:
            raise self._damaged(f"the key covariance of layer {layer} was changed after it was stored.")
        return KeyCovariance(layer, matrix.to(self.model.device), stored.n_tokens, stored.corpus)

    def _damaged(self, what: object) -> IntegrityError:
        return IntegrityError(
            f"The stored statistics in {self.folder} are damaged: {what}",
            hint="Delete that folder; they will be collected again.",
        )

    def _tensor_path(self, layer: int) -> Path:
        return self.folder / f"layer_{layer}.safetensors"

    def _description_path(self, layer: int) -> Path:
        return self.folder / f"layer_{layer}.json"


def _hash_of(matrix: torch.Tensor) -> str:
    return hash_tensors([("second_moment", matrix)])
