"""Key statistics of one model: collected when first asked for, kept by content."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from pydantic import BaseModel, ConfigDict
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from sequela.core.errors import FingerprintMismatchError, IntegrityError
from sequela.core.hashing import hash_json, hash_tensors
from sequela.core.paths import cache_folder, replacing
from sequela.core.progress import SILENT, Progress
from sequela.models import LanguageModel
from sequela.statistics.corpus import Corpus, corpus_key, open_corpus
from sequela.statistics.corpus_spec import CorpusSpec
from sequela.statistics.null_space import NullSpace
from sequela.statistics.second_moments import KeyCovariance, collect_key_covariances
from sequela.statistics.whitening import Whitening

FORMAT = 2


class StoredCovariance(BaseModel):
    """What is written beside a stored second moment."""

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
    """The key second moments of one unedited model over one corpus.

    They are kept in `<cache>/statistics/<key>/layer_<i>.safetensors`, where the key is a hash of the
    model's fingerprint and the corpus recipe: an edited or retrained model never meets them.

    Args:
        model: The model.
        spec: The corpus recipe.
        folder: Where to keep them; by default in the user's cache.
        progress: Who is told when they have to be collected.
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
        """The second moment of a layer's keys; collected now if it isn't kept yet.

        It is read from its file every time: what editors use again and again is what was made of it
        (`whitening`, `null_space`), and beside these it would only take memory.
        """
        self.prepare([layer])
        return self._load(layer)

    def whitening(self, layer: int, ridge: float = 0.0) -> Whitening:
        """Solves with a layer's second moment, `ridge` added to its diagonal; factored when first asked for.

        Raises:
            SequelaError: The second moment was taken over too few tokens.
        """
        if (layer, ridge) not in self._whitenings:
            self._whitenings[layer, ridge] = Whitening(self.key_covariance(layer).matrix, ridge)
        return self._whitenings[layer, ridge]

    def null_space(self, layer: int, threshold: float) -> NullSpace:
        """The directions that a layer's keys hardly use; found when first asked for.

        Raises:
            SequelaError: There are none below the threshold.
        """
        if (layer, threshold) not in self._null_spaces:
            self._null_spaces[layer, threshold] = NullSpace(self.key_covariance(layer).matrix, threshold)
        return self._null_spaces[layer, threshold]

    def check_model(self, model: LanguageModel) -> None:
        """Refuses a model that these statistics are not of.

        Raises:
            FingerprintMismatchError: With both fingerprints.
        """
        if model.fingerprint != self.model.fingerprint:
            raise FingerprintMismatchError(
                f"The statistics are of the model {self.model.fingerprint}; {model.name!r} is "
                f"{model.fingerprint}.",
                hint="Make statistics of the model that is edited: Statistics(model).",
            )

    def missing(self, layers: Sequence[int]) -> list[int]:
        """The layers whose statistics have to be collected still."""
        return [layer for layer in layers if not self._description_path(layer).is_file()]

    def prepare(self, layers: Sequence[int]) -> None:
        """Collects, in one pass, what isn't kept yet, and keeps it."""
        missing = self.missing(layers)
        if missing:
            corpus = self._corpus()
            for moment in collect_key_covariances(self.model, corpus, missing, self.progress).values():
                self._keep(moment)

    def _corpus(self) -> Corpus:
        """The corpus, kept beside the statistics: other layers are likely to be asked for next."""
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

    def _keep(self, moment: KeyCovariance) -> None:
        description = StoredCovariance(
            fingerprint=self.model.fingerprint,
            model=self.model.name,
            layer=moment.layer,
            n_tokens=moment.n_tokens,
            corpus=moment.corpus,
            spec=self.spec,
            content_hash=_hash_of(moment.matrix),
        )
        with replacing(self._tensor_path(moment.layer)) as path:
            save_file({"second_moment": moment.matrix.cpu().contiguous()}, path)
        with replacing(self._description_path(moment.layer)) as path:
            path.write_text(description.model_dump_json(indent=2) + "\n", encoding="utf-8")

    def _load(self, layer: int) -> KeyCovariance:
        try:
            text = self._description_path(layer).read_text(encoding="utf-8")
            stored = StoredCovariance.model_validate_json(text)
            matrix: torch.Tensor = load_file(self._tensor_path(layer))["second_moment"]
        except (OSError, ValueError, SafetensorError, KeyError) as error:
            raise self._damaged(error) from error
        if _hash_of(matrix) != stored.content_hash:
            raise self._damaged(f"the second moment of layer {layer} is not the one that was kept.")
        return KeyCovariance(layer, matrix.to(self.model.device), stored.n_tokens, stored.corpus)

    def _damaged(self, what: object) -> IntegrityError:
        return IntegrityError(
            f"The kept statistics in {self.folder} are damaged: {what}",
            hint="Delete that folder; they will be collected again.",
        )

    def _tensor_path(self, layer: int) -> Path:
        return self.folder / f"layer_{layer}.safetensors"

    def _description_path(self, layer: int) -> Path:
        return self.folder / f"layer_{layer}.json"


def _hash_of(matrix: torch.Tensor) -> str:
    return hash_tensors([("second_moment", matrix)])
