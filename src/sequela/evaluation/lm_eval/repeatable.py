"""Makes the harness's tasks ask the same questions, with the same few-shot examples, at every evaluation."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Iterator
from typing import Any

import numpy as np
from lm_eval.api.task import Task

FEWSHOT_SEED = 1234
"""The harness's default seed for drawing few-shot examples."""

_RANDOM_SEED, _NUMPY_SEED = 0, 1234
"""The harness's own seeds for definitions with randomness, such as those that shuffle choices."""


@contextlib.contextmanager
def harness_seeds() -> Iterator[None]:
    """Seeds `random` and NumPy as the harness does for the length of a block, then restores their state."""
    state, numpy_state = random.getstate(), np.random.get_state()
    random.seed(_RANDOM_SEED)
    np.random.seed(_NUMPY_SEED)
    try:
        yield
    finally:
        random.setstate(state)
        np.random.set_state(numpy_state)


def start_sampler(task: Task) -> None:
    """Seeds the sampler of few-shot examples; otherwise an evaluation continues the last one's draws."""
    task.set_fewshot_seed(FEWSHOT_SEED)


def processed_once(task: Task) -> Any:
    """Returns the rows a task is evaluated on, and caches them, because it computes them at each access."""
    rows = task.eval_docs
    setattr(task, "test_docs" if task.has_test_docs() else "validation_docs", lambda: rows)
    return rows


def leave_out_asked_item(task: Task) -> bool:
    """Makes a task leave the item that is asked out of its few-shot examples.

    The harness does so only if the split of the examples is named and is the test split. Otherwise, if the
    examples come from the split that is evaluated, an item may follow its own answer.

    Returns:
        Whether the task had to be changed.
    """
    config = getattr(task, "fewshot_cfg", None)
    if config is None or (config.split is None and config.samples is not None):
        return False
    evaluated = task.config.test_split or task.config.validation_split
    source = config.split or task.config.training_split or task.config.validation_split or evaluated
    if source != evaluated or config.split == task.config.test_split:
        return False
    config.split = task.config.test_split  # only compared from here on: the sampler has its examples already
    return True
