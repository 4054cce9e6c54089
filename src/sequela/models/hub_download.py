"""Downloads of a model's files from the Hugging Face hub.

The configuration and the tokenizer come first, so that a model which can't be edited is an error before its
weights are downloaded. A file that is complete is never downloaded again; a download that is cut continues
where it was cut; a hub that is busy (429, 5xx) is asked again. All files are of one commit, and each is
compared with the hash that the hub published (`hub_cache.py`).
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from sequela.core.damaged_files import first_line
from sequela.core.errors import BadInputError, IntegrityError, SequelaError
from sequela.core.paths import replacing
from sequela.core.progress import Progress
from sequela.core.wording import size_in_words
from sequela.models.hub_cache import damaged_files, has_hash, is_hash, text_files, weight_files
from sequela.models.names import HubName

if TYPE_CHECKING:
    from huggingface_hub.errors import HfHubHTTPError

_T = TypeVar("_T")

SECONDS_TO_LIST = 8.0
"""The time that the hub has to begin an answer about a repository or the head of a file."""

WAITS = (1.0, 2.0, 4.0, 8.0)
"""The seconds to wait before each further try while the hub is busy."""

LONGEST_WAIT = 60.0
"""The longest wait in seconds that the hub may ask for; more is an error."""

_CHANGED_ON_THE_WAY = "Try again, or from another network; a proxy or mirror (HF_ENDPOINT) may change files."
_BUSY = (408, 429, 500, 502, 503, 504)


@dataclass(frozen=True)
class HubListing:
    """The files of one commit of a repository.

    Args:
        source: The name that was asked for.
        commit: The commit.
        hashes: The published hash of each file by name; None where the hub gives none.
        sizes: The size of each file in bytes; 0 where the hub gives none.
    """

    source: HubName
    commit: str
    hashes: Mapping[str, str | None]
    sizes: Mapping[str, int]


def download_model(
    source: HubName, check: Callable[[Path], None], *, trust: bool, progress: Progress
) -> Path:
    """Downloads what is missing of a model, from a hub that is reachable; returns its folder in the cache.

    Args:
        source: The model.
        check: Is given the folder once it has the configuration; raises an error if the model can't be used.
        trust: True if code from the repository may run.
        progress: Receives progress reports.

    Raises:
        SequelaError: The hub refuses the model or doesn't answer.
        BadInputError: The repository has no such revision, or contains no model.
        IntegrityError: A file arrives damaged.
    """
    with _errors_of(source), _warnings_reported(progress):
        listing = _patient(lambda: _list(source), source, progress)
        if "config.json" not in listing.hashes:
            raise BadInputError(
                f"The repository {source} holds no model: config.json is missing.",
                hint="A repository of GGUF files: download one of them and give its path.",
            )
        folder = _download(listing, "config.json", progress).parent
        for name in text_files(listing.hashes, trust=trust):
            _download(listing, name, progress)
        check(folder)
        weights = weight_files(listing.hashes, folder)
        missing = [name for name in weights if name not in listing.hashes]
        if not weights or missing:
            what = f"{missing[0]} is missing" if missing else "there are no weights (*.safetensors)"
            raise BadInputError(f"The repository {source} holds no complete model: {what}.")
        size = sum(listing.sizes[name] for name in weights)
        files = f"{len(weights)} file{'s' if len(weights) > 1 else ''} of weights"
        progress.say(f"{source}, commit {listing.commit[:12]}: {files}, {size_in_words(size)}")
        for name in weights:
            _download(listing, name, progress)
        _record_revision(listing, folder)
    return folder


def _list(source: HubName) -> HubListing:
    from huggingface_hub import HfApi

    found = HfApi().model_info(
        source.repository, revision=source.revision, files_metadata=True, timeout=SECONDS_TO_LIST
    )
    hashes: dict[str, str | None] = {}
    for file in found.siblings or ():
        hashes[file.rfilename] = file.lfs.sha256 if file.lfs else file.blob_id
    sizes = {file.rfilename: file.size or 0 for file in found.siblings or ()}
    if not found.sha:
        raise BadInputError(
            f"The hub names no commit of {source}.", hint="Is HF_ENDPOINT a Hugging Face hub?"
        )
    return HubListing(source, found.sha, hashes, sizes)


def _download(listing: HubListing, name: str, progress: Progress) -> Path:
    """Downloads a file unless it is in the cache undamaged; returns its path there."""
    path = _patient(lambda: _file(listing, name, force=False), listing.source, progress)
    if not _is_damaged(path, name, listing):
        return path
    progress.say(f"{listing.source}: {name} is damaged; downloading it again.")
    path = _patient(lambda: _file(listing, name, force=True), listing.source, progress)
    if _is_damaged(path, name, listing):
        (path.resolve() if path.is_symlink() else path).unlink(missing_ok=True)
        path.unlink(missing_ok=True)
        raise IntegrityError(
            f"The file {name} of {listing.source} arrives damaged: its content doesn't have the hash that "
            f"the hub published, {listing.hashes[name] or 'its ETag'}. It was removed.",
            hint=_CHANGED_ON_THE_WAY,
        )
    return path


def _file(listing: HubListing, name: str, *, force: bool) -> Path:
    from huggingface_hub import get_hf_file_metadata, hf_hub_download, hf_hub_url, try_to_load_from_cache

    repository, commit = listing.source.repository, listing.commit
    if force or not isinstance(try_to_load_from_cache(repository, name, revision=commit), str):
        # The download asks for the head too, but waits for minutes if there is no answer.
        get_hf_file_metadata(hf_hub_url(repository, name, revision=commit), timeout=SECONDS_TO_LIST)
    found = hf_hub_download(
        repository, name, revision=commit, force_download=force, etag_timeout=SECONDS_TO_LIST
    )
    return Path(found)


def _is_damaged(path: Path, name: str, listing: HubListing) -> bool:
    folder = path
    for _ in range(name.count("/") + 1):
        folder = folder.parent
    published = listing.hashes[name]
    if damaged_files(folder, [name]):
        return True
    linked = path.is_symlink() and published is not None and path.readlink().name == published
    # A file that is linked by its published hash has just been compared with it.
    return not linked and published is not None and is_hash(published) and not has_hash(path, published)


def _record_revision(listing: HubListing, folder: Path) -> None:
    """Notes which commit a branch or tag is, as the hub's library does, so that it is found without network.

    This is done once the model is complete, so that a download that was cut is continued.
    """
    if listing.source.revision != listing.commit:
        reference = folder.parent.parent / "refs" / listing.source.revision
        with replacing(reference) as temporary:
            temporary.write_text(listing.commit, encoding="utf-8")


def _patient(ask: Callable[[], _T], source: HubName, progress: Progress) -> _T:
    """Returns the answer to a question; asks again after a while if the hub is busy."""
    from huggingface_hub.errors import HfHubHTTPError

    for wait in WAITS:
        try:
            return ask()
        except (HfHubHTTPError, OSError) as error:
            busy = _busy(error)
            if busy is None:
                raise
            wanted = _wanted_wait(busy)
            if wanted > LONGEST_WAIT:
                raise
            seconds = max(wait, wanted)
            progress.say(
                f"{source}: the hub answers {busy.response.status_code}; trying again in {seconds:.0f} s."
            )
        time.sleep(seconds)
    return ask()


def _busy(error: BaseException) -> HfHubHTTPError | None:
    """Returns the answer of a busy hub that an error is or comes from."""
    from huggingface_hub.errors import HfHubHTTPError

    found: BaseException | None = error
    while found is not None:
        if isinstance(found, HfHubHTTPError) and found.response.status_code in _BUSY:
            return found
        found = found.__cause__
    return None


def _wanted_wait(error: HfHubHTTPError) -> float:
    """Returns the seconds that the hub asks to wait; 0 if it doesn't say."""
    text = error.response.headers.get("Retry-After", "")
    return float(text) if text.isdecimal() else 0.0


@contextmanager
def _errors_of(source: HubName) -> Iterator[None]:
    """Converts the errors of the hub's library within the `with` block."""
    from huggingface_hub.errors import HfHubHTTPError

    try:
        yield
    except SequelaError:
        raise
    except (HfHubHTTPError, OSError, ValueError) as error:
        raise _in_words(error, source) from error
    except Exception as error:
        # The errors of its HTTP client, whose name differs by version, are of no common class.
        if not type(error).__module__.partition(".")[0].startswith("httpx"):
            raise
        raise _unanswered(error, source) from error


def _in_words(error: Exception, source: HubName) -> SequelaError:
    from huggingface_hub import constants
    from huggingface_hub.errors import (
        GatedRepoError,
        HfHubHTTPError,
        RemoteEntryNotFoundError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    hub = constants.ENDPOINT
    log_in = "run `hf auth login` (or set HF_TOKEN)"
    if isinstance(error, GatedRepoError):
        return SequelaError(
            f"The model {source} is gated: its owner gives access only to users who asked for it.",
            hint=f"Ask for access at {hub}/{source.repository}, then {log_in}.",
        )
    if isinstance(error, RevisionNotFoundError):
        return BadInputError(
            f"The model {source.repository} has no revision {source.revision!r}.",
            hint=f"Its branches and tags are listed at {hub}/{source.repository}/tree/main.",
        )
    if isinstance(error, RepositoryNotFoundError):
        return SequelaError(
            f"There is no model {str(source)!r} on the hub at {hub}, or it is private.",
            hint=f"Check the name. If the model is private, {log_in}.",
        )
    if isinstance(error, RemoteEntryNotFoundError):
        return SequelaError(
            f"The hub at {hub} lists a file of {source} that it doesn't have: {first_line(error)}."
        )
    answer = _busy(error) or (error if isinstance(error, HfHubHTTPError) else None)
    if answer is not None:
        status = answer.response.status_code
        if status in (401, 403):
            return SequelaError(
                f"The hub at {hub} gives no access to {source} (it answers {status}).",
                hint=f"To log in, {log_in}; a token needs the right to read this repository.",
            )
        return SequelaError(
            f"The model {source} can't be downloaded: the hub at {hub} answers {status}"
            + (f" after {len(WAITS) + 1} tries." if status in _BUSY else "."),
            hint="Try again later; files that are complete are kept.",
        )
    cause = error.__cause__
    if cause is not None and type(cause).__module__.partition(".")[0].startswith("httpx"):
        return _unanswered(cause, source)
    if "Consistency check failed" in str(error):
        return IntegrityError(
            f"A file of {source} arrives in another size than the hub at {hub} states: {first_line(error)}.",
            hint=_CHANGED_ON_THE_WAY,
        )
    return SequelaError(f"The model {source} can't be downloaded: {first_line(error)}.")


def _unanswered(error: BaseException, source: HubName) -> SequelaError:
    from huggingface_hub import constants

    return SequelaError(
        f"The model {source} can't be downloaded: the hub at {constants.ENDPOINT} doesn't answer "
        f"({type(error).__name__}: {first_line(error)}).",
        hint="Try again; files that are complete are kept.",
    )


class _Reported(logging.Handler):
    """Reports the warnings of the hub's library about downloads that it continues."""

    def __init__(self, progress: Progress) -> None:
        super().__init__(logging.WARNING)
        self._progress = progress

    def emit(self, record: logging.LogRecord) -> None:
        """Reports a warning in one line."""
        arguments: Any = record.args
        if record.name == "huggingface_hub.file_download" and "resume" in str(record.msg) and arguments:
            self._progress.say(f"The connection to the hub broke ({first_line(arguments[-1])}); continuing.")


@contextmanager
def _warnings_reported(progress: Progress) -> Iterator[None]:
    logger = logging.getLogger("huggingface_hub")
    handlers, level = logger.handlers, logger.level
    logger.handlers = [_Reported(progress)]
    logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        logger.handlers = handlers
        logger.setLevel(level)
