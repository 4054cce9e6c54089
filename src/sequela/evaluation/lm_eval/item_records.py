"""What the harness logs of an item, and the record we make of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sequela.results import ItemRecord

Sample = dict[str, Any]
"""What the harness logs of one item."""


@dataclass(frozen=True)
class ItemContext:
    """What is known of an item besides its sample.

    Args:
        suite: The suite's name.
        task: The task's name.
        protocol: How it is asked.
        prompt_of: Gives an item's own question, without the worked examples.
        truncated: Whole prompts that were cut to fit.
        nonfinite: Whole prompts after which a logit was not a number.
        too_long: Requests, as prompt and continuation or prompt alone, that were longer than the model's
            context, with their tokens.
        failed: Requests that could not be put to the model, with the reason.
    """

    suite: str
    task: str
    protocol: str
    prompt_of: Callable[[dict[str, Any]], str]
    truncated: frozenset[str] = frozenset()
    nonfinite: frozenset[str] = frozenset()
    too_long: Mapping[tuple[str, ...], int] = field(default_factory=dict)
    failed: Mapping[tuple[str, ...], str] = field(default_factory=dict)

    def record(self, sample: Sample, **fields: Any) -> ItemRecord:
        """The record of a sample; its name holds a hash of the item, so changed data never pair."""
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


def failures_note(records: Sequence[ItemRecord]) -> str:
    """Ties and cut prompts among records, if there are any."""
    ties = sum(bool(record.details.get("tie")) for record in records)
    cut = sum(bool(record.details["truncated"]) for record in records)
    parts = [f"items with a tie for the best choice, counted as wrong: {ties}"] if ties else []
    parts += [f"prompts cut on the left to fit the model's context: {cut}"] if cut else []
    return "; ".join(parts)


def joined(*parts: str) -> str:
    """Notes one after another, empty ones left out."""
    return "; ".join(part for part in parts if part)
