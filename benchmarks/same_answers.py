"""Whether our engine answers every item as lm-evaluation-harness's own backend (`HFLM`) does, edited or not.

    SEQUELA_DATA=<folder> python benchmarks/same_answers.py --delta <folder> --delta <folder>

The seven benchmarks, under every protocol, on the unedited model and on saved changes of its weights: the
same task objects are run by `HFLM` around the very same module and by our engine. Written answers must be
equal, letter by letter; of choices the log-probabilities are compared, and which is the likeliest.
Where texts are written `HFLM` runs one row at a time (padding on the left changes its last bits), else a few.
This is a proof, not a timing; it takes long.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lm_eval.evaluator import evaluate

from sequela.deltas import Delta
from sequela.deltas.storage import load_delta
from sequela.evaluation.harness.engine_lm import EngineLM
from sequela.evaluation.harness.quiet import quiet_harness
from sequela.evaluation.harness.suite import HarnessSuite
from sequela.inference import TorchEngine
from sequela.models import EditedModel
from support.harness import hflm
from support.program import Log, begin, end, load, options, run

SUBJECTS = {"mmlu": 5, "bbh": 9}
"""Of a benchmark with parts so many are run, each with its share of the items."""

PROTOCOLS: Mapping[str, tuple[str, ...]] = {
    "mmlu": ("generation", "letters", "answers"),
    "commonsenseqa": ("generation", "letters", "answers"),
}
BENCHMARKS = ("toxigen", "triviaqa", "commonsenseqa", "mmlu", "truthfulqa", "gsm8k", "bbh")
UNEDITED = "unedited"


def main() -> None:
    parser = options(__doc__)
    parser.add_argument(
        "--delta", type=Path, action="append", default=[], help="a saved change; can be repeated"
    )
    parser.add_argument("--items", type=int, default=100, help="items of each task, at least")
    parser.add_argument("--max-new-tokens", type=int, default=96, help="where long written answers end")
    parser.add_argument("--batch-size", type=int, default=4, help="rows that HFLM scores at once")
    parser.add_argument("--benchmarks", nargs="+", choices=BENCHMARKS, default=BENCHMARKS)
    given = parser.parse_args()
    begin(given)
    log = Log()
    model = load(given, log)
    items = 4 if given.quick else given.items
    changes: dict[str, Delta | None] = {UNEDITED: None}
    changes |= {path.name: load_delta(path, model) for path in given.delta}
    suites = [_suite(name, items, given.max_new_tokens, given.quick) for name in given.benchmarks]
    cases: dict[str, Any] = {}
    details: dict[str, Any] = {}
    for label, delta in changes.items():
        with EditedModel(model, delta) as edited:
            for suite in suites:
                for task in suite.tasks:
                    writes = task.file.protocol == "generation"
                    started = time.perf_counter()
                    theirs = _samples(hflm(model, 1 if writes else given.batch_size), task, suite)
                    middle = time.perf_counter()
                    ours = _samples(EngineLM(edited, TorchEngine(depth_cache=None)), task, suite)
                    compared = [_compared(a, b, writes) for a, b in zip(ours, theirs, strict=True)]
                    case = f"{label}: {suite.name}, {task.file.name}, {task.file.protocol}"
                    _add(cases.setdefault(case, {"n": 0, "differing": 0, "max_difference": 0.0}), compared)
                    details[f"{label}: {task.key}"] = compared
                    log.say(f"{case} ({task.name}): {middle - started:.0f} s theirs, {cases[case]}")
    differing = sum(case["differing"] for case in cases.values())
    end("same_answers", given, {"differing": differing, "cases": cases}, details)


def _suite(name: str, items: int, max_new_tokens: int, quick: bool) -> HarnessSuite:
    whole = HarnessSuite(name)
    settings: dict[str, Any] = {"protocols": PROTOCOLS[name]} if name in PROTOCOLS else {}
    if name in SUBJECTS:
        subjects = whole.settings.parts_of(whole.settings.files[0])
        chosen = subjects[:: len(subjects) // SUBJECTS[name]][: 1 if quick else SUBJECTS[name]]
        settings |= {"subjects": chosen}
        items = -(-items // len(chosen))
    if name in ("gsm8k", "bbh"):
        settings |= {"max_new_tokens": 8 if quick else max_new_tokens}
    return HarnessSuite(name, limit=items, **settings)


def _samples(lm: Any, task: Any, suite: HarnessSuite) -> list[dict[str, Any]]:
    with quiet_harness():
        output = evaluate(lm, {task.key: task.task}, limit=suite.settings.limit, bootstrap_iters=0)
    samples: list[dict[str, Any]] = output["samples"][task.key]
    return samples


def _compared(ours: dict[str, Any], theirs: dict[str, Any], writes: bool) -> dict[str, Any]:
    """One item answered twice: whether it is the same answer, and how far log-probabilities lie apart."""
    assert ours["prompt_hash"] == theirs["prompt_hash"]
    if writes:
        one, other = ours["resps"][0][0], theirs["resps"][0][0]
        return {"item": ours["doc_id"], "same": one == other, "difference": 0.0}
    one, other = ([float(responses[0][0]) for responses in side["resps"]] for side in (ours, theirs))
    best = [max(range(len(side)), key=side.__getitem__) for side in (one, other)]
    difference = max(abs(a - b) for a, b in zip(one, other, strict=True))
    return {"item": ours["doc_id"], "same": best[0] == best[1], "difference": difference}


def _add(case: dict[str, Any], compared: list[dict[str, Any]]) -> None:
    case["n"] += len(compared)
    case["differing"] += sum(not item["same"] for item in compared)
    case["max_difference"] = max(case["max_difference"], *(item["difference"] for item in compared))


if __name__ == "__main__":
    run(main)
