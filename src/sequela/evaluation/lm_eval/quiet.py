"""Keeps lm-evaluation-harness from talking over our own progress."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from typing import Any

import lm_eval.api.task


@contextlib.contextmanager
def quiet_harness() -> Iterator[None]:
    """Inside the block the harness logs errors only and draws no bars; afterwards all is as before.

    What its warnings would tell (cut prompts, answers that are no numbers) is counted by
    `EngineLM` and told in the findings' notes.
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
