"""Access to the Hugging Face hub, without log noise and without long waits if there is no network.

Without a network the hub's libraries retry five times, for half a minute, with a warning each time, even if
the file is in their cache. Therefore one request checks beforehand whether the hub is reachable.
"""

from __future__ import annotations

import contextlib
import logging
import urllib.error
import urllib.request
from collections.abc import Iterator

SECONDS_TO_ANSWER = 5.0
"""The timeout of the request that checks whether the hub is reachable."""

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
    reachable = not any(offline) and _answers(constants.ENDPOINT)
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


def unreachable_because(error: Exception, reachable: bool) -> str:
    """Returns the reason why a download from the hub failed, in one line."""
    if not reachable:
        return "the Hugging Face hub doesn't answer, and its cache on this machine doesn't have it"
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__


def _answers(endpoint: str) -> bool:
    request = urllib.request.Request(endpoint, method="HEAD")
    try:
        with urllib.request.urlopen(request, timeout=SECONDS_TO_ANSWER):
            return True
    except urllib.error.HTTPError:
        return True  # an error status is an answer too
    except OSError:
        return False
