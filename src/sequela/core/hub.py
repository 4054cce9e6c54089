"""Access to the Hugging Face hub, without log noise and without long waits if there is no network.

Without a network the hub's libraries retry five times, for half a minute, with a warning each time, even if
the file is in their cache. Therefore one request checks beforehand whether the hub is reachable.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
import threading
import urllib.error
import urllib.request
from collections.abc import Iterable, Iterator
from pathlib import Path

SECONDS_TO_ANSWER = 5.0
"""The timeout of the request that checks whether the hub is reachable."""

SECONDS_FOR_A_CHECK = 1.0
"""The time in which `out_of_reach` waits for the hub."""

OUT_OF_REACH = "the Hugging Face hub doesn't answer, and its cache on this machine doesn't have it"
"""The reason why data are not available without a network."""

_LOGGERS = ("huggingface_hub", "datasets", "fsspec")


@contextlib.contextmanager
def hub_access() -> Iterator[bool]:
    """Makes the hub's libraries log only errors and draw no bars within the `with` block.

    If the hub is unreachable, they are switched to their offline mode and use only their caches.

    Yields:
        True if the hub is reachable.
    """
    import datasets
    from huggingface_hub import constants

    hidden = datasets.are_progress_bars_disabled()
    levels = {name: logging.getLogger(name).level for name in _LOGGERS}
    offline = constants.HF_HUB_OFFLINE, datasets.config.HF_HUB_OFFLINE
    reachable = not any(offline) and _answers_within(SECONDS_TO_ANSWER, constants.ENDPOINT) is True
    for name in _LOGGERS:
        logging.getLogger(name).setLevel(logging.ERROR)
    datasets.disable_progress_bars()
    if not reachable:
        # The libraries read HF_HUB_OFFLINE once, at import; afterwards only these attributes have an effect.
        constants.HF_HUB_OFFLINE = datasets.config.HF_HUB_OFFLINE = True
    try:
        yield reachable
    finally:
        constants.HF_HUB_OFFLINE, datasets.config.HF_HUB_OFFLINE = offline
        if not hidden:
            datasets.enable_progress_bars()
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)


def out_of_reach(repositories: Iterable[str]) -> str | None:
    """Returns the first data set that is certainly not available: not in a cache, and the hub is unreachable.

    This takes at most a second, and imports neither the hub's libraries nor PyTorch. If the hub takes longer
    to answer, the data set may be available.

    Args:
        repositories: The ids of the data sets' repositories.
    """
    from huggingface_hub import constants

    missing = [one for one in repositories if not _in_cache(one, Path(constants.HF_HUB_CACHE))]
    if missing and (constants.HF_HUB_OFFLINE or _refuses(constants.ENDPOINT)):
        return missing[0]
    return None


def _in_cache(repository: str, hub_cache: Path) -> bool:
    """Returns whether the cache of the hub, or that of `datasets`, may have a data set."""
    tables = Path(os.environ.get("HF_DATASETS_CACHE", hub_cache.parent / "datasets")).expanduser()
    folders = [*hub_cache.glob("datasets--*"), *tables.glob("*")]
    letters = re.compile(r"[^a-z0-9]")
    wanted = letters.sub("", repository.lower())
    return any(wanted == letters.sub("", one.name.lower().removeprefix("datasets--")) for one in folders)


def _refuses(endpoint: str) -> bool:
    """Returns whether the hub's address can't be found or reached; False if there is no answer in time."""
    return _answers_within(SECONDS_FOR_A_CHECK, endpoint) is False


def _answers_within(seconds: float, endpoint: str) -> bool | None:
    """Returns whether the hub answers; None if that isn't known in time."""
    answers: list[bool] = []
    # In a thread, since no timeout limits the search for the address.
    asking = threading.Thread(target=lambda: answers.append(_answers(endpoint)), daemon=True)
    asking.start()
    asking.join(seconds)
    return answers[0] if answers else None


def unreachable_because(error: Exception, reachable: bool) -> str:
    """Returns the reason why a download from the hub failed, in one line."""
    if not reachable:
        return OUT_OF_REACH
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__


def why_unreachable() -> str:
    """Returns why the hub is out of reach, with what was tried, as the end of a sentence."""
    from huggingface_hub import constants

    if constants.HF_HUB_OFFLINE:
        return "HF_HUB_OFFLINE forbids access to the hub"
    return f"the Hugging Face hub at {constants.ENDPOINT} doesn't answer within {SECONDS_TO_ANSWER:.0f} s"


def _answers(endpoint: str) -> bool:
    request = urllib.request.Request(endpoint, method="HEAD")
    try:
        with urllib.request.urlopen(request, timeout=SECONDS_TO_ANSWER):
            return True
    except urllib.error.HTTPError:
        return True  # an error status is an answer too
    except OSError:
        return False
