"""Names of models: an alias, else a folder or a GGUF file, else a Hugging Face hub id.

A hub id may name a revision after an `@`: `org/model@v1.0`, `org/model@refs/pr/3`, or a commit.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from os import PathLike
from pathlib import Path

from sequela.core.arguments import as_path_text, check_text
from sequela.core.errors import BadInputError, UnknownNameError, near_matches
from sequela.core.paths import user_path
from sequela.models.aliases import ALIASES

_HUB_ID = re.compile(r"[\w.-]+(/[\w.-]+)?")
_REVISION = re.compile(r"(?!.*\.\.)[\w][\w./+-]*")
_DEFAULT_REVISION = "main"


@dataclass(frozen=True)
class HubName:
    """The name of a model on the hub.

    Args:
        repository: The id of its repository.
        revision: A branch, a tag or a commit.
    """

    repository: str
    revision: str = _DEFAULT_REVISION

    @classmethod
    def read(cls, name: str) -> HubName:
        """Returns what a valid name says."""
        repository, _, revision = name.partition("@")
        return cls(repository, revision or _DEFAULT_REVISION)

    def __str__(self) -> str:
        chosen = "" if self.revision == _DEFAULT_REVISION else f"@{self.revision}"
        return f"{self.repository}{chosen}"


def is_path(name: str) -> bool:
    """Returns whether a name is that of a folder or a file."""
    looks_like_path = name.startswith((".", "/", "~")) or name.endswith(".gguf") or "\\" in name
    hub_id = name.partition("@")[0]  # a revision may have slashes
    return looks_like_path or hub_id.count("/") > 1 or user_path(name).exists()


def model_name(name: str | PathLike[str]) -> str:
    """Returns the name of a model; a path object names a file or folder, whether it exists or not.

    Raises:
        BadInputError: It is neither a text nor a path.
    """
    text = as_path_text(name)
    check_text("name", text, "the name or path of a model")
    if isinstance(name, str) or is_path(str(text)):
        return str(text)
    return f"./{text}"


def check_model_name(name: str) -> None:
    """Checks that a name can be that of a model, without access to the hub or the weights.

    Raises:
        UnknownNameError: The name is similar to an alias, or can't be a hub id.
        BadInputError: There is no such file or folder, it contains no model, the name is not a string, or
            what follows an `@` can't be a revision.
    """
    check_text("name", name, "the name of a model")
    if name in ALIASES:
        return
    if is_path(name):
        _check_path(user_path(name), name)
        return
    hub_id, sign, revision = name.partition("@")
    if sign and hub_id in ALIASES:
        raise BadInputError(
            f"The alias {hub_id!r} has no revisions; {name!r} names one.",
            hint="An alias is one file, pinned by its hash. Leave the @ and what follows out.",
        )
    if not _HUB_ID.fullmatch(hub_id) or ("/" not in hub_id and near_matches(hub_id, ALIASES)):
        raise UnknownNameError("model", name, ALIASES)
    if sign and not _REVISION.fullmatch(revision):
        raise BadInputError(
            f"{revision!r} in the model's name {name!r} can't be a revision.",
            hint=f"Write a branch, a tag or a commit after the @, such as {hub_id}@main.",
        )


def _check_path(path: Path, name: str) -> None:
    if not path.exists():
        raise BadInputError(f"The model {name!r} does not exist: there is no such file or folder.")
    if path.is_file():
        with path.open("rb") as stream:
            if stream.read(4) != b"GGUF":
                raise BadInputError(f"{name!r} is neither a folder nor a GGUF file.")
    elif not (path / "config.json").is_file():
        raise BadInputError(
            f"The folder {name!r} holds no model: config.json is missing.",
            hint="Name a folder written by save_pretrained, or a GGUF file.",
        )
