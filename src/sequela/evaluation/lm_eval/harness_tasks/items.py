"""Item records of the harness's tasks, with the question, the answer and the right answer."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from lm_eval.api.task import Task
from lm_eval.utils import hash_string

from sequela.evaluation.lm_eval.guessing import Guessing, guessing_of
from sequela.evaluation.lm_eval.harness_tasks.running import ItemOutcome
from sequela.evaluation.multiple_choice import choice_distribution
from sequela.results import AnswerDistribution, ItemRecord, most_frequent, with_score


def item_record(
    suite: str,
    label: str,
    protocol: str,
    metric: str,
    one: ItemOutcome,
    task: Task,
    truncated: frozenset[str],
) -> ItemRecord:
    """Returns the record of an item under one metric, with the value 0 as a placeholder.

    Args:
        suite: The suite's name.
        label: The task's name in results.
        protocol: The filter, or the output type of a task without filters.
        metric: The metric.
        one: The item with its answers.
        task: The harness's task.
        truncated: The prompts that were truncated.
    """
    answer, expected, details = _answer(one, task)
    prompt = one.requests[0].args[0]
    asked = task.doc_to_text(one.doc)
    text = json.dumps(one.doc, sort_keys=True, default=str)
    return ItemRecord(
        suite=suite,
        task=label,
        metric=metric,
        protocol=protocol,
        item=f"{one.number}-{hash_string(text)[:8]}",
        value=0.0,
        finite=one.finite,
        too_long=one.too_long,
        unfinished_thinking=one.unfinished_thinking,
        failed=one.failed,
        prompt=asked if isinstance(asked, str) and asked else prompt,
        answer=answer if one.answered else "",
        thinking=one.thinking,
        expected=expected,
        details={"prompt_hash": hash_string(prompt), "truncated": prompt in truncated, **details},
    )


def answer_form(items: Sequence[ItemRecord], is_mean: bool = True) -> AnswerDistribution | None:
    """Returns the distribution of choices or generated answers; None for other kinds of answers.

    Args:
        items: The items with their values under one metric.
        is_mean: True if the metric is the mean over the items.
    """
    details = [item.details for item in items]
    if all("chosen" in one for one in details):
        form = choice_distribution([_chosen_by_metric(item) for item in items], None, items)
    elif all("text" in one for one in details):
        form = _generated_form(items)
    else:
        return None
    if is_mean:
        return form
    return form.model_copy(update={"n": None, "score": None, "stderr": None})


def counts_answers(items: Sequence[ItemRecord]) -> bool:
    """Returns whether a metric is 1 for items with the right answer and 0 for the others."""
    if any("chosen" in item.details for item in items) and items[0].metric not in _LENGTHS:
        return items[0].metric == "acc"
    return all(item.value in (0.0, 1.0) for item in items)


def _generated_form(items: Sequence[ItemRecord]) -> AnswerDistribution:
    """Returns the distribution of the answers that the task's filter found.

    Guessing is defined for items that are right or wrong.
    """
    found = [str(item.details["filtered"]).strip() for item in items]
    answered = [(item, answer) for item, answer in zip(items, found, strict=True) if item.answered]
    guessing = guessing_of(items) if counts_answers(items) else Guessing(len(items))
    names = [guessing.name(answer) for answer in found]
    form = AnswerDistribution(
        chance=guessing.chance,
        constants=dict(guessing.constants),
        answers=most_frequent(guessing.name(answer) for _, answer in answered),
        n_empty=sum(not item.answer.strip() for item, _ in answered),
    )
    return with_score(form, items, names)


_LENGTHS: Mapping[str, Callable[[str], int]] = {
    "acc_norm": len,
    "acc_bytes": lambda choice: len(choice.encode()),
}
"""The length by which the harness divides a choice's log-probability, for the metrics that divide it."""


def _chosen_by_metric(item: ItemRecord) -> ItemRecord:
    """Returns an item with the choice that is the best one under its metric."""
    logprobs, length = item.details["logprobs"], _LENGTHS.get(item.metric)
    if length is None or not item.answered or None in logprobs:
        return item
    pairs = zip(logprobs, item.details["choices"], strict=True)
    means = [logprob / max(1, length(choice)) for logprob, choice in pairs]
    best = {"chosen": int(np.argmax(means)), "tie": means.count(max(means)) > 1}
    return item.model_copy(update={"details": {**item.details, **best}})


def _answer(one: ItemOutcome, task: Task) -> tuple[str, str, dict[str, Any]]:
    """Returns the answer, the right answer and the details, which depend on the kind of request."""
    kinds = {request.request_type for request in one.requests}
    target = task.doc_to_target(one.doc)
    if kinds == {"loglikelihood"} and task.OUTPUT_TYPE == "multiple_choice":
        return _choice(one, target)
    if kinds == {"loglikelihood"}:
        ((logprob, greedy),) = [_pair(response) for response in one.filtered[:1]]
        continuation = one.requests[0].args[1].strip()
        return continuation if greedy else "", continuation, {"logprob": _finite(logprob), "greedy": greedy}
    if kinds == {"generate_until"}:
        expected = _text(target[0] if isinstance(target, list) and target else target)
        return str(one.requests[0].resps[0]), expected, {"text": True, "filtered": _text(one.filtered[0])}
    if kinds == {"loglikelihood_rolling"}:
        return "", "", {"logprob": _finite(float(one.filtered[0]))}
    return "", _text(target), {"answers": [_text(request.resps[0]) for request in one.requests]}


def _choice(one: ItemOutcome, target: Any) -> tuple[str, str, dict[str, Any]]:
    """Returns the answer, the right answer and the details of a multiple-choice item.

    Choices are named by their texts, or by their contexts if the texts are all the same, as in Winogrande.
    """
    texts = [request.args[1].strip() for request in one.requests]
    if len(set(texts)) == 1:
        texts = [request.args[0].strip() for request in one.requests]
    logprobs = [_pair(response)[0] for response in one.filtered]
    asked = [i for i, request in enumerate(one.requests) if request.args[0] or not one.requests[0].args[0]]
    texts, logprobs = [texts[i] for i in asked], [logprobs[i] for i in asked]
    right = target[0] if isinstance(target, list) and target else target
    index = right if isinstance(right, int) and 0 <= right < len(texts) else None
    if isinstance(right, str) and right.strip() in texts:
        index = texts.index(right.strip())
    chosen = int(np.argmax(logprobs))
    details: dict[str, Any] = {
        "choices": texts,
        "logprobs": [_finite(logprob) for logprob in logprobs],
        "tie": logprobs.count(max(logprobs)) > 1,
    }
    if index is not None:
        details |= {"right": index, "chosen": chosen if one.answered else None}
    return texts[chosen], texts[index] if index is not None else _text(target), details


def _pair(response: Any) -> tuple[float, bool]:
    """Returns a log-probability and whether its text is greedy; a filter may wrap the pair in a list."""
    pair = response[0] if isinstance(response, list) else response
    return float(pair[0]), bool(pair[1])


def _finite(logprob: float) -> float | None:
    return logprob if math.isfinite(logprob) else None


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, default=str)
