"""Edits and probes that edit quality leaves out, and their counts.

* An edit that a later edit of the same question superseded is not measured: no model can give both answers.
* A neighborhood prompt that an edit in force changes on purpose is not measured: its answer should change.
* A prompt that doesn't fit the model's context can't be asked: it is left out of its edit's mean.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sequela.core.wording import number_of
from sequela.edits import Edit, EditsInForce
from sequela.evaluation.edit_quality.probes import EditQualitySettings, ProbePrompt, probes_of
from sequela.results import (
    EDIT_QUALITY,
    RETENTION_AT_N,
    SUCCESS_AT_EDIT,
    ItemRecord,
    TaskResult,
    count_of_edits,
    result_like,
)
from sequela.results.metrics import EDITED_NEIGHBORS, NEIGHBORHOOD, SUPERSEDED, UNASKED_PROMPTS, MetricInfo
from sequela.results.protocols import FROM_EDITS


@dataclass(frozen=True)
class SelectedProbes:
    """The probes to measure.

    Args:
        asked: The edits with their probes.
        counts: A record for each superseded edit, and for each edit of which neighborhood prompts are left
            out; its value is their number.
    """

    asked: tuple[tuple[Edit, ProbePrompt], ...]
    counts: tuple[ItemRecord, ...]


def select_probes(
    edits: Sequence[Edit], task: str, settings: EditQualitySettings, in_force: EditsInForce | None
) -> SelectedProbes:
    """Returns the probes of edits, without those that the edits in force make pointless.

    Args:
        edits: The edits to measure.
        task: The task in the records.
        settings: The settings of the measurement.
        in_force: The edits in force on the model; None to leave nothing out.
    """
    asked: list[tuple[Edit, ProbePrompt]] = []
    counts: list[ItemRecord] = []
    for edit in edits:
        probes = probes_of(edit, settings)
        if in_force is not None:
            later = in_force.superseding(edit)
            if later is not None:
                counts.append(_count(task, SUPERSEDED, edit, 1, superseded_by=later.id))
                continue
            changed = [probe for probe in probes if _is_changed(probe, edit, in_force)]
            if changed:
                prompts = [probe.prompt for probe in changed]
                counts.append(_count(task, EDITED_NEIGHBORS, edit, len(changed), left_out=prompts))
                probes = [probe for probe in probes if probe not in changed]
        asked += ((edit, probe) for probe in probes)
    return SelectedProbes(tuple(asked), tuple(counts))


def is_count(record: ItemRecord) -> bool:
    """Returns whether a record counts what was left out."""
    return record.protocol == FROM_EDITS.name


def count_results(counts: Sequence[ItemRecord], scored: Sequence[ItemRecord]) -> list[TaskResult]:
    """Returns the number of superseded edits and of edited neighborhood prompts, by task.

    The n of a result is the number of all edits, or of all neighborhood prompts, of the task.

    Args:
        counts: The records that count what is left out.
        scored: The records of what was measured.
    """
    groups: dict[tuple[str, str], list[ItemRecord]] = {}
    for record in counts:
        groups.setdefault((record.task, record.metric), []).append(record)
    return [
        count_of_edits(
            task,
            metric,
            value := sum(record.value for record in members),
            int(value) + _neighborhood_prompts(scored, task)
            if metric == EDITED_NEIGHBORS.name
            else len({one.item for one in (*scored, *counts) if one.task == task}),
            members,
        )
        for (task, metric), members in groups.items()
    ]


def without_items(
    records: Sequence[ItemRecord], groups: Iterable[tuple[str, str, str]], counts: Sequence[ItemRecord]
) -> list[TaskResult]:
    """Returns a result without a value for each kind of `retention@n` of which nothing is left to measure.

    Such a kind was measured right after the edits, but all its edits or prompts are now left out.

    Args:
        records: The records of what was measured.
        groups: Their tasks, metrics and protocols.
        counts: The records that count what is left out.
    """
    known = set(groups)
    first = {
        (one.metric, one.protocol): one.model_copy(update={"task": RETENTION_AT_N})
        for one in reversed(records)
        if one.task == SUCCESS_AT_EDIT and (RETENTION_AT_N, one.metric, one.protocol) not in known
    }
    return [
        result_like(one, None, note=note)
        for one in reversed(first.values())
        if (note := left_out_note(counts, RETENTION_AT_N, one.metric))
    ]


def left_out_note(counts: Sequence[ItemRecord], task: str, metric: str) -> str:
    """Returns a note on what a score leaves out; empty if it is complete.

    Args:
        counts: The counts of all tasks.
        task: The task of the score.
        metric: The metric of the score.
    """
    own = [record for record in counts if record.task == task]
    superseded = sum(record.metric == SUPERSEDED.name for record in own)
    neighbors = sum(int(record.value) for record in own if record.metric == EDITED_NEIGHBORS.name)
    parts = []
    if superseded:
        parts.append(
            f"{number_of('edit', superseded)} superseded by a later edit of the same question, not counted"
        )
    if neighbors and metric == NEIGHBORHOOD.name:
        parts.append(
            f"{number_of('prompt', neighbors)} that an edit in force changes on purpose, not counted"
        )
    return "; ".join(parts)


def count_unasked(records: Iterable[ItemRecord]) -> list[TaskResult]:
    """Returns the number of prompts longer than the model's context, by task; n is that of all prompts.

    Args:
        records: The records of edits; a task all of whose prompts fit has no count.
    """
    prompts: dict[str, dict[tuple[str, str, str], bool]] = defaultdict(dict)
    for record in records:
        for one in record.details.get("prompts", ()):
            prompt = (record.item, record.metric, one["prompt"])
            prompts[record.task][prompt] = one["too_long"] is not None or prompts[record.task].get(
                prompt, False
            )
    return [
        count_of_edits(task, UNASKED_PROMPTS.name, sum(found.values()), len(found))
        for task, found in prompts.items()
        if any(found.values())
    ]


def unasked_note(records: Iterable[ItemRecord]) -> str:
    """Returns a note on the prompts that are left out of the means of edits; empty if there are none.

    Args:
        records: The records of one score. Those none of whose prompts fit have a note of their own.
    """
    lengths = [
        one["too_long"]
        for record in records
        if record.answered
        for one in record.details.get("prompts", ())
        if one["too_long"] is not None
    ]
    if not lengths:
        return ""
    return (
        f"{number_of('prompt', len(lengths))} longer than the model's context (up to {max(lengths)} "
        "tokens), left out"
    )


def _neighborhood_prompts(scored: Iterable[ItemRecord], task: str) -> int:
    """Returns the number of neighborhood prompts that were measured for a task."""
    return len(
        {
            (record.item, one["prompt"])
            for record in scored
            if record.task == task and record.metric == NEIGHBORHOOD.name
            for one in record.details.get("prompts", ())
        }
    )


def _is_changed(probe: ProbePrompt, edit: Edit, in_force: EditsInForce) -> bool:
    """Returns whether a probe is a neighborhood prompt that an edit in force changes on purpose."""
    return probe.metric == NEIGHBORHOOD.name and in_force.asking(probe.prompt, edit.relation) is not None


def _count(task: str, metric: MetricInfo, edit: Edit, value: int, **details: str | list[str]) -> ItemRecord:
    return ItemRecord(
        suite=EDIT_QUALITY,
        task=task,
        metric=metric.name,
        protocol=FROM_EDITS.name,
        item=edit.id,
        value=float(value),
        prompt=edit.question,
        expected=edit.target_new,
        details=details,
    )
