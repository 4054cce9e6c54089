"""Key statistics as files: a key covariance or a corpus is a description and its tensors, in one folder.

The folder is an object of the store; in versions without a store it was a folder in the user's cache, with
all layers side by side.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from pydantic import BaseModel, ConfigDict

from sequela.core.descriptions import read_description_of, write_description
from sequela.core.errors import IntegrityError, SequelaError
from sequela.core.files import load_tensors, save_tensors
from sequela.models import LanguageModel
from sequela.statistics.corpus import Corpus
from sequela.statistics.corpus_spec import CorpusSpec
from sequela.statistics.second_moments import KeyCovariance

FORMAT = 2
"""The version of the format of key statistics, a part of their key."""

_CORPUS = "corpus"


class StoredCovariance(BaseModel):
    """The description of a stored key covariance.

    Args:
        format: The version of the format.
        fingerprint: The fingerprint of the model.
        model: Its name.
        layer: The layer.
        n_tokens: The number of keys that the covariance was computed from.
        corpus: The description of the text.
        spec: The recipe of the text; None if the text itself was given.
        content_hash: The hash of the matrix.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: int = FORMAT
    fingerprint: str
    model: str
    layer: int
    n_tokens: int
    corpus: str
    spec: CorpusSpec | None
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


def write_covariance(
    folder: Path, covariance: KeyCovariance, model: LanguageModel, spec: CorpusSpec | None
) -> None:
    """Writes a key covariance to a folder.

    Args:
        folder: The folder.
        covariance: The key covariance.
        model: The model that it is of.
        spec: The recipe of the text; None if the text itself was given.
    """
    name = _layer(covariance.layer)
    content_hash = save_tensors(folder / f"{name}.safetensors", {"second_moment": covariance.matrix})
    description = StoredCovariance(
        fingerprint=model.fingerprint,
        model=model.name,
        layer=covariance.layer,
        n_tokens=covariance.n_tokens,
        corpus=covariance.corpus,
        spec=spec,
        content_hash=content_hash,
    )
    write_description(folder / f"{name}.json", description)


def read_covariance(folder: Path, layer: int, model: LanguageModel) -> KeyCovariance:
    """Reads a key covariance from a folder.

    Raises:
        IntegrityError: It is damaged, or that of another layer or model.
    """
    path = folder / f"{_layer(layer)}.json"
    stored = read_description_of(path, StoredCovariance, "statistics", error=IntegrityError)
    if (stored.layer, stored.fingerprint) != (layer, model.fingerprint):
        raise IntegrityError(
            f"{path} is of layer {stored.layer} of the model {stored.fingerprint}, not of layer {layer} of "
            f"{model.fingerprint}."
        )
    matrix = load_tensors(path.with_suffix(".safetensors"), stored.content_hash)["second_moment"]
    return KeyCovariance(layer, matrix.to(model.device), stored.n_tokens, stored.corpus)


def write_corpus(folder: Path, corpus: Corpus) -> None:
    """Writes a corpus to a folder."""
    path = folder / f"{_CORPUS}.safetensors"
    content_hash = save_tensors(path, {"token_ids": corpus.sequences.to(torch.int32)})
    stored = StoredCorpus(description=corpus.description, content_hash=content_hash)
    write_description(path.with_suffix(".json"), stored)


def read_corpus(folder: Path) -> Corpus:
    """Reads a corpus from a folder.

    Raises:
        IntegrityError: It is damaged.
    """
    path = folder / f"{_CORPUS}.json"
    stored = read_description_of(path, StoredCorpus, "corpus", error=IntegrityError)
    token_ids = load_tensors(path.with_suffix(".safetensors"), stored.content_hash)["token_ids"]
    return Corpus.of(stored.description, token_ids.to(torch.long))


class FormerStatistics:
    """The statistics that a version without a store left in the user's cache; they are only read.

    Args:
        folder: Their folder, which need not exist.
        model: The model that they are of.
    """

    def __init__(self, folder: Path, model: LanguageModel) -> None:
        self.folder = folder
        self._model = model

    def has(self, layer: int) -> bool:
        """Returns whether a layer's key covariance is there."""
        return (self.folder / f"{_layer(layer)}.json").is_file()

    @property
    def has_corpus(self) -> bool:
        """True if the corpus is there; one of the first versions, without a hash, does not count."""
        return (self.folder / f"{_CORPUS}.json").is_file()

    def read(self, layer: int) -> KeyCovariance:
        """Reads a layer's key covariance.

        Raises:
            IntegrityError: It is damaged.
        """
        with self._naming_damage():
            return read_covariance(self.folder, layer, self._model)

    def read_corpus(self) -> Corpus:
        """Reads the corpus.

        Raises:
            IntegrityError: It is damaged.
        """
        with self._naming_damage():
            return read_corpus(self.folder)

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


def _layer(layer: int) -> str:
    return f"layer_{layer}"
