"""Scores of multiple-choice items, from the log-probabilities of their choices.

The harness takes the first of the most likely choices. If every log-likelihood is NaN, the first
choice "wins". On TruthfulQA MC1, where the right choice is always the first, a destroyed model
would score 100 %. Here the choices of TruthfulQA are shuffled, and `choose` decides, as in the
built-in suite: an item is answered only if every log-likelihood is finite and the highest is
unique, and an item without an answer is wrong.
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
    mean_and_stderr,
    result_from_items,
    result_like,
    with_score,
)
from sequela.results.metrics import ACCURACY_PER_BYTE, AUROC, BALANCED_ACCURACY, TRUE_PROBABILITY


def choice_records(samples: Sequence[Sample], context: ItemContext) -> list[ItemRecord]:
    """Returns the accuracy records of multiple-choice items, with the log-probabilities of the choices."""
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
                math.isfinite(logprob) or tokens is not None or reason for logprob, tokens, reason in outcomes
            ),
            too_long=max((tokens for tokens in too_long if tokens is not None), default=None),
            failed=next((reason for reason in failed if reason), ""),
            expected=choices[int(sample["target"])],
            details={
                "right": int(sample["target"]),
                "choices": choices,
                "logprobs": [logprob if math.isfinite(logprob) else None for logprob in logprobs],
            },
        )
    )


def score_choices_item(record: ItemRecord) -> ItemRecord:
    """Computes the answer and value of a record (again) from the log-probabilities in it."""
    scored = _with_choice(record, logprobs_of(record))
    chosen = scored.details["chosen"]
    answer = "" if chosen is None else record.details["choices"][chosen]
    return scored.model_copy(update={"metric": METRIC, "answer": answer})


def _with_choice(record: ItemRecord, scores: Sequence[float]) -> ItemRecord:
    """Returns a record with the value of the choice that has the highest score."""
    chosen = choose(scores)
    tie = chosen is None and all(math.isfinite(score) for score in scores)
    return record.model_copy(
        update={
            "value": float(chosen == record.details["right"]),
            "details": {**record.details, "chosen": chosen, "tie": tie},
        }
    )


def logprobs_of(record: ItemRecord) -> list[float]:
    """Returns the log-probabilities of a record's choices; minus infinity if one is not finite."""
    return [-math.inf if logprob is None else logprob for logprob in record.details["logprobs"]]


def accuracy(records: Sequence[ItemRecord], note: str, chance: float | None = None) -> TaskResult:
    """Returns the share of items whose right choice is the most likely."""
    result = result_from_items(records, joined(note, failures_note(records)))
    return result.model_copy(update={"form": choice_distribution(records, chance)})


def accuracy_per_byte(records: Sequence[ItemRecord], note: str, chance: float | None = None) -> TaskResult:
    """Returns the accuracy by log-probability per byte, which removes the advantage of short choices."""
    by_byte = [_by_byte(record) for record in records]
    scored = [derived(record, ACCURACY_PER_BYTE.name, record.value) for record in by_byte]
    result = result_from_items(scored, joined(note, failures_note(by_byte)))
    return result.model_copy(update={"form": choice_distribution(by_byte, chance, scored)})


def _by_byte(record: ItemRecord) -> ItemRecord:
    """Returns a record with the choice that has the highest log-probability per byte."""
    logprobs = logprobs_of(record)
    lengths = [max(1, len(choice.encode())) for choice in record.details["choices"]]
    return _with_choice(record, [logprob / n for logprob, n in zip(logprobs, lengths, strict=True)])


def true_probability(records: Sequence[ItemRecord], note: str) -> TaskResult:
    """Returns the score of TruthfulQA MC2: the true choices' share of the probability of all choices.

    Computed as `exp(logsumexp(true) - logsumexp(all))`, so that very unlikely answers don't become 0 / 0.
    An item with a non-finite log-probability has the value 0.

    Args:
        records: The items; their details have `labels`, 1 for every true choice.
        note: The note on the task.
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
    asked = [record for record in records if record.answered]
    shares = [sum(record.details["labels"]) / len(record.details["labels"]) for record in asked]
    form = AnswerDistribution(
        chance=math.fsum(shares) / len(shares) if shares else None,
        n_ties=sum(record.details["tie"] for record in asked),
    )
    return result.model_copy(update={"form": with_score(form, found)})


def _logsumexp(values: Sequence[float]) -> float:
    greatest = max(values)
    return greatest + math.log(math.fsum(math.exp(value - greatest) for value in values))


def balanced_accuracy(records: Sequence[ItemRecord], note: str) -> TaskResult:
    """Returns the mean of the classes' accuracies; a constant answer scores `1 / number of classes`.

    Each record's value is weighted by items / (classes × items of its class), so that the mean of the
    records is the value of the result. The standard error is that of a mean of independent class means.

    It covers the items that were answered.

    Args:
        records: The accuracy records.
        note: The note on the task.
    """
    records, note = _asked(records, note)
    if not records[0].answered:
        return result_like(records[0], None, note=note, counted=records, metric=BALANCED_ACCURACY.name)
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
    constants = dict.fromkeys(form.constants, 1 / len(groups))
    result = result_from_items(weighted, note)
    scored = {"constants": constants, "score": result.value, "stderr": stderr}
    return result.model_copy(update={"stderr": stderr, "form": form.model_copy(update=scored)})


def auroc(records: Sequence[ItemRecord], note: str) -> TaskResult:
    """Returns the area under the ROC curve of the difference of the two choices' log-probabilities.

    It is the probability that the difference (second minus first choice) is larger for an item whose second
    choice is right than for one whose first choice is right. It shows what a model knows even if one answer
    always wins. Pairs of equal differences count half. An item with a non-finite log-probability is ranked
    last if its second choice is right, and first otherwise; items that were too long or failed are left out.
    The standard error is that of Hanley and McNeil (Radiology 143, 1982).
    """
    records, note = _asked(records, note)
    if not records[0].answered:
        return result_like(records[0], None, note=note, counted=records, metric=AUROC.name)
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
    stderr = math.sqrt(max(variance, 0.0))
    form = AnswerDistribution(chance=0.5, n=len(records), score=area, stderr=stderr)
    return result_like(records[0], area, stderr, note, counted=records, metric=AUROC.name, form=form)


def _asked(records: Sequence[ItemRecord], note: str) -> tuple[Sequence[ItemRecord], str]:
    """Returns the items that were answered, and the note with their number; all items if none was."""
    asked = [record for record in records if record.answered]
    if len(asked) == len(records):
        return records, note
    return asked or records, joined(note, f"{len(asked)} of {len(records)} items were answered")


def _one_class(records: Sequence[ItemRecord], metric: str, note: str) -> TaskResult:
    full_note = f"every item's answer is {records[0].expected!r}; {note}"
    return result_like(records[0], None, note=full_note, counted=records, metric=metric)


def share_of_answer(records: Sequence[ItemRecord], answer: str, metric: str, note: str) -> TaskResult:
    """Returns how often an answer is chosen, right or wrong; 0 or 1 indicates a constant answer."""
    records, note = _asked(records, note)
    if not records[0].answered:
        return result_like(records[0], None, note=note, counted=records, metric=metric)
    return result_from_items(
        [derived(record, metric, float(record.answer == answer)) for record in records], note
    )


def derived(record: ItemRecord, metric: str, value: float) -> ItemRecord:
    """Returns another metric's record of the item, without the prompt and answer, which the first one has."""
    emptied = {"prompt": "", "answer": "", "thinking": "", "expected": "", "details": {}}
    return record.model_copy(update={"metric": metric, "value": value, **emptied})
