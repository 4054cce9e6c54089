"""The files of a model on this machine, found by its name without reading its weights."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sequela.core.hashing import hash_json
from sequela.core.paths import user_path
from sequela.models.aliases import ALIASES
from sequela.models.gguf_copy import MARKER
from sequela.models.hub_cache import cached_folder, weight_files
from sequela.models.names import HubName, check_model_name, is_path
from sequela.models.pypi_models import copy_folder


@dataclass(frozen=True)
class ModelFiles:
    """The place of a model.

    Args:
        folder: The folder that has its configuration.
        gguf: The name of the GGUF file in it; empty for a folder in the format of transformers.
        weights: The files with weights; empty if only the configuration is there.
    """

    folder: Path
    gguf: str
    weights: tuple[Path, ...]

    @property
    def identity(self) -> str:
        """A hash that changes whenever a file of the model does: of names, sizes and times of change."""
        files = [self.folder / self.gguf] if self.gguf else sorted(self.folder.iterdir())
        stats = [(file, file.stat()) for file in files if file.is_file()]
        return hash_json([[str(file.resolve()), one.st_size, one.st_mtime_ns] for file, one in stats])


def find_model_files(name: str) -> ModelFiles | None:
    """Returns the files of a model; None if not even its configuration is on this machine.

    Args:
        name: An alias, a folder, a GGUF file or a hub id, as `load_model` takes it.

    Raises:
        SequelaError: It can't be the name of a model, or there is no such folder.
    """
    check_model_name(name)
    if name in ALIASES:
        folder: Path | None = copy_folder(ALIASES[name])
        if folder is None or not (folder / MARKER).is_file():
            return None
    elif is_path(name):
        folder = user_path(name)
        if folder.is_file():
            return ModelFiles(folder.parent, folder.name, (folder,))
    else:
        folder = cached_folder(HubName.read(name))
    if folder is None or not (folder / "config.json").is_file():
        return None
    names = weight_files([file.name for file in folder.iterdir()], folder)
    weights = [folder / one for one in names]
    return ModelFiles(folder, "", tuple(weights) if all(one.is_file() for one in weights) else ())
