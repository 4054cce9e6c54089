"""Runs the requests of the harness's tasks, and scores the answers with each task's own code."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lm_eval.api.instance import Instance
from lm_eval.api.task import Task

from sequela.evaluation.answer_status import format_error
from sequela.evaluation.lm_eval.adapter import EngineLM
from sequela.evaluation.lm_eval.repeatable import start_sampler


@dataclass(frozen=True)
class ItemOutcome:
    """One item of a task, with its answers after one of the task's filters.

    Args:
        number: The index of the item in its split, from 0.
        doc: The row of the item.
        requests: The item's requests, in order.
        filtered: The answers after the filter.
        filter_name: The name of the filter; `none` if the task has no filters.
        metrics: The values that the task computes from the answers; empty if it failed.
        finite: True if all logits of the answers were finite.
        too_long: The length in tokens of the longest request that doesn't fit the model's context, if any.
        thinking: The thinking before the answer of the first request; empty without any.
        unfinished_thinking: The length in tokens of the longest text whose thinking didn't end, if any.
        failed: The reason why the item couldn't be run or scored; empty if it could.
    """

    number: int
    doc: Mapping[str, Any]
    requests: Sequence[Instance]
    filtered: Sequence[Any]
    filter_name: str
    metrics: Mapping[str, Any]
    finite: bool
    too_long: int | None
    thinking: str
    unfinished_thinking: int | None
    failed: str

    @property
    def answered(self) -> bool:
        """True if the model gave an answer that could be scored."""
        without = self.too_long is not None or self.unfinished_thinking is not None
        return self.finite and not without and not self.failed


def run_tasks(tasks: Mapping[str, Task], lm: EngineLM, limit: int | None) -> dict[str, list[ItemOutcome]]:
    """Runs tasks and returns the outcomes of each: its items in order, once for each of its filters.

    Requests of one kind are run together, over all tasks.

    Args:
        tasks: The tasks.
        lm: The edited model.
        limit: The number of items of each task to run, from the first on; all if None.
    """
    by_kind: dict[str, list[Instance]] = defaultdict(list)
    for task in tasks.values():
        start_sampler(task)
        task.build_all_requests(limit=limit, rank=0, world_size=1)
        for instance in task.instances:
            by_kind[instance.request_type].append(instance)
    for kind, instances in by_kind.items():
        answers = getattr(lm, kind)(instances)
        for instance, answer in zip(instances, answers, strict=True):
            # Answers are greedy, so all repeats of a request have the same answer.
            instance.resps.extend([answer] * instance.repeats)
    return {name: _outcomes(task, lm) for name, task in tasks.items()}


def _outcomes(task: Task, lm: EngineLM) -> list[ItemOutcome]:
    task.apply_filters()
    of_item: dict[int, list[Instance]] = defaultdict(list)
    for instance in task.instances:
        of_item[instance.doc_id].append(instance)
    outcomes = []
    for filter_name in task.instances[0].filtered_resps:
        for number, requests in sorted(of_item.items()):
            requests.sort(key=lambda request: request.idx)
            outcomes.append(_scored(task, lm, number, requests, filter_name))
    return outcomes


def _scored(
    task: Task, lm: EngineLM, number: int, requests: Sequence[Instance], filter_name: str
) -> ItemOutcome:
    doc = requests[0].doc
    filtered = [request.filtered_resps[filter_name] for request in requests]
    keys = [_key(request) for request in requests]
    failed = next((lm.failed[key] for key in keys if key in lm.failed), "")
    metrics: Mapping[str, Any] = {}
    if not failed:
        try:
            metrics = task.process_results(doc, filtered)
        except Exception as error:  # noqa: BLE001 - an error on one answer must not stop the others
            failed = format_error(error)
    return ItemOutcome(
        number=number,
        doc=doc,
        requests=requests,
        filtered=filtered,
        filter_name=filter_name,
        metrics=metrics,
        finite=not any(key[0] in lm.nonfinite for key in keys),
        too_long=max((lm.too_long[key] for key in keys if key in lm.too_long), default=None),
        thinking=lm.thinking.get(keys[0][0], ""),
        unfinished_thinking=max(
            (lm.unfinished_thinking[key[0]] for key in keys if key[0] in lm.unfinished_thinking), default=None
        ),
        failed=failed,
    )


def _key(request: Instance) -> tuple[str, ...]:
    """Returns the key of a request in the adapter's records of failures."""
    return request.args if request.request_type == "loglikelihood" else (request.args[0],)
