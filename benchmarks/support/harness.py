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
    """One batch size of the search.

    Args:
        batch_size: The number of sequences that go through the model at once.
        seconds: The time in seconds; None if it was not run.
        note: The reason why it was not run.
    """

    batch_size: int
    seconds: float | None
    note: str = ""


@dataclass(frozen=True)
class Search:
    """The search for the best batch size.

    Args:
        items: The number of items used.
        trials: The batch sizes, in order.
    """

    items: int
    trials: tuple[Trial, ...]

    @property
    def best(self) -> int:
        """The fastest batch size.

        Raises:
            SequelaError: No batch size could be run.
        """
        done = [trial for trial in self.trials if trial.seconds is not None]
        if not done:
            raise SequelaError("No batch size fits in memory.", hint="Use smaller ones: --batch-sizes 1")
        return min(done, key=lambda trial: trial.seconds or 0.0).batch_size

    def as_json(self) -> dict[str, Any]:
        """Returns the search as JSON for the results file."""
        return {"items": self.items, "trials": [asdict(trial) for trial in self.trials]}


def hflm(model: LanguageModel, batch_size: int) -> HFLM:
    """Returns the harness's backend around the same module, with its defaults."""
    # The harness changes the padding of the tokenizer that it receives; the model's own must not change.
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
    """Measures every batch size once.

    Args:
        work: Runs the workload at a batch size; everything must be warm already.
        batch_sizes: The batch sizes.
        items: The number of items of the workload.
        bytes_per_row: The minimum memory of one row of a batch in bytes; a batch that needs more than the
            available memory would end the whole run, so it is not run.
        progress: Receives progress reports.
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
    """Returns the bytes that the harness needs to score one row: logits and log-softmax at every position."""
    vocabulary: int = model.module.get_output_embeddings().weight.shape[0]
    size: int = torch.empty(0, dtype=model.dtype).element_size()
    return 2 * longest * vocabulary * size


def cache_bytes(model: LanguageModel, longest: int) -> int:
    """Returns the bytes that one row of generation needs: all keys and values, twice while they grow."""
    config = model.module.config
    heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
    width = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    size: int = torch.empty(0, dtype=model.dtype).element_size()
    row: int = longest * model.n_layers * heads * width * size
    return 2 * 2 * row
