"""Asking the Hugging Face hub, quietly and without long waits where there is no network.

The hub's libraries answer a missing network with five retries, half a minute and a line of warning
for each, even where the file is in their cache. Whether the hub answers is therefore asked once.
"""

from __future__ import annotations

import contextlib
import logging
import urllib.error
import urllib.request
from collections.abc import Iterator

SECONDS_TO_ANSWER = 5.0
"""How long the hub is given to answer at all."""

_LOGGERS = ("huggingface_hub", "datasets", "fsspec")


@contextlib.contextmanager
def hub_access() -> Iterator[bool]:
    """Within the block the hub's libraries log errors only, and data sets are loaded without bars.

    Where the hub doesn't answer they are in their offline mode: they look into their caches.

    Yields:
        Whether the hub answers.
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
        # The libraries read HF_HUB_OFFLINE once, at import; afterwards only this switches them.
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
    """Why something can't be had of the hub, in one line."""
    if not reachable:
        return "the Hugging Face hub doesn't answer, and its cache on this machine doesn't have it"
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__


def _answers(endpoint: str) -> bool:
    request = urllib.request.Request(endpoint, method="HEAD")
    try:
        with urllib.request.urlopen(request, timeout=SECONDS_TO_ANSWER):
            return True
    except urllib.error.HTTPError:
        return True  # an answer, if not a friendly one
    except OSError:
        return False
