"""The error rates of the readers of generated answers, against labels that were given by hand.

    SEQUELA_DATA=<folder> python benchmarks/reader_errors.py

Reads `tests/evaluation/lm_eval/labeled_answers` and prints a table in Markdown: for each benchmark, state of
the model and reading, the share of answers with another verdict than the label, with Wilson's 95 % interval,
and how many answers were missed, invented, or taken for another one.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from sequela.results import wilson_interval
from support.reading_errors import READINGS, STATES, Errors, errors, labeled_answers

FOLDER = Path(__file__).parents[1] / "tests" / "evaluation" / "lm_eval" / "labeled_answers"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, default=FOLDER, help="the folder of labeled answers")
    given = parser.parse_args()
    found = errors(list(labeled_answers(given.folder)))
    lines = ["| benchmark | model | reading | n | wrong verdicts | missed | invented | another |"]
    lines.append("|---|---|---|--:|--:|--:|--:|--:|")
    benchmarks = list(dict.fromkeys(benchmark for benchmark, _, _ in found))
    for benchmark in benchmarks:
        for state in STATES:
            for reading in READINGS:
                lines.append(_line(benchmark, state, reading, found[benchmark, state, reading]))
    for state in STATES:
        for reading in READINGS:
            parts = [found[benchmark, state, reading] for benchmark in benchmarks]
            lines.append(_line("all", state, reading, _sum(parts)))
    sys.stdout.write("\n".join(lines) + "\n")


def _sum(parts: list[Errors]) -> Errors:
    return Errors(
        sum(one.n for one in parts),
        sum(one.verdicts for one in parts),
        sum(one.missed for one in parts),
        sum(one.invented for one in parts),
        sum(one.other for one in parts),
    )


def _line(benchmark: str, state: str, reading: str, one: Errors) -> str:
    low, high = wilson_interval(one.verdicts / one.n, one.n)
    share = f"{one.verdicts}: {one.verdicts / one.n:.1%} ({low:.1%} to {high:.1%})"
    return (
        f"| {benchmark} | {state} | {reading} | {one.n} | {share} "
        f"| {one.missed} | {one.invented} | {one.other} |"
    )


if __name__ == "__main__":
    main()
