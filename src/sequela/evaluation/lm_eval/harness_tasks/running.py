"""Asks the requests of the harness's tasks and lets each task judge the answers, item by item."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lm_eval.api.instance import Instance
from lm_eval.api.task import Task

from sequela.evaluation.answer_status import format_error
from sequela.evaluation.lm_eval.adapter import EngineLM
from sequela.evaluation.lm_eval.harness_tasks.loading import FEWSHOT_SEED


@dataclass(frozen=True)
class ItemOutcome:
    """One item of a task with its answers, as one of the task's filters gives them.

    Args:
        number: The item's place in its split, from 0.
        doc: The item's row.
        requests: What was asked, in order.
        filtered: The answers after the filter.
        filter_name: The filter; `none` where the task has no filters of its own.
        metrics: What the task makes of the answers; empty if it failed.
        finite: Whether every logit behind the answers was a number.
        too_long: The tokens of the longest request that doesn't fit in the model's context, if there is one.
        failed: Why the item couldn't be asked or judged; empty if it could.
    """

    number: int
    doc: Mapping[str, Any]
    requests: Sequence[Instance]
    filtered: Sequence[Any]
    filter_name: str
    metrics: Mapping[str, Any]
    finite: bool
    too_long: int | None
    failed: str

    @property
    def answered(self) -> bool:
        """Whether the model gave an answer that could be judged."""
        return self.finite and self.too_long is None and not self.failed


def run_tasks(tasks: Mapping[str, Task], lm: EngineLM, limit: int | None) -> dict[str, list[ItemOutcome]]:
    """Returns the outcomes of every task: its items in order, once for each of its filters.

    Requests of one kind are asked together, over all tasks.

    Args:
        tasks: The tasks.
        lm: The edited model.
        limit: How many items of each task, from the first on; all if None.
    """
    by_kind: dict[str, list[Instance]] = defaultdict(list)
    for task in tasks.values():
        task.set_fewshot_seed(FEWSHOT_SEED)
        task.build_all_requests(limit=limit, rank=0, world_size=1)
        for instance in task.instances:
            by_kind[instance.request_type].append(instance)
    for kind, instances in by_kind.items():
        answers = getattr(lm, kind)(instances)
        for instance, answer in zip(instances, answers, strict=True):
            # Answers are greedy: asked again, a repeated request would be answered the same.
            instance.resps.extend([answer] * instance.repeats)
    return {name: _outcomes(task, lm) for name, task in tasks.items()}


def _outcomes(task: Task, lm: EngineLM) -> list[ItemOutcome]:
    task.apply_filters()
    of_item: dict[int, list[Instance]] = defaultdict(list)
    for instance in task.instances:
        of_item[instance.doc_id].append(instance)
    found = []
    for filter_name in task.instances[0].filtered_resps:
        for number, requests in sorted(of_item.items()):
            requests.sort(key=lambda request: request.idx)
            found.append(_judged(task, lm, number, requests, filter_name))
    return found


def _judged(
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
        except Exception as error:  # noqa: BLE001 - whatever one answer does to a task, the others are judged
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
        failed=failed,
    )


def _key(request: Instance) -> tuple[str, ...]:
    """The name under which the adapter remembers what went wrong with a request."""
    return request.args if request.request_type == "loglikelihood" else (request.args[0],)
