"""Counts the scores and answers of a run that are identical to the unedited model's, bit for bit.

    python benchmarks/unchanged.py runs/grace
    python benchmarks/unchanged.py runs/all-methods --by-checkpoint

For each suite except edit quality, over all checkpoints: the number of scores, the number of items with
their values, answers and details (for choices, the probabilities), how many of them differ from the unedited
model's, how many values are lower or higher, and the number of hits. Prints one line of JSON; with
`--by-checkpoint`, a suite's counts are listed by method and number of edits.
"""

from __future__ import annotations

import argparse
import json
import math
from collections import defaultdict
from pathlib import Path

from sequela.results import EDIT_QUALITY, EvaluationKey, ResultsStore, open_store
from sequela.results.metrics import HIT_RATE

Recorded = dict[tuple[str, ...], tuple[float, object]]
MISSING = (math.nan, None)


def main() -> None:
    """Compares every checkpoint with the unedited model and prints the counts."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--by-checkpoint", action="store_true")
    arguments = parser.parse_args()
    counts: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    with open_store(arguments.run) as store:
        keys = [key for key in store.evaluations() if key.suite != EDIT_QUALITY]
        methods = {one.trajectory: f"{one.editor} {one.variant}".strip() for one in store.edit_records()}
        unedited = {key.suite: key for key in keys if key.n_edits == 0}
        before = {suite: recorded_values(store, key) for suite, key in unedited.items()}
        for key in keys:
            if key.n_edits == 0 or key.suite not in before:
                continue
            prefix = f"{methods[key.trajectory]}, {key.n_edits}, " if arguments.by_checkpoint else ""
            counted = counts[prefix + key.suite]
            for kind, old, new in zip(
                ("scores", "items"), before[key.suite], recorded_values(store, key), strict=True
            ):
                pairs = [(one, new.get(name, MISSING)) for name, one in old.items()]
                counted[kind] += len(pairs)
                counted[f"{kind}_differing"] += sum(one != other for one, other in pairs)
                counted[f"{kind}_lower"] += sum(other[0] < one[0] for one, other in pairs)
                counted[f"{kind}_higher"] += sum(other[0] > one[0] for one, other in pairs)
            for one in store.measurements(key=key):
                if one.metric == HIT_RATE.name:
                    counted["hits"] += round((one.value or 0.0) * one.n)
    print(json.dumps(counts))


def recorded_values(store: ResultsStore, key: EvaluationKey) -> tuple[Recorded, Recorded]:
    """Returns the scores of an evaluation, and its items' values with their answers and details, by name."""
    scores: Recorded = {
        (one.task, one.metric, one.protocol): (_number(one.value), None)
        for one in store.measurements(key=key)
        if one.metric != HIT_RATE.name
    }
    items: Recorded = {
        (one.task, one.metric, one.protocol, str(one.item)): (_number(one.value), (one.answer, one.details))
        for one in store.items(key)
        if one.metric != HIT_RATE.name
    }
    return scores, items


def _number(value: float | None) -> float:
    """Returns the value, or NaN if there is none, which is neither lower nor higher than any other."""
    return math.nan if value is None else value


if __name__ == "__main__":
    main()
