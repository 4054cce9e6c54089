"""Fingerprints of models that were loaded before, so that they are known without reading the weights again.

A record in the cache folder belongs to the files of a model as they were: their names, sizes and times of
change. It only answers what is stored for a model; whatever is computed from a model is bound to the
fingerprint of the weights that were loaded.
"""

from __future__ import annotations

import contextlib
from pathlib import Path

import torch
import transformers
from pydantic import BaseModel, ConfigDict

from sequela.core.descriptions import read_description_of, write_description
from sequela.core.errors import SequelaError
from sequela.core.hashing import hash_json
from sequela.core.paths import cache_folder
from sequela.models.fingerprint import FingerprintParts
from sequela.models.language_model import LanguageModel
from sequela.models.model_files import ModelFiles, find_model_files


class _Known(BaseModel):
    """A record: the hashes that a fingerprint is made of."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    weights: str
    config: str
    tokenizer: str


def remember_fingerprint(model: LanguageModel) -> None:
    """Records the fingerprint of an unedited model that was just loaded by its name.

    Without the record, a plan knows less; so a cache that can't be written to is no error.
    """
    parts = model.parts
    known = _Known(weights=parts.weights, config=parts.config, tokenizer=parts.tokenizer)
    with contextlib.suppress(OSError, SequelaError):
        files = find_model_files(model.name)
        if files is not None and files.weights and not _path(files, model.dtype).is_file():
            write_description(_path(files, model.dtype), known)


def known_fingerprint(files: ModelFiles, dtype: torch.dtype) -> FingerprintParts | None:
    """Returns the recorded hashes of a model; None if it was not loaded since its files last changed."""
    path = _path(files, dtype)
    if not files.weights or not path.is_file():
        return None
    try:
        known = read_description_of(path, _Known, "fingerprint")
    except SequelaError:  # a damaged record is as good as none
        return None
    return FingerprintParts(weights=known.weights, config=known.config, tokenizer=known.tokenizer)


def _path(files: ModelFiles, dtype: torch.dtype) -> Path:
    about = {"files": files.identity, "dtype": str(dtype), "transformers": transformers.__version__}
    return cache_folder() / "fingerprints" / f"{hash_json(about)}.json"
