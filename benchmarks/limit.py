"""Scoring relative to the arithmetic limit: FLOP/s over unique tokens divided by the GEMM peak.

    SEQUELA_DATA=<folder> python benchmarks/limit.py --dtype float32

The peak is the fastest of many matrix products (square ones and the model's own), with `torch.mm` and with
oneDNN and a packed weight, in the same dtype and on the same threads; it is measured in every round next to
the scoring, and the median over the rounds is taken for each product. The achieved rate is the minimum of
operations for the requests (every different token in context once, logits where they are needed) divided by
the seconds of `engine.score`. Operations of an engine beyond this minimum are not counted.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Any

from sequela.edited import EditedModel
from sequela.inference import TokenCounters, TorchEngine
from support.arithmetic import count_tokens, flops
from support.gemm import Product, measure, products
from support.program import Log, begin, end, load, options, run
from support.timing import take_turns
from support.tokenizing import score_requests
from support.workloads import QUICK_SCORING, SCORING

Peaks = list[dict[str, float]]
"""FLOP/s of each product by implementation."""


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("--case", choices=sorted(SCORING), default="mmlu")
    given = parser.parse_args()
    begin(given)
    log = Log()
    work = (QUICK_SCORING if given.quick else SCORING)[given.case]()
    model = load(given, log)
    edited, engine = EditedModel(model), TorchEngine(depth_cache=None)
    requests = score_requests(model, engine, work)
    counts, shapes = count_tokens(requests), products(model, given.quick)
    log.say(f"{given.case}: {len(requests)} requests, {counts}")
    engine.score(edited, requests[: len(requests) // 20 + 1])  # warm
    engine.counters = TokenCounters()
    timed = take_turns(
        {
            "gemm": lambda: [measure(product, model.dtype) for product in shapes],
            "score": lambda: engine.score(edited, requests),
        },
        given.rounds,
        log,
        given.case,
    )
    seconds = timed["score"].median
    peaks, table = _peaks(shapes, timed["gemm"].answers)
    operations = flops(model, counts)
    achieved = sum(operations.values()) / seconds
    figures = {
        "case": given.case,
        "peak_fraction": achieved / max(peaks.values()),
        "peak_fraction_torch_mm": achieved / peaks["torch_mm"],
        "achieved_gflops": achieved / 1e9,
        "gemm_peak_gflops": max(peaks.values()) / 1e9,
        "torch_mm_peak_gflops": peaks["torch_mm"] / 1e9,
        "seconds": seconds,
        "unique_tokens": counts.unique,
        "computed_per_unique_token": engine.counters.computed_tokens / given.rounds / counts.unique,
        "asked_per_unique_position": engine.counters.asked_positions / given.rounds / counts.asked,
        "unique_tokens_agree": engine.counters.unique_tokens == counts.unique * given.rounds,
    }
    details: dict[str, Any] = {
        "seconds": timed["score"].seconds,
        "flops": operations,
        "requested_tokens": counts.requested,
        "asked_positions": counts.asked,
        "gemm_gflops": table,
    }
    end("limit", given, figures, details)


def _peaks(
    shapes: Sequence[Product], rounds: Sequence[Peaks]
) -> tuple[dict[str, float], dict[str, dict[str, float]]]:
    """Returns the best product of each implementation in FLOP/s, and the complete table in GFLOP/s."""
    medians = [
        {way: statistics.median(measured[i][way] for measured in rounds) for way in rounds[0][i]}
        for i in range(len(shapes))
    ]
    best = {way: max(measured[way] for measured in medians) for way in medians[0]}
    table = {
        str(shape): {way: round(speed / 1e9, 1) for way, speed in measured.items()}
        for shape, measured in zip(shapes, medians, strict=True)
    }
    return best, table


if __name__ == "__main__":
    run(main)
