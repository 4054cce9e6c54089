"""lm-evaluation-harness's own backend, at its best batch size."""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from lm_eval.models.huggingface import HFLM

from sequela.core.errors import SequelaError
from sequela.core.progress import Progress
from sequela.models import LanguageModel
from support.machine import available_memory
from support.timing import timed


@dataclass(frozen=True)
class Trial:
    """One batch size that was tried.

    Args:
        batch_size: How many sequences go through the model at once.
        seconds: How long it took; None if it was not run.
        note: Why it was not run.
    """

    batch_size: int
    seconds: float | None
    note: str = ""


@dataclass(frozen=True)
class Search:
    """The search for the best batch size.

    Args:
        items: How many items it was done on.
        trials: What was tried, in order.
    """

    items: int
    trials: tuple[Trial, ...]

    @property
    def best(self) -> int:
        """The fastest batch size.

        Raises:
            SequelaError: None could be run.
        """
        done = [trial for trial in self.trials if trial.seconds is not None]
        if not done:
            raise SequelaError("No batch size fits in memory.", hint="Give smaller ones: --batch-sizes 1")
        return min(done, key=lambda trial: trial.seconds or 0.0).batch_size

    def as_json(self) -> dict[str, Any]:
        """For the file of results."""
        return {"items": self.items, "trials": [asdict(trial) for trial in self.trials]}


def hflm(model: LanguageModel, batch_size: int) -> HFLM:
    """The harness's backend around the very same module, its defaults left as they are."""
    # The harness sets the padding of the tokenizer it is given; ours shall stay as it was.
    return HFLM(
        pretrained=model.module, tokenizer=copy.deepcopy(model.tokenizer), batch_size=batch_size, device="cpu"
    )


def search_batch_size(
    work: Callable[[int], Any],
    batch_sizes: Sequence[int],
    items: int,
    bytes_per_row: int,
    progress: Progress,
) -> Search:
    """Tries every batch size once.

    Args:
        work: Does the work at a batch size; what must be warm is warm already.
        batch_sizes: What is tried.
        items: How many items the work has.
        bytes_per_row: What one row of a batch needs at least; a batch that would need more
            memory than there is would end the whole run, so it is not tried.
        progress: Who is told.
    """
    trials: list[Trial] = []
    for size in batch_sizes:
        memory = available_memory()
        if memory is not None and size * bytes_per_row > 0.8 * memory:
            needed = size * bytes_per_row / 2**30
            trials.append(Trial(size, None, f"needs {needed:.1f} of {memory / 2**30:.1f} GiB"))
        elif trials and trials[-1].seconds is not None and trials[-1].batch_size >= items:
            trials.append(Trial(size, None, f"the same batches as {trials[-1].batch_size}"))
        else:
            trials.append(Trial(size, timed(functools.partial(work, size))[0]))
        last = trials[-1]
        description = last.note if last.seconds is None else f"{last.seconds:.2f} s"
        progress.say(f"HFLM, batch size {size}: {description}")
    return Search(items, tuple(trials))


def logits_bytes(model: LanguageModel, longest: int) -> int:
    """What the harness keeps of one row when it scores: logits and their log-softmax at every position."""
    vocabulary: int = model.module.get_output_embeddings().weight.shape[0]
    size: int = torch.empty(0, dtype=model.dtype).element_size()
    return 2 * longest * vocabulary * size


def cache_bytes(model: LanguageModel, longest: int) -> int:
    """What one row needs when it generates: keys and values of all layers, twice while they grow."""
    config = model.module.config
    heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
    width = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    size: int = torch.empty(0, dtype=model.dtype).element_size()
    row: int = longest * model.n_layers * heads * width * size
    return 2 * 2 * row
