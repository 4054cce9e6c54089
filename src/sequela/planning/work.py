"""The work of one task: what it asks of the model, counted by doing it without the model."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from sequela.planning.counting import Call, CountingEngine, GeneratingCall, ScoringCall
from sequela.results import ItemRecord, TaskResult
from sequela.results.item_files import item_file

ANSWER_BYTES_PER_TOKEN = 3
"""The bytes of a generated token in an item file, which is compressed."""


@dataclass(frozen=True)
class Work:
    """The work of a measurement.

    Args:
        calls: The calls of the engine.
        n_items: The number of item records that it writes.
        item_bytes: The size of their file.
        own_seconds: The time beside the model: making prompts, tokenizing, reading answers.
        n_times: The number of times that the calls are made.
    """

    calls: tuple[Call, ...] = ()
    n_items: float = 0
    item_bytes: float = 0
    own_seconds: float = 0.0
    n_times: float = 1

    @property
    def scored_tokens(self) -> float:
        """The number of tokens that go through the model to be scored."""
        return self.n_times * sum(call.tokens for call in self.calls if isinstance(call, ScoringCall))

    @property
    def prompt_tokens(self) -> float:
        """The number of tokens of prompts that are continued."""
        return self.n_times * sum(
            call.prompt_tokens for call in self.calls if isinstance(call, GeneratingCall)
        )

    @property
    def most_generated_tokens(self) -> float:
        """The maximum number of generated tokens."""
        return self.n_times * sum(sum(call.most) for call in self.calls if isinstance(call, GeneratingCall))

    def scaled(self, share: float) -> Work:
        """Returns the work of a share of the same items, in as many calls."""
        calls: list[Call] = []
        for call in self.calls:
            if isinstance(call, ScoringCall):
                calls.append(
                    replace(
                        call,
                        n_requests=max(1, round(call.n_requests * share)),
                        tokens=call.tokens * share,
                        positions=call.positions * share,
                    )
                )
            else:
                n_kept = max(1, round(len(call.most) * share))
                calls.append(replace(call, prompt_tokens=call.prompt_tokens * share, most=call.most[:n_kept]))
        return replace(
            self,
            calls=tuple(calls),
            n_items=self.n_items * share,
            item_bytes=self.item_bytes * share,
            own_seconds=self.own_seconds * share,
        )

    def times(self, count: float) -> Work:
        """Returns the work of doing the same several times."""
        return replace(
            self,
            n_items=self.n_items * count,
            item_bytes=self.item_bytes * count,
            own_seconds=self.own_seconds * count,
            n_times=self.n_times * count,
        )


def counted_work(
    measure: Callable[[CountingEngine], tuple[Sequence[TaskResult], Sequence[ItemRecord]]],
    tokens_of: float = 1.0,
) -> Work:
    """Returns the work of a measurement, which is done with an engine that only counts.

    It is done twice unless it is slow: what it prepares the first time is not its own.

    Args:
        measure: Measures with an engine; returns results and items.
        tokens_of: As for `CountingEngine`.
    """
    own = 0.0
    for again in range(2):
        engine, started = CountingEngine(tokens_of), time.perf_counter()
        results, items = measure(engine)
        taken = time.perf_counter() - started - engine.seconds
        own = min(own, taken) if again else taken
        if taken > _SLOW:
            break
    records = [*items, *(item for result in results for item in result.items)]
    generated = sum(sum(call.most) for call in engine.calls if isinstance(call, GeneratingCall))
    return Work(
        calls=tuple(engine.calls),
        n_items=len(records),
        item_bytes=len(item_file(records)) + ANSWER_BYTES_PER_TOKEN * generated,
        own_seconds=max(own, 0.0),
    )


_SLOW = 5.0
"""The seconds from which on a measurement is not repeated."""
