"""The Hugging Face cache: where a model's files are, and whether they are what the hub published.

A file in the cache is a link to a blob whose name is the hub's hash of its content: SHA-256 for large files,
git's SHA-1 for others. The hub's library compares sizes only, so a flipped bit, or a wrong answer of a mirror
or proxy, would be loaded. Each file is therefore hashed once, before its first use; what was found correct is
recorded in Sequela's cache folder and hashed again only if the file has changed.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path

from sequela.core.errors import SequelaError
from sequela.core.paths import cache_folder, replacing
from sequela.models.names import HubName

WEIGHTS_INDEX = "model.safetensors.index.json"
"""The file that lists the shards of a model's weights."""

_INDICES = (WEIGHTS_INDEX, "pytorch_model.bin.index.json")
_WHOLE = ("model.safetensors", "pytorch_model.bin")
_TEXT_SUFFIXES = (".json", ".txt", ".model", ".tiktoken", ".jinja")
_CODE_SUFFIX = ".py"


def text_files(names: Iterable[str], *, trust: bool) -> list[str]:
    """Returns the files of configuration, tokenizer and chat templates among a repository's files, sorted.

    Args:
        names: The names of all files.
        trust: True if code from the repository may run.
    """
    suffixes = (*_TEXT_SUFFIXES, _CODE_SUFFIX) if trust else _TEXT_SUFFIXES

    def wanted(name: str) -> bool:
        folder, _, file = name.rpartition("/")
        return file.endswith(suffixes) and folder in ("", "additional_chat_templates")

    return sorted(filter(wanted, names))


def weight_files(names: Iterable[str], folder: Path) -> list[str]:
    """Returns the files with a model's weights, in the order in which transformers prefers them.

    Args:
        names: The names of all files.
        folder: The folder that has the repository's text files, among them the index of the shards.
    """
    known = set(names)
    for index, whole in zip(_INDICES, _WHOLE, strict=True):
        if whole in known:
            return [whole]
        if index in known:
            try:
                content = json.loads((folder / index).read_text(encoding="utf-8"))
                return sorted(set(content["weight_map"].values()))
            except (OSError, ValueError, LookupError, TypeError, AttributeError):
                return []  # a damaged index, which loading reports
    return []


def cached_folder(source: HubName) -> Path | None:
    """Returns the folder of a model in the cache, complete or not; None if its configuration isn't there."""
    from huggingface_hub import try_to_load_from_cache

    found = try_to_load_from_cache(source.repository, "config.json", revision=source.revision)
    return Path(found).parent if isinstance(found, str) else None


def damaged_files(folder: Path, names: Iterable[str]) -> list[str]:
    """Returns the files whose content is not what the hub published.

    Args:
        folder: A snapshot in the cache.
        names: The names of files; those that are missing, and those of which no hash is known (in a cache
            without links), are passed over.
    """
    checked = _Checked.of(folder)
    damaged = [name for name in names if checked.is_damaged(folder / name, published_hash(folder / name))]
    checked.save()
    return damaged


def published_hash(file: Path) -> str | None:
    """Returns the hash that a file in the cache is linked by; None if it is no link or that is no hash."""
    if not file.is_symlink():
        return None
    name = file.readlink().name
    return name if is_hash(name) else None


def is_hash(text: str) -> bool:
    """Returns whether a text is a SHA-256 or SHA-1 in hexadecimal."""
    return len(text) in (40, 64) and not set(text) - set("0123456789abcdef")


def has_hash(file: Path, expected: str) -> bool:
    """Returns whether a file has a SHA-256 (64 digits), or as a blob of git a SHA-1 (40 digits)."""
    digest = hashlib.sha256()
    if len(expected) == 40:
        digest = hashlib.sha1(b"blob %d\0" % file.stat().st_size, usedforsecurity=False)
    with file.open("rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest() == expected


class _Checked:
    """The files of a repository that were hashed and found correct, with their size and time of change."""

    def __init__(self, path: Path, known: dict[str, list[int]]) -> None:
        self._path, self._known, self._changed = path, known, False

    @classmethod
    def of(cls, folder: Path) -> _Checked:
        """Returns the record for a snapshot; empty if there is none."""
        path = cache_folder() / "hub-checks" / f"{folder.parent.parent.name}.json"
        try:
            known = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            known = {}  # all files are hashed
        return cls(path, known if isinstance(known, dict) else {})

    def is_damaged(self, file: Path, expected: str | None) -> bool:
        """Returns whether a file has another hash than the expected one."""
        if expected is None or not file.is_file():
            return False
        status = file.stat()
        state = [status.st_size, status.st_mtime_ns]
        key = f"{expected} {file.resolve()}"
        if self._known.get(key) == state:
            return False
        if not has_hash(file, expected):
            return True
        self._known[key], self._changed = state, True
        return False

    def save(self) -> None:
        """Writes the record; without it the files are hashed again the next time."""
        if not self._changed:
            return
        try:
            with replacing(self._path) as temporary:
                temporary.write_text(json.dumps(self._known), encoding="utf-8")
        except (OSError, SequelaError):  # such as a folder that is read-only
            return
