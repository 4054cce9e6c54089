"""The edit set of a run: the findings about it, and edit scores split by what is known of the edits."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from sequela.reports.formatting import format_with_error
from sequela.results import (
    EDIT_QUALITY,
    EditFinding,
    ItemRecord,
    KnownBefore,
    Manifest,
    Suites,
    known_before_of,
    mean_and_stderr,
    protocol_info,
)
from sequela.results.edit_finding import SHARED_KEY
from sequela.results.metrics import metric_rank
from sequela.results.protocols import FROM_EDITS

KNOWN_BEFORE_TITLES: Mapping[KnownBefore, str] = {
    KnownBefore.NEW: "new answer before",
    KnownBefore.OLD: "old answer before",
    KnownBefore.OTHER: "another answer before",
    KnownBefore.NOTHING: "no answer before",
}
"""The titles of the groups of edits by the unedited model's answer."""

ALL = "all edits"
SHARING = "key shared with another edit"


@dataclass(frozen=True)
class FindingRow:
    """A finding about the edits, or about a sample of them.

    `models` names those whose tokenizer it depends on, if not all share it.
    """

    title: str
    count: int
    of: int
    n_edits: int
    consequence: str
    examples: tuple[str, ...]
    models: str
    edit_sample: int | None = None


@dataclass(frozen=True)
class SplitRow:
    """A score of edits, over all of them and over each group."""

    task: str
    quantity: str
    protocol: str
    cells: tuple[str, ...]


@dataclass(frozen=True)
class SplitTable:
    """The edit scores of one trajectory at its last checkpoint, by groups of edits (the columns)."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[SplitRow, ...]


def finding_rows(manifest: Manifest) -> tuple[FindingRow, ...]:
    """Returns the findings about a run's edits, each once."""
    models: dict[EditFinding, list[str]] = defaultdict(list)
    for model, findings in manifest.edit_findings.items():
        for one in findings:
            models[one].append(model)
    n_models = len(manifest.edit_findings)
    return tuple(
        FindingRow(
            title=one.title,
            count=one.count,
            of=one.of,
            n_edits=len(one.edit_ids),
            consequence=one.consequence,
            examples=one.examples,
            models="" if len(found) == n_models else ", ".join(found),
            edit_sample=one.edit_sample,
        )
        for one, found in models.items()
    )


def split_table(
    title: str, items: Sequence[ItemRecord], sharing: Collection[str], suites: Suites
) -> SplitTable | None:
    """Returns the scores of edits by groups of edits; None if there is only one group.

    Args:
        title: The title of the trajectory.
        items: The edit-quality items of its last checkpoint.
        sharing: The ids of edits whose key is also another's.
        suites: The suites of the run.
    """
    scored = [one for one in items if one.protocol != FROM_EDITS.name]
    groups = dict(_groups(scored, sharing))
    if len(groups) < 3:  # all edits, and a single group that equals them
        return None
    quantities = dict.fromkeys((one.task, one.metric, one.protocol) for one in scored)
    rows = [
        SplitRow(
            task=task,
            quantity=suites.metric(EDIT_QUALITY, metric).label,
            protocol=protocol_info(protocol).label,
            cells=tuple(
                _cell(
                    [
                        one.value
                        for one in members
                        if (one.task, one.metric, one.protocol) == (task, metric, protocol)
                    ],
                    suites.metric(EDIT_QUALITY, metric).is_share,
                )
                for members in groups.values()
            ),
        )
        for task, metric, protocol in sorted(quantities, key=lambda one: (one[0], metric_rank(one[1])))
    ]
    return SplitTable(title, tuple(groups), tuple(rows))


def sharing_ids(manifest: Manifest, edit_sample: int | None = None) -> frozenset[str]:
    """Returns the ids of the edits whose key is also another's.

    Args:
        manifest: The manifest of the run.
        edit_sample: The sample of edits; None if the study has none.
    """
    return frozenset(
        id_
        for findings in manifest.edit_findings.values()
        for one in findings
        if one.kind == SHARED_KEY and one.edit_sample == edit_sample
        for id_ in one.edit_ids
    )


def _groups(items: Sequence[ItemRecord], sharing: Collection[str]) -> Iterator[tuple[str, list[ItemRecord]]]:
    """Yields the groups of edits that have members, by title."""
    yield ALL, list(items)
    for known, title in KNOWN_BEFORE_TITLES.items():
        members = [one for one in items if known_before_of(one) is known]
        if members:
            yield title, members
    members = [one for one in items if one.item in sharing]
    if members:
        yield SHARING, members


def _cell(values: Iterable[float], share: bool) -> str:
    scores = list(values)
    if not scores:
        return "–"
    mean, stderr = mean_and_stderr(scores)
    return f"{format_with_error(mean, stderr, share=share)} ({len(scores)})"
