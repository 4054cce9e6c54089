"""What edit quality leaves out because of the edits in force, and the counts of it.

* An edit that a later edit of the same question superseded is not measured: no model can give both answers.
* A neighborhood prompt that an edit in force changes on purpose is not measured: its answer should change.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sequela.edits import Edit, EditsInForce
from sequela.evaluation.edit_quality.probes import EditQualitySettings, ProbePrompt, probes_of
from sequela.results import EDIT_QUALITY, ItemRecord, TaskResult
from sequela.results.metrics import EDITED_NEIGHBORS, NEIGHBORHOOD, SUPERSEDED, MetricInfo
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


def count_results(counts: Sequence[ItemRecord]) -> list[TaskResult]:
    """Returns the number of superseded edits and of edited neighborhood prompts, by task.

    The n of a result is the number of edits concerned.
    """
    groups: dict[tuple[str, str], list[ItemRecord]] = {}
    for record in counts:
        groups.setdefault((record.task, record.metric), []).append(record)
    return [
        TaskResult(
            suite=EDIT_QUALITY,
            task=task,
            metric=metric,
            protocol=FROM_EDITS.name,
            value=sum(record.value for record in members),
            n=len(members),
            items=tuple(members),
        )
        for (task, metric), members in groups.items()
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
            f"{superseded} {'edit' if superseded == 1 else 'edits'} superseded by a later edit of the same "
            "question, not counted"
        )
    if neighbors and metric == NEIGHBORHOOD.name:
        parts.append(
            f"{neighbors} {'prompt' if neighbors == 1 else 'prompts'} that an edit in force changes on "
            "purpose, not counted"
        )
    return "; ".join(parts)


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
