"""From the harness's samples to our records: what counts as an answer, and as a right one.

The harness takes the first of the likeliest choices. If every log-likelihood is NaN, the first
choice "wins", and on TruthfulQA MC1, where the right choice is always the first, a destroyed
model scores 100 %. Here `choose` decides, as in our own suites: an item is answered only if every
log-likelihood is a number and the best one is alone, and an item without an answer is wrong.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sequela.evaluation.multiple_choice import METRIC, PROTOCOL, choose
from sequela.results import Finding, ItemRecord, finding_from_items, mean_and_stderr

Sample = dict[str, Any]
"""What the harness logs of one item (and one filter)."""

GENERATION_PROTOCOL = "generation"

UNPARSED = "[invalid]"
"""What the harness's `regex` filter gives where it finds no answer."""

PARSERS = {"strict-match": "strict", "flexible-extract": "flexible"}
"""GSM8K's filters: `The answer is 18.`, and the last number in the text."""


@dataclass(frozen=True)
class ItemContext:
    """What is known of an item besides its sample.

    Args:
        suite: The suite's name.
        task: The task's name.
        prompt_of: Gives an item's own question, without the worked examples.
        truncated: Whole prompts that were cut to fit.
        nonfinite: Whole prompts after which a logit was not a number.
        refused: Requests, as prompt and continuation or prompt alone, that were longer than the model's
            context, with their tokens.
    """

    suite: str
    task: str
    prompt_of: Callable[[dict[str, Any]], str]
    truncated: frozenset[str]
    nonfinite: frozenset[str]
    refused: Mapping[tuple[str, ...], int] = field(default_factory=dict)

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
            item=f"{sample['doc_id']}-{sample['doc_hash'][:8]}",
            prompt=self.prompt_of(sample["doc"]),
            details=details,
            **fields,
        )


def choice_records(samples: Sequence[Sample], context: ItemContext) -> list[ItemRecord]:
    """Accuracy of multiple-choice items."""
    records = []
    for sample in samples:
        logprobs = [float(responses[0][0]) for responses in sample["resps"]]
        choices = [arguments[1].strip() for arguments in sample["arguments"]]
        chosen, right = choose(logprobs), int(sample["target"])
        known = all(math.isfinite(logprob) for logprob in logprobs)
        refused = [context.refused.get((arguments[0], arguments[1])) for arguments in sample["arguments"]]
        finite = all(
            math.isfinite(logprob) or tokens is not None
            for logprob, tokens in zip(logprobs, refused, strict=True)
        )
        records.append(
            context.record(
                sample,
                metric=METRIC,
                protocol=PROTOCOL,
                value=float(chosen == right),
                finite=finite,
                refused=max((tokens for tokens in refused if tokens is not None), default=None),
                answer="" if chosen is None else choices[chosen],
                expected=choices[right],
                details={
                    "chosen": chosen,
                    "right": right,
                    "tie": known and chosen is None,
                    "logprobs": [logprob if math.isfinite(logprob) else None for logprob in logprobs],
                },
            )
        )
    return records


def generation_records(samples: Sequence[Sample], context: ItemContext) -> dict[str, list[ItemRecord]]:
    """GSM8K's records by metric: exact match and share of parsed answers, under both filters."""
    by_metric: dict[str, list[ItemRecord]] = {}
    for sample in samples:
        parser = PARSERS[sample["filter"]]
        (parsed,) = sample["filtered_resps"]
        prompt = sample["arguments"][0][0]
        finite, refused = prompt not in context.nonfinite, context.refused.get((prompt,))
        values = {
            f"exact_match_{parser}": float(sample["exact_match"]),
            f"parse_rate_{parser}": float(parsed != UNPARSED),
        }
        for metric, value in values.items():
            record = context.record(
                sample,
                metric=metric,
                protocol=GENERATION_PROTOCOL,
                value=value if finite and refused is None else 0.0,
                finite=finite,
                refused=refused,
                answer=sample["resps"][0][0],
                expected=str(sample["target"]),
                details={"parsed": parsed},
            )
            by_metric.setdefault(metric, []).append(record)
    return dict(sorted(by_metric.items()))


def balanced_accuracy(records: Sequence[ItemRecord], note: str) -> Finding:
    """The mean of the classes' accuracies; a constant answer gets one over their number.

    Each record's value is weighted by items over (classes × items of its class), so that the mean
    of the records is the finding's value. The error is that of a mean of independent class means.

    Args:
        records: Accuracy records.
        note: What a reader must know.
    """
    groups: dict[int, list[ItemRecord]] = {}
    for record in records:
        groups.setdefault(record.details["right"], []).append(record)
    if len(groups) < 2:
        only = records[0].expected
        empty = Finding(
            suite=records[0].suite,
            task=records[0].task,
            metric="balanced_accuracy",
            protocol=PROTOCOL,
            value=None,
            stderr=None,
            n=len(records),
            n_nonfinite=sum(not record.finite for record in records),
            n_refused=sum(record.refused is not None for record in records),
            note=f"every item's answer is {only!r}; {note}",
        )
        return empty
    errors = [mean_and_stderr([record.value for record in group])[1] for group in groups.values()]
    known = [error for error in errors if error is not None]
    stderr = math.hypot(*known) / len(groups) if len(known) == len(groups) else None
    weighted = []
    for record in records:
        weight = len(records) / (len(groups) * len(groups[record.details["right"]]))
        weighted.append(
            record.model_copy(update={"metric": "balanced_accuracy", "value": record.value * weight})
        )
    return finding_from_items(weighted, note).model_copy(update={"stderr": stderr})


def share_of_answer(records: Sequence[ItemRecord], answer: str, metric: str, note: str) -> Finding:
    """How often an answer is chosen, right or wrong; 0 or 1 betrays a constant answer."""
    chosen = [
        record.model_copy(update={"metric": metric, "value": float(record.answer == answer)})
        for record in records
    ]
    return finding_from_items(chosen, note)


def constant_answer_note(records: Sequence[ItemRecord]) -> str:
    """What always giving the most frequent right answer would score."""
    expected = [record.expected for record in records]
    answer = max(sorted(set(expected)), key=expected.count)
    return f"always answering {answer!r} scores {expected.count(answer) / len(expected):.3f}"


def trouble_note(records: Sequence[ItemRecord]) -> str:
    """Ties and cut prompts among records, if there are any."""
    ties = sum(bool(record.details.get("tie")) for record in records)
    cut = sum(bool(record.details["truncated"]) for record in records)
    parts = [f"items with a tie for the best choice, counted as wrong: {ties}"] if ties else []
    parts += [f"prompts cut on the left to fit the model's context: {cut}"] if cut else []
    return "; ".join(parts)
