"""Key statistics of one model, collected when first needed and kept in the store."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from sequela.core.errors import BadInputError, CantWriteError, FingerprintMismatchError
from sequela.core.hashing import hash_json
from sequela.core.paths import cache_folder
from sequela.core.progress import SILENT, Progress
from sequela.models import LanguageModel
from sequela.statistics.corpus import Corpus, corpus_key, open_corpus
from sequela.statistics.corpus_spec import CorpusSpec
from sequela.statistics.null_space import NullSpace
from sequela.statistics.second_moments import KeyCovariance, collect_key_covariances
from sequela.statistics.stored_statistics import (
    FORMAT,
    FormerStatistics,
    read_corpus,
    read_covariance,
    write_corpus,
    write_covariance,
)
from sequela.statistics.whitening import Whitening
from sequela.store import Address, DamagedObjectError, Kind, MissingObjectError, Store, StoreError, open_store


class Statistics:
    """The key covariances of one unedited model over one corpus.

    They are objects of the store, one for each layer and one for the corpus. Their address is computed from
    the model's fingerprint and the corpus recipe, so that an edited or retrained model never gets them. Those
    that an earlier version left in the user's cache are taken over into the store when they are first used.

    Args:
        model: The model.
        spec: The corpus recipe.
        folder: The folder with a store of their own; by default the store that `SEQUELA_STORE` names.
        progress: Receives progress reports when they are collected.
        corpus: The text itself, in place of a recipe.
        store: The store, in place of a folder.

    Raises:
        BadInputError: Both a recipe and a text, or both a folder and a store were given.
    """

    def __init__(
        self,
        model: LanguageModel,
        spec: CorpusSpec | None = None,
        folder: Path | None = None,
        progress: Progress = SILENT,
        *,
        corpus: Corpus | None = None,
        store: Store | None = None,
    ) -> None:
        if spec is not None and corpus is not None:
            raise BadInputError("Statistics have either a corpus recipe (spec) or a corpus, not both.")
        if folder is not None and store is not None:
            raise BadInputError("Statistics are either in a folder or in a store, not in both.")
        self.model = model
        self.spec = (spec or CorpusSpec()) if corpus is None else None
        self.progress = progress
        self._given, self._folder, self._given_store = corpus, folder, store
        self._about: dict[str, Any] = {
            "model": model.fingerprint,
            "corpus": {"tokens": corpus.content_hash} if corpus else corpus_key(self._recipe, model),
            "format": FORMAT,
        }
        self.key = hash_json(self._about)
        self._intact: set[int] = set()
        self._used: set[Address] = set()
        self._whitenings: dict[tuple[int, float], Whitening] = {}
        self._null_spaces: dict[tuple[int, float], NullSpace] = {}

    @cached_property
    def store(self) -> Store:
        """The store that they are in; it is opened at first access."""
        return self._given_store or open_store(self._folder)

    @property
    def used(self) -> frozenset[Address]:
        """The objects of the store that have been prepared, with the corpus that they come from."""
        return frozenset(self._used)

    def address_of(self, layer: int) -> Address:
        """Returns the address of a layer's key covariance in the store."""
        return Address.of(Kind.STATISTICS, self._about_layer(layer))

    @property
    def corpus_address(self) -> Address:
        """The address of the corpus in the store."""
        return Address.of(Kind.STATISTICS, self._about_corpus)

    def key_covariance(self, layer: int) -> KeyCovariance:
        """Returns a layer's key covariance; collects it if it isn't stored yet.

        It is read from the store every time: editors repeatedly use only `whitening` and `null_space`, which
        are kept in memory.
        """
        self.prepare([layer])
        try:
            return self._load(layer)
        except (DamagedObjectError, MissingObjectError):  # since it was prepared
            self._intact.discard(layer)
            if self.model.changes:  # then nothing can be collected
                raise
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
        return [
            layer
            for layer in layers
            if not self.store.has(self.address_of(layer)) and not self._former.has(layer)
        ]

    def prepare(self, layers: Sequence[int]) -> list[int]:
        """Verifies stored statistics, and collects missing ones in one pass.

        Damaged ones are set aside, which is said, and collected again. While another process collects some,
        this one waits.

        Returns:
            The layers whose statistics were collected.

        Raises:
            StoreError: They can't be written.
            DamagedObjectError: They are damaged and can't be set aside.
            IntegrityError: Those that an earlier version left in the cache are damaged.
        """
        absent = [layer for layer in layers if layer not in self._intact and not self._is_intact(layer)]
        for layer in absent:
            if self._former.has(layer):
                self._take_over(layer)
        missing = self.missing(absent)
        if missing:
            what = f"collecting the key statistics of {self.model.name}"
            with self.store.locked(self.corpus_address, what, self.progress):
                missing = self.missing(absent)
                if missing:
                    corpus = self._corpus()
                    collected = collect_key_covariances(self.model, corpus, missing, self.progress)
                    for covariance in collected.values():
                        self._keep(covariance)
        self._intact.update(layers)
        self._used.update(map(self.address_of, layers))
        if self._given is None:
            self._used.add(self.corpus_address)
        return missing

    @property
    def _recipe(self) -> CorpusSpec:
        return self.spec or CorpusSpec()

    def _about_layer(self, layer: int) -> dict[str, Any]:
        return {**self._about, "layer": layer}

    @property
    def _about_corpus(self) -> dict[str, Any]:
        return {**self._about, "content": "corpus"}

    @cached_property
    def _former(self) -> FormerStatistics:
        return FormerStatistics((self._folder or cache_folder() / "statistics") / self.key, self.model)

    def _is_intact(self, layer: int) -> bool:
        """Returns whether a layer's key covariance is in the store; a damaged one is set aside."""
        address = self.address_of(layer)
        if not self.store.has(address):
            return False
        try:
            self.store.fetch(address)
        except MissingObjectError:  # removed by another process meanwhile
            return False
        except DamagedObjectError as error:
            self._note(error, f"The key statistics of layer {layer} of {self.model.name} are collected again")
            return False
        return True

    def _take_over(self, layer: int) -> None:
        """Copies what an earlier version left in the cache to the store, if that can be written to."""
        try:
            self._keep(self._former.read(layer))
        except (StoreError, CantWriteError) as error:
            self.progress.say(
                f"The key statistics in {self._former.folder} are used where they are: {error.message}"
            )

    def _corpus(self) -> Corpus:
        """Returns the corpus; stores it with the statistics, since other layers are likely to follow."""
        if self._given is not None:
            return self._given
        address = self.corpus_address
        if self.store.has(address):
            try:
                return read_corpus(self.store.fetch(address))
            except DamagedObjectError as error:
                self._note(error, "The text of the key statistics is read or sampled again")
        former = self._former
        corpus = (
            former.read_corpus()
            if former.has_corpus
            else open_corpus(self._recipe, self.model, self.progress)
        )
        with self.store.writing(address, self._about_corpus) as folder:
            write_corpus(folder, corpus)
        return corpus

    def _note(self, error: DamagedObjectError, consequence: str) -> None:
        """Says what follows from damage, or raises the error if the object can't be set aside."""
        if error.aside is None:
            raise error
        self.progress.say(f"{consequence}: {error}")

    def _keep(self, covariance: KeyCovariance) -> None:
        layer = covariance.layer
        with self.store.writing(self.address_of(layer), self._about_layer(layer)) as folder:
            write_covariance(folder, covariance, self.model, self.spec)

    def _load(self, layer: int) -> KeyCovariance:
        address = self.address_of(layer)
        if not self.store.has(address) and self._former.has(layer):
            return self._former.read(layer)
        return read_covariance(self.store.fetch(address), layer, self.model)
