"""What of a run is, to the last bit, what the unedited model scored and answered.

    python benchmarks/unchanged.py runs/grace

For each suite but the edits' own, over all checkpoints: how many scores there are and how many items with
their values and answers, how many of them differ from the unedited model's, and how many requests hit. One
line of JSON.
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from pathlib import Path

from sequela.results import EDIT_QUALITY, HIT_RATE, EvaluationKey, ResultsStore, open_store

Told = dict[tuple[str, ...], object]


def main() -> None:
    """Compares every checkpoint with the unedited model and prints the counts."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("run", type=Path)
    arguments = parser.parse_args()
    counts: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    with open_store(arguments.run) as store:
        keys = [key for key in store.evaluations() if key.suite != EDIT_QUALITY]
        unedited = {key.suite: key for key in keys if key.n_edits == 0}
        before = {suite: told_by(store, key) for suite, key in unedited.items()}
        for key in keys:
            if key.n_edits == 0 or key.suite not in before:
                continue
            counted = counts[key.suite]
            for kind, old, new in zip(
                ("scores", "items"), before[key.suite], told_by(store, key), strict=True
            ):
                counted[kind] += len(old)
                counted[f"{kind}_differing"] += sum(new.get(name) != one for name, one in old.items())
            for one in store.measurements(key=key):
                if one.metric == HIT_RATE:
                    counted["hits"] += round((one.value or 0.0) * one.n)
    print(json.dumps(counts))


def told_by(store: ResultsStore, key: EvaluationKey) -> tuple[Told, Told]:
    """The scores of an evaluation, and its items' values and answers, by name."""
    scores: Told = {
        (one.task, one.metric, one.protocol): one.value
        for one in store.measurements(key=key)
        if one.metric != HIT_RATE
    }
    items: Told = {
        (one.task, one.metric, one.protocol, str(one.item)): (one.value, one.answer)
        for one in store.items(key)
        if one.metric != HIT_RATE
    }
    return scores, items


if __name__ == "__main__":
    main()
