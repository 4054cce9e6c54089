"""GGUF files: quantized weights brought back to float32, and the copy kept for fast loading."""

from __future__ import annotations

import contextlib
import functools
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import torch
import transformers
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    modeling_gguf_pytorch_utils,
)

from sequela.core.errors import IntegrityError
from sequela.core.hashing import sha256_of_file
from sequela.core.paths import ensure_writable
from sequela.core.progress import SILENT, Progress
from sequela.models.gguf_copy import MARKER, CopyMarker

_ROOM = 8
"""How many bytes of free space the float32 copy may need per byte of the GGUF file."""


def read_gguf(
    path: Path, dtype: torch.dtype = torch.float32
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """Reads model and tokenizer from a GGUF file, the weights dequantized.

    The model comes out as if it had never been quantized: transformers' marks would make it
    refuse `save_pretrained`.
    """
    folder, file = str(path.parent), path.name
    with _without_bar():
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


def write_copy(gguf: Path, gguf_sha256: str, folder: Path, progress: Progress = SILENT) -> None:
    """Writes the dequantized copy of a GGUF file as a folder that loads in about a second.

    The copy is built beside `folder` and takes its place only when it is whole.

    Raises:
        SequelaError: The place can't be written or is too small.
        IntegrityError: The GGUF file can't be read.
    """
    ensure_writable(folder.parent, needed_bytes=_ROOM * gguf.stat().st_size)
    task = progress.start(f"dequantizing {gguf.name} (once)", 2)
    try:
        try:
            module, tokenizer = read_gguf(gguf)
        except (ValueError, KeyError, OSError) as error:
            raise IntegrityError(f"{gguf} can't be read as a GGUF model: {error}") from error
        progress.advance(task)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}.") as temporary:
            building = Path(temporary) / "copy"
            module.save_pretrained(building)
            tokenizer.save_pretrained(building)
            marker = CopyMarker(
                gguf_sha256=gguf_sha256,
                transformers_version=transformers.__version__,
                files={file.name: sha256_of_file(file) for file in sorted(building.iterdir())},
            )
            (building / MARKER).write_text(marker.model_dump_json(indent=2) + "\n", encoding="utf-8")
            if folder.exists():
                shutil.rmtree(folder)
            building.rename(folder)
        progress.advance(task)
    finally:
        progress.finish(task)


@contextlib.contextmanager
def _without_bar() -> Iterator[None]:
    """Within the block transformers' reader draws no bar; unlike its others, no setting governs it."""
    bar = modeling_gguf_pytorch_utils.tqdm
    modeling_gguf_pytorch_utils.tqdm = functools.partial(bar, disable=True)
    try:
        yield
    finally:
        modeling_gguf_pytorch_utils.tqdm = bar
