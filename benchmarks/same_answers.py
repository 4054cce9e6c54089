"""Compares the engine with lm-evaluation-harness's own backend (`HFLM`), item by item.

    SEQUELA_DATA=<folder> python benchmarks/same_answers.py --delta <folder> --delta <folder>

The seven benchmarks, under every protocol, on the unedited model and on saved changes of its weights: `HFLM`
around the same module and the engine run the same task objects. Generated answers must be identical; for
choices, the log-probabilities and the most likely choice are compared. For generation `HFLM` runs one row at
a time (padding on the left changes its last bits), otherwise a few. If two log-probabilities differ by more
than the limit, both are compared with the same model in float64, which shows the source of the rounding. This
is a test of agreement without timings, and takes long.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from lm_eval.evaluator import evaluate

from sequela.edited import Delta, EditedModel
from sequela.editors.storage import load_saved_edits
from sequela.evaluation.lm_eval.adapter import EngineLM
from sequela.evaluation.lm_eval.quiet import quiet_harness
from sequela.evaluation.lm_eval.suite import HarnessSuite
from sequela.inference import TorchEngine
from support.harness import hflm
from support.program import Log, begin, end, load, options, run

SUBJECTS = {"mmlu": 5, "bbh": 9}
"""The number of subtasks of a group that are run, each with its share of the items."""

PROTOCOLS: Mapping[str, tuple[str, ...]] = {
    "mmlu": ("generation", "letters", "answers"),
    "commonsenseqa": ("generation", "letters", "answers"),
}
BENCHMARKS = ("toxigen", "triviaqa", "commonsenseqa", "mmlu", "truthfulqa", "gsm8k", "bbh")
UNEDITED = "unedited"
LIMIT = 1e-4
"""The allowed difference of two log-probabilities in nats; larger ones are checked in float64."""
NOTHING: Mapping[str, Any] = {
    "n": 0,
    "differing": 0,
    "max_difference": 0.0,
    "beyond_limit": 0,
    "ours_off": 0.0,
    "theirs_off": 0.0,
}
"""The counts of a case without items; the last two are over the items beyond the limit."""


def main() -> None:
    parser = options(__doc__)
    parser.add_argument(
        "--delta", type=Path, action="append", default=[], help="a folder of saved edits; can be repeated"
    )
    parser.add_argument("--edited-only", action="store_true", help="omit the unedited model")
    parser.add_argument("--items", type=int, default=100, help="minimum number of items of each task")
    parser.add_argument("--max-new-tokens", type=int, default=96, help="limit of long generated answers")
    parser.add_argument("--batch-size", type=int, default=4, help="number of rows that HFLM scores at once")
    parser.add_argument("--benchmarks", nargs="+", choices=BENCHMARKS, default=BENCHMARKS)
    given = parser.parse_args()
    begin(given)
    log = Log()
    model = load(given, log)
    items = 4 if given.quick else given.items
    changes: dict[str, Delta | None] = {} if given.edited_only else {UNEDITED: None}
    changes |= {path.name: load_saved_edits(path, model).delta for path in given.delta}
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
                    lm = EngineLM(edited, TorchEngine(depth_cache=None))
                    ours = _samples(lm, task, suite)
                    compared = [_compared(a, b, writes) for a, b in zip(ours, theirs, strict=True)]
                    for item, a, b in zip(compared, ours, theirs, strict=True):
                        if item["difference"] > LIMIT:
                            item |= _float64_errors(lm, a, b)
                    case = f"{label}: {suite.name}, {task.file.name}, {task.file.protocol}"
                    _add(cases.setdefault(case, dict(NOTHING)), compared)
                    details[f"{label}: {task.key}"] = compared
                    log.say(f"{case} ({task.name}): {middle - started:.0f} s theirs, {cases[case]}")
    differing = sum(case["differing"] for case in cases.values())
    end("same_answers", given, {"differing": differing, "cases": cases}, details)


def _suite(name: str, items: int, max_new_tokens: int, quick: bool) -> HarnessSuite:
    whole = HarnessSuite(name)
    settings: dict[str, Any] = {"protocols": PROTOCOLS[name]} if name in PROTOCOLS else {}
    if name in SUBJECTS:
        subjects = whole.settings.subtasks_of(whole.settings.files[0])
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
    """Returns whether both answers to an item are the same, and the difference of the log-probabilities."""
    assert ours["prompt_hash"] == theirs["prompt_hash"]
    if writes:
        one, other = ours["resps"][0][0], theirs["resps"][0][0]
        return {"item": ours["doc_id"], "same": one == other, "difference": 0.0}
    one, other = ([float(responses[0][0]) for responses in side["resps"]] for side in (ours, theirs))
    best = [max(range(len(side)), key=side.__getitem__) for side in (one, other)]
    difference = max(abs(a - b) for a, b in zip(one, other, strict=True))
    return {"item": ours["doc_id"], "same": best[0] == best[1], "difference": difference}


def _float64_errors(lm: EngineLM, ours: dict[str, Any], theirs: dict[str, Any]) -> dict[str, Any]:
    """Returns the distance of both sides' log-probabilities of an item from those in float64."""
    exact = copy.deepcopy(lm.edited.base.module).double()
    off = {"ours_off": 0.0, "theirs_off": 0.0}
    for arguments, one, other in zip(ours["arguments"], ours["resps"], theirs["resps"], strict=True):
        context, continuation = lm._encode_pair(*arguments)
        ids = torch.tensor([context + continuation])
        with torch.no_grad():
            logprobs = exact(ids).logits[0].double().log_softmax(-1)
        positions = range(len(context) - 1, ids.shape[1] - 1)
        exact_sum = sum(float(logprobs[at, token]) for at, token in zip(positions, continuation, strict=True))
        off["ours_off"] = max(off["ours_off"], abs(float(one[0][0]) - exact_sum))
        off["theirs_off"] = max(off["theirs_off"], abs(float(other[0][0]) - exact_sum))
    return off


def _add(case: dict[str, Any], compared: list[dict[str, Any]]) -> None:
    case["n"] += len(compared)
    case["differing"] += sum(not item["same"] for item in compared)
    case["max_difference"] = max(case["max_difference"], *(item["difference"] for item in compared))
    case["beyond_limit"] += sum(item["difference"] > LIMIT for item in compared)
    for side in ("ours_off", "theirs_off"):
        case[side] = max(case[side], *(item.get(side, 0.0) for item in compared))


if __name__ == "__main__":
    run(main)
