"""Reading of GGUF files, with dequantized weights, and the copy that loads fast."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import gguf
import numpy as np
import torch
import transformers
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    modeling_gguf_pytorch_utils,
)

from sequela.core.descriptions import write_description
from sequela.core.errors import IntegrityError
from sequela.core.files import system_errors
from sequela.core.hashing import sha256_of_file
from sequela.core.paths import committing_folder, ensure_writable
from sequela.core.progress import SILENT, Progress, counted, tracked
from sequela.models.gguf_copy import MARKER, CopyMarker

T = TypeVar("T")

_ROOM = 8
"""The free space required for the float32 copy, in bytes per byte of the GGUF file."""


def read_gguf(
    path: Path, dtype: torch.dtype = torch.float32, progress: Progress = SILENT
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """Reads model and tokenizer from a GGUF file, the weights dequantized.

    Removes transformers' marks of quantization, with which `save_pretrained` would fail.
    """
    folder, file = str(path.parent), path.name
    with _bar_shown(progress), _header_parsed_once():
        tokenizer = AutoTokenizer.from_pretrained(folder, gguf_file=file, local_files_only=True)
        module = AutoModelForCausalLM.from_pretrained(
            folder, gguf_file=file, dtype=dtype, local_files_only=True
        )
    module.is_quantized = False
    for holder, mark in (
        (module, "hf_quantizer"),
        (module, "quantization_method"),
        (module.config, "quantization_config"),
    ):
        if hasattr(holder, mark):
            delattr(holder, mark)
    return module, tokenizer


def write_copy(path: Path, gguf_sha256: str, folder: Path, progress: Progress = SILENT) -> None:
    """Writes the dequantized copy of a GGUF file as a folder that loads in about a second.

    The copy is built next to `folder` and replaces it only when it is complete.

    Raises:
        SequelaError: The folder can't be written, or the disk has too little free space.
        IntegrityError: The GGUF file can't be read.
    """
    ensure_writable(folder.parent, needed_bytes=_ROOM * path.stat().st_size)
    with counted(progress, f"dequantizing {path.name} (once)", 2) as advance:
        try:
            module, tokenizer = read_gguf(path, progress=progress)
        except Exception as error:  # transformers raises errors of every class for a broken file
            raise IntegrityError(f"{path} can't be read as a GGUF model: {error}") from error
        advance(1)
        with committing_folder(folder) as building, system_errors():
            module.save_pretrained(building)
            tokenizer.save_pretrained(building)
            marker = CopyMarker(
                gguf_sha256=gguf_sha256,
                transformers_version=transformers.__version__,
                files={file.name: sha256_of_file(file) for file in sorted(building.iterdir())},
            )
            write_description(building / MARKER, marker)
        advance(1)


@contextlib.contextmanager
def _bar_shown(progress: Progress) -> Iterator[None]:
    """Makes transformers' reader report to `progress` instead of drawing a bar, within the `with` block."""
    bar = modeling_gguf_pytorch_utils.tqdm

    def reported(tensors: Sequence[T], **_: Any) -> Iterator[T]:
        return tracked(tensors, progress, "tensors", len(tensors))

    modeling_gguf_pytorch_utils.tqdm = reported
    try:
        yield
    finally:
        modeling_gguf_pytorch_utils.tqdm = bar


@contextlib.contextmanager
def _header_parsed_once() -> Iterator[None]:
    """Opens a GGUF file only once and builds one table of names, within the `with` block.

    transformers opens the file for the configuration, the tokenizer and the weights and parses the header
    with the whole vocabulary each time. It also builds the table of names for every module of the model.
    Together this is most of the loading time of a small model.
    """
    reader, name_map = gguf.GGUFReader, gguf.get_tensor_name_map
    gguf.GGUFReader = functools.cache(_ArrayReader)  # type: ignore[misc, assignment]
    gguf.get_tensor_name_map = functools.cache(name_map)
    try:
        yield
    finally:
        gguf.GGUFReader = reader  # type: ignore[misc]
        gguf.get_tensor_name_map = name_map


class _ArrayReader(gguf.GGUFReader):
    """A reader that slices its fields from an ordinary array over the same memory.

    A header has some hundred thousand fields, and a slice of a `numpy.memmap` takes several times as long.
    """

    @property  # type: ignore[override]
    def data(self) -> np.ndarray:
        """The bytes of the file."""
        return self._data

    @data.setter
    def data(self, mapped: np.ndarray) -> None:
        self._data = np.asarray(mapped)
