"""Opening of the store that `SEQUELA_STORE` names: a folder, or a URL that fsspec understands."""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path
from typing import Any

from sequela.core.damaged_files import first_line
from sequela.core.errors import BadInputError, SequelaError, near_matches
from sequela.core.paths import cache_folder, user_path
from sequela.store.errors import ANOTHER_LOCATION, StoreError, UnreachableStoreError
from sequela.store.local import LocalStorage
from sequela.store.remote import RemoteStorage
from sequela.store.remote_files import SECONDS_TO_ANSWER, RemoteFiles
from sequela.store.store import Store
from sequela.store.time_limit import answer_of

STORE_VARIABLE = "SEQUELA_STORE"
"""The environment variable that names the store."""

_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://(.*)", re.DOTALL)

_PASSWORD = re.compile(r"(://[^/@:]*):[^/@]*@")

_FOLDERS = ("file", "local")
"""The protocols of URLs that name a folder of this machine."""

_PACKAGES = {"smbclient": "smbprotocol", "libarchive": "libarchive-c"}
"""The packages, as pip names them, of modules that have another name."""


def default_location() -> str:
    """Returns what `SEQUELA_STORE` names, or the folder `store` in the cache."""
    return os.environ.get(STORE_VARIABLE) or str(cache_folder() / "store")


def open_store(location: str | Path | None = None, limit: float = SECONDS_TO_ANSWER) -> Store:
    """Opens a store. A folder is created when the first object is written.

    Args:
        location: A folder, or a URL such as `s3://bucket/store`; what `SEQUELA_STORE` names by default.
        limit: The time, in seconds, within which a remote store answers short requests.

    Raises:
        BadInputError: The location is a file, a URL with an unknown protocol, or no path.
        UnreachableStoreError: The remote store doesn't answer.
        NewerStoreError: A later version of Sequela wrote the store.
        StoreError: The store can't be read, or a package for its protocol is not installed.
    """
    text = default_location() if location is None else str(location)
    url = _URL.fullmatch(text)
    if url is not None and url[1].lower() not in _FOLDERS:
        return _open_remote(text, url[1], limit)
    if url is None:
        _check_not_almost_a_url(text)
    local = LocalStorage(user_path(url[2] if url else text).absolute())
    local.check()
    local.remove_drafts()
    return Store(local, (open_store, (str(local.folder),)))


def _open_remote(text: str, protocol: str, limit: float) -> Store:
    location = _PASSWORD.sub(r"\1:***@", text).rstrip("/")
    _check_url(text, protocol, location)
    system, root = _connected(text, location, limit)
    copies = LocalStorage(cache_folder() / "store-copies" / hashlib.sha256(text.encode()).hexdigest()[:16])
    copies.check()
    copies.remove_drafts()
    storage = RemoteStorage(RemoteFiles(system, root, location, limit), copies)
    storage.check()
    return Store(storage, (open_store, (text, limit)))


def _check_url(text: str, protocol: str, location: str) -> None:
    import fsspec  # only for remote stores, since it takes a moment

    known = {*fsspec.available_protocols(), *fsspec.registry}
    if protocol not in known:
        near = near_matches(protocol, known, limit=1)
        meant = f"Did you mean {near[0]}://? " if near else ""
        raise BadInputError(
            f"The store {location} has the unknown protocol {protocol!r}.",
            hint=f"{meant}Name a folder, or a URL such as s3://, gs:// or sftp://.",
        )
    if "::" in text or any(character in text for character in "*?[]\0"):
        raise BadInputError(
            f"The store {location!r} has characters that fsspec takes for a pattern or a chain of URLs.",
            hint="Choose a name without *, ?, [ ] and ::.",
        )


def _check_not_almost_a_url(text: str) -> None:
    found = re.match(r"([A-Za-z][A-Za-z0-9+]*):(?!//)", text)
    if found is None:
        return
    import fsspec

    if found[1].lower() in fsspec.available_protocols():
        rest = text[found.end() :].lstrip("/")
        raise BadInputError(
            f"The store {text!r} is neither a folder nor a URL.",
            hint=f"Write {found[1].lower()}://{rest} for the URL, or ./{text} for the folder.",
        )


def _connected(text: str, location: str, limit: float) -> tuple[Any, str]:
    """Returns the file system of a URL and the path in it; some systems connect at once, which takes time."""
    from fsspec.core import url_to_fs

    try:
        connected: tuple[Any, str] = answer_of(
            lambda: url_to_fs(text, skip_instance_cache=True), limit, location, "connect"
        )
        return connected
    except SequelaError:
        raise
    except ImportError as error:
        package = _missing_package(error)
        raise StoreError(
            f"The store {location} needs the package {package}, which is not installed.",
            hint=f"Install it: pip install {package}",
        ) from error
    except Exception as error:
        raise UnreachableStoreError(
            f"The store {location} can't be reached (tried to connect): {type(error).__name__}: "
            f"{first_line(error)}.",
            hint=f"Check the address, the credentials and the network. {ANOTHER_LOCATION}",
        ) from error


def _missing_package(error: ImportError) -> str:
    cause = error.__cause__ if isinstance(error.__cause__, ImportError) else error
    module = (cause.name or error.name or str(error)).partition(".")[0]
    return _PACKAGES.get(module, module)
