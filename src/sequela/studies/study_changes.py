"""What differs between the study of a run and a later version of it, and what that means for its results."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

_AXES = ("models", "editors", "suites", "checkpoints", "order_seeds")
"""The keys whose entries are independent: one more or less leaves the results of the others."""


def describe_changes(earlier: Mapping[str, Any], current: Mapping[str, Any]) -> list[str]:
    """Returns each change of a study in a sentence without a full stop.

    Args:
        earlier: The configuration of the run, as its manifest has it.
        current: That of the study now.
    """
    changes: list[str] = []
    for key in dict.fromkeys((*earlier, *current)):
        before, after = earlier.get(key), current.get(key)
        if before == after:
            continue
        if key == "edits" and isinstance(before, dict) and isinstance(after, dict):
            changes += _of_edits(before, after)
        elif key in _AXES and isinstance(before, list) and isinstance(after, list):
            changes += _of_axis(key, before, after)
        else:
            changes.append(f"{key}: {_shown(before)} became {_shown(after)}; everything is measured again")
    return changes


def _of_edits(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[str]:
    """Yields the changes of the edits: another sample of the same edits leaves the results of the others."""
    samples = [one.get("samples") for one in (before, after)]
    others = [{key: value for key, value in one.items() if key != "samples"} for one in (before, after)]
    if others[0] == others[1] and samples[0] and samples[1]:
        yield from _of_axis("edits.samples", samples[0], samples[1])
    else:
        yield f"edits: {_shown(before)} became {_shown(after)}; everything is measured again"


def _of_axis(key: str, before: Sequence[Any], after: Sequence[Any]) -> Iterator[str]:
    """Yields the changes of a list whose entries are independent."""
    for one in before:
        if one not in after:
            changed = [other for other in after if _name(other) == _name(one) and other not in before]
            ending = "is changed; its results are measured again" if changed else "is gone, with its results"
            yield f"{key}: {_name(one)} {ending}"
    known = [_name(one) for one in before]
    for one in after:
        if one not in before and _name(one) not in known:
            yield f"{key}: {_name(one)} is new; the other results stay"


def _name(entry: Any) -> str:
    return str(entry["name"]) if isinstance(entry, dict) and "name" in entry else str(entry)


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
