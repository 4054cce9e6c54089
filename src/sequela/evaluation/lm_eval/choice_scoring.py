"""Scores of multiple-choice items, from the log-probabilities of their choices.

The harness takes the first of the likeliest choices. If every log-likelihood is NaN, the first
choice "wins", and on TruthfulQA MC1, where the right choice is always the first, a destroyed
model scores 100 %. Here the choices of TruthfulQA are shuffled, and `choose` decides, as in our own
suites: an item is answered only if every log-likelihood is a number and the best one is alone, and
an item without an answer is wrong.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from sequela.evaluation.lm_eval.item_records import ItemContext, Sample, failures_note, joined
from sequela.evaluation.multiple_choice import METRIC, choice_distribution, choose
from sequela.results import (
    AnswerDistribution,
    ItemRecord,
    TaskResult,
    invalid_items_note,
    item_counts,
    mean_and_stderr,
    result_from_items,
)
from sequela.results.metrics import ACCURACY_PER_BYTE, AUROC, BALANCED_ACCURACY, TRUE_PROBABILITY


def choice_records(samples: Sequence[Sample], context: ItemContext) -> list[ItemRecord]:
    """Accuracy of multiple-choice items; the details hold every choice with its log-probability."""
    return [_record(sample, context) for sample in samples]


def _record(sample: Sample, context: ItemContext) -> ItemRecord:
    logprobs = [float(responses[0][0]) for responses in sample["resps"]]
    choices = [arguments[1].strip() for arguments in sample["arguments"]]
    too_long = [context.too_long.get((arguments[0], arguments[1])) for arguments in sample["arguments"]]
    failed = [context.failed.get((arguments[0], arguments[1]), "") for arguments in sample["arguments"]]
    outcomes = zip(logprobs, too_long, failed, strict=True)
    return score_choices_item(
        context.record(
            sample,
            metric=METRIC,
            value=0.0,
            finite=all(
                math.isfinite(logprob) or tokens is not None or why for logprob, tokens, why in outcomes
            ),
            too_long=max((tokens for tokens in too_long if tokens is not None), default=None),
            failed=next((why for why in failed if why), ""),
            expected=choices[int(sample["target"])],
            details={
                "right": int(sample["target"]),
                "choices": choices,
                "logprobs": [logprob if math.isfinite(logprob) else None for logprob in logprobs],
            },
        )
    )


def score_choices_item(record: ItemRecord) -> ItemRecord:
    """The same record, its answer and value found (again) from the log-probabilities it holds."""
    logprobs = logprobs_of(record)
    chosen = choose(logprobs)
    tie = chosen is None and all(math.isfinite(logprob) for logprob in logprobs)
    return record.model_copy(
        update={
            "metric": METRIC,
            "value": float(chosen == record.details["right"]),
            "answer": "" if chosen is None else record.details["choices"][chosen],
            "details": {**record.details, "chosen": chosen, "tie": tie},
        }
    )


def logprobs_of(record: ItemRecord) -> list[float]:
    """The log-probabilities of a record's choices; minus infinity where one was not a number."""
    return [-math.inf if logprob is None else logprob for logprob in record.details["logprobs"]]


def accuracy(records: Sequence[ItemRecord], note: str, chance: float | None = None) -> TaskResult:
    """The share of items whose right choice was found the likeliest."""
    result = result_from_items(records, joined(note, failures_note(records)))
    return result.model_copy(update={"form": choice_distribution(records, chance)})


def accuracy_per_byte(records: Sequence[ItemRecord], note: str) -> TaskResult:
    """The same where choices compete by log-probability per byte, so that length gives no advantage."""
    found = []
    for record in records:
        lengths = [max(1, len(choice.encode())) for choice in record.details["choices"]]
        chosen = choose([logprob / n for logprob, n in zip(logprobs_of(record), lengths, strict=True)])
        value = float(chosen == record.details["right"])
        found.append(derived(record, ACCURACY_PER_BYTE.name, value))
    return result_from_items(found, joined(note, failures_note(records)))


def true_probability(records: Sequence[ItemRecord], note: str) -> TaskResult:
    """TruthfulQA MC2: the share of all choices' probability that falls to the true ones.

    Summed as `exp(logsumexp(true) - logsumexp(all))`, so that very unlikely answers don't become 0 / 0.
    An item with a log-probability that is not a number has none of it.

    Args:
        records: The items; their details hold `labels`, 1 for every true choice.
        note: What a reader must know.
    """
    found = []
    for record in records:
        logprobs, value = logprobs_of(record), 0.0
        if all(math.isfinite(logprob) for logprob in logprobs):
            pairs = zip(logprobs, record.details["labels"], strict=True)
            value = math.exp(
                _logsumexp([logprob for logprob, label in pairs if label]) - _logsumexp(logprobs)
            )
        found.append(record.model_copy(update={"metric": TRUE_PROBABILITY.name, "value": value}))
    result = result_from_items(found, joined(note, failures_note(records)))
    shares = [sum(record.details["labels"]) / len(record.details["labels"]) for record in records]
    ties = sum(record.details["tie"] for record in records)
    form = AnswerDistribution(chance=math.fsum(shares) / len(shares), n_ties=ties)
    return result.model_copy(update={"form": form})


def _logsumexp(values: Sequence[float]) -> float:
    greatest = max(values)
    return greatest + math.log(math.fsum(math.exp(value - greatest) for value in values))


def balanced_accuracy(records: Sequence[ItemRecord], note: str) -> TaskResult:
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
        return _one_class(records, BALANCED_ACCURACY.name, note)
    errors = [mean_and_stderr([record.value for record in group])[1] for group in groups.values()]
    known = [error for error in errors if error is not None]
    stderr = math.hypot(*known) / len(groups) if len(known) == len(groups) else None
    weighted = []
    for record in records:
        weight = len(records) / (len(groups) * len(groups[record.details["right"]]))
        weighted.append(derived(record, BALANCED_ACCURACY.name, record.value * weight))
    form = choice_distribution(records, 1 / len(groups))
    halves = dict.fromkeys(form.constants, 1 / len(groups))
    return result_from_items(weighted, note).model_copy(
        update={"stderr": stderr, "form": form.model_copy(update={"constants": halves})}
    )


def auroc(records: Sequence[ItemRecord], note: str) -> TaskResult:
    """How often the second choice is found likelier, against the first, on an item it is right for.

    The area under the curve that a threshold on the difference of the two log-probabilities draws: it sees
    what a model knows even where one answer always wins. Pairs of equal differences count half; an item with
    a log-probability that is not a number comes last among those it should lead, first among the others.
    The error is Hanley and McNeil's (Radiology 143, 1982).
    """
    leads: dict[int, list[float]] = {0: [], 1: []}
    for record in records:
        right, (first, second) = record.details["right"], logprobs_of(record)
        known = math.isfinite(first) and math.isfinite(second)
        leads[right].append(second - first if known else (-math.inf if right else math.inf))
    negatives, positives = leads[0], leads[1]
    if not negatives or not positives:
        return _one_class(records, AUROC.name, note)
    wins = math.fsum((p > n) + 0.5 * (p == n) for p in positives for n in negatives)
    area = wins / (len(positives) * len(negatives))
    one, two = area / (2 - area), 2 * area**2 / (1 + area)
    spread = (len(positives) - 1) * (one - area**2) + (len(negatives) - 1) * (two - area**2)
    variance = (area * (1 - area) + spread) / (len(positives) * len(negatives))
    full_note = joined(note, invalid_items_note(records))
    found = _without_items(records, AUROC.name, full_note, area, math.sqrt(max(variance, 0.0)))
    return found.model_copy(update={"form": AnswerDistribution(chance=0.5)})


def _one_class(records: Sequence[ItemRecord], metric: str, note: str) -> TaskResult:
    return _without_items(records, metric, f"every item's answer is {records[0].expected!r}; {note}")


def _without_items(
    records: Sequence[ItemRecord],
    metric: str,
    note: str,
    value: float | None = None,
    stderr: float | None = None,
) -> TaskResult:
    """A finding that is no mean over its items."""
    first = records[0]
    return TaskResult(
        suite=first.suite,
        task=first.task,
        metric=metric,
        protocol=first.protocol,
        value=value,
        stderr=stderr,
        note=note,
        **item_counts(records),
    )


def share_of_answer(records: Sequence[ItemRecord], answer: str, metric: str, note: str) -> TaskResult:
    """How often an answer is chosen, right or wrong; 0 or 1 betrays a constant answer."""
    return result_from_items(
        [derived(record, metric, float(record.answer == answer)) for record in records], note
    )


def derived(record: ItemRecord, metric: str, value: float) -> ItemRecord:
    """Another metric's record of the same item; what was asked and said stands with the first metric's."""
    emptied = {"prompt": "", "answer": "", "expected": "", "details": {}}
    return record.model_copy(update={"metric": metric, "value": value, **emptied})
