"""Conversion of the harness's logged samples to item records."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sequela.results import ItemRecord, without_invalid_items

Sample = dict[str, Any]
"""The harness's log of one item."""


@dataclass(frozen=True)
class ItemContext:
    """Information on items that isn't in their samples.

    Args:
        suite: The suite's name.
        task: The task's name.
        protocol: The protocol.
        prompt_of: Returns an item's own question, without the few-shot examples.
        truncated: The full prompts that were truncated.
        nonfinite: The full prompts that were followed by a non-finite logit.
        too_long: The requests that were longer than the model's context, with their length in tokens. A
            request is a prompt and a continuation, or a prompt alone.
        failed: The requests that could not be run, with the reason.
        thinking: The thinking before the answer, by full prompt.
        unfinished_thinking: The number of tokens of texts whose thinking didn't end, by full prompt.
    """

    suite: str
    task: str
    protocol: str
    prompt_of: Callable[[dict[str, Any]], str]
    truncated: frozenset[str] = frozenset()
    nonfinite: frozenset[str] = frozenset()
    too_long: Mapping[tuple[str, ...], int] = field(default_factory=dict)
    failed: Mapping[tuple[str, ...], str] = field(default_factory=dict)
    thinking: Mapping[str, str] = field(default_factory=dict)
    unfinished_thinking: Mapping[str, int] = field(default_factory=dict)

    def record(self, sample: Sample, **fields: Any) -> ItemRecord:
        """Returns the record of a sample; its name includes a hash, so changed items are never paired."""
        prompt = sample["arguments"][0][0]
        details = {
            "prompt_hash": sample["prompt_hash"],
            "truncated": prompt in self.truncated,
            **fields.pop("details"),
        }
        return ItemRecord(
            suite=self.suite,
            task=self.task,
            protocol=self.protocol,
            item=f"{sample['doc_id']}-{sample['doc_hash'][:8]}",
            prompt=self.prompt_of(sample["doc"]),
            details=details,
            **fields,
        )


TIES = "items with a tie for the best choice, counted as wrong"
CUT = "prompts cut on the left to fit the model's context"


def failures_note(records: Sequence[ItemRecord]) -> str:
    """Returns a note on ties and truncated prompts among records; empty if there are none."""
    ties = sum(bool(record.details.get("tie")) and record.answered for record in records)
    cut = sum(bool(record.details["truncated"]) for record in records)
    parts = [f"{TIES}: {ties}"] if ties else []
    parts += [f"{CUT}: {cut}"] if cut else []
    return joined(*parts)


def without_counts(note: str) -> str:
    """Returns a stored note without the counts of items, which are added again when items are rescored."""
    return without_invalid_items(joined(*(part for part in note.split("; ") if not _COUNT.match(part))))


_COUNT = re.compile(
    rf"(?:{re.escape(TIES)}|{re.escape(CUT)}): \d+$"
    r"|(?:\d+|none) of \d+ (?:items were answered|answers could be (?:parsed|read))$"
    r"|every item's answer is "
)


def joined(*parts: str) -> str:
    """Joins notes by semicolons, without empty ones."""
    return "; ".join(part for part in parts if part)
