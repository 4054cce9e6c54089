"""Silences the logs and progress bars of lm-evaluation-harness, which would mix with Sequela's own."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from typing import Any

import lm_eval.api.task


@contextlib.contextmanager
def quiet_harness() -> Iterator[None]:
    """Makes the harness log only errors and draw no progress bars for the length of a block.

    Its warnings would be about truncated prompts and non-finite answers. `EngineLM` counts these,
    and the notes of the results report them.
    """
    logger = logging.getLogger("lm_eval")
    level = logger.level
    bar = lm_eval.api.task.tqdm
    logger.setLevel(logging.ERROR)
    lm_eval.api.task.tqdm = _no_bar  # the harness has no setting for the bar of its prompt building
    try:
        yield
    finally:
        lm_eval.api.task.tqdm = bar
        logger.setLevel(level)


def _no_bar(items: Any, **_: Any) -> Any:
    return items
