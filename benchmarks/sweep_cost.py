"""The cost of one more checkpoint: a sweep of edited models, with and without the depth cache.

    SEQUELA_DATA=<folder> python benchmarks/sweep_cost.py --dtype float32

Every checkpoint is scored on a mixed suite by an engine that keeps hidden states at the lowest edited layer
and by one that keeps none; the scores must be equal bit for bit. The edits are random low-rank changes of the
MLP output weights that an editor would change, since their content does not affect the cost. Each round
starts with an empty cache, so its first checkpoint includes the cost of filling it.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import Any

import torch

from sequela.edited import Delta, EditedModel
from sequela.edited.updates import LowRank
from sequela.inference import DepthCache, ScoreRequest, TorchEngine
from sequela.models import LanguageModel
from support.arithmetic import count_tokens, flops
from support.program import Log, begin, end, load, options, run
from support.timing import timed
from support.tokenizing import score_requests
from support.workloads import QUICK_SCORING, commonsenseqa, mmlu, truthfulqa

LATE_DEPTH = 0.9
"""The relative depth of the layer that the late editor changes."""

MID_LAYERS: Mapping[str, tuple[int, ...]] = MappingProxyType({"rome": (7,), "memit": (6, 7, 8, 9, 10)})
"""The layers that Sequela's ROME and MEMIT edit in the default model."""

EDIT_NORM = 0.05
"""The norm of one checkpoint's change, relative to the norm of the weight."""


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("--checkpoints", type=int, default=6)
    parser.add_argument("--cache-gib", type=float, default=2.0, help="memory of the depth cache")
    given = parser.parse_args()
    begin(given)
    log = Log()
    works = (
        [make() for make in QUICK_SCORING.values()]
        if given.quick
        else [mmlu(subjects=2, questions=30), truthfulqa(questions=40), commonsenseqa(questions=60)]
    )
    model = load(given, log)
    requests = [request for work in works for request in score_requests(model, TorchEngine(), work)]
    log.say(f"{len(requests)} requests")
    operations = flops(model, count_tokens(requests))
    late = int(LATE_DEPTH * model.n_layers)
    cases = {"late": (late,), **MID_LAYERS}
    figures: dict[str, Any] = {}
    details: dict[str, Any] = {}
    for name, layers in cases.items():
        model.check_layers(layers)
        memory = int(given.cache_gib * 2**30)
        rounds = [
            _sweep(model, _checkpoints(model, layers, given.checkpoints), requests, memory, bool(number % 2))
            for number in range(given.rounds)
        ]
        figures[name], details[name] = _describe(layers, rounds)
        figures[name]["arithmetic_fraction"] = _arithmetic_fraction(operations, model.n_layers, layers)
        log.say(f"{name}: {figures[name]}")
    end("sweep_cost", given, {"cases": figures, "n_requests": len(requests)}, details)


def _checkpoints(model: LanguageModel, layers: Sequence[int], count: int) -> list[EditedModel]:
    """Returns models with one, two, three ... random edits of rank one on every layer."""
    source = torch.Generator().manual_seed(0)
    total = Delta.empty(model.fingerprint)
    models: list[EditedModel] = []
    for _ in range(count):
        updates = {}
        for layer in layers:
            stored = model.mlp_out_weight(layer).detach()
            weight = model.family.as_out_in(stored).float()
            b = torch.randn(weight.shape[0], 1, generator=source)
            a = torch.randn(1, weight.shape[1], generator=source)
            scale = EDIT_NORM * float(weight.norm() / (b.norm() * a.norm()))
            updates[model.family.mlp_out_name(layer)] = LowRank(b * scale, a)
        total = total + Delta(model.fingerprint, updates)
        models.append(EditedModel(model, total))
    return models


def _sweep(
    model: LanguageModel,
    checkpoints: Sequence[EditedModel],
    requests: Sequence[ScoreRequest],
    memory: int,
    plain_first: bool,
) -> dict[str, Any]:
    """Runs one round; returns the seconds of each checkpoint by engine, and whether all scores are equal."""
    engines = {
        "cached": TorchEngine(depth_cache=DepthCache(memory=memory)),
        "plain": TorchEngine(depth_cache=None),
    }
    engines["plain"].score(EditedModel(model), requests[:8])  # warm
    seconds: dict[str, list[float]] = {name: [] for name in engines}
    equal = True
    for number, checkpoint in enumerate(checkpoints):
        answers = {}
        for name in sorted(engines, reverse=plain_first ^ bool(number % 2)):
            spent, answers[name] = timed(partial(engines[name].score, checkpoint, requests))
            seconds[name].append(spent)
        equal &= answers["cached"] == answers["plain"]
    return {"seconds": seconds, "bit_equal": equal}


def _arithmetic_fraction(operations: Mapping[str, int], n_layers: int, layers: Sequence[int]) -> float:
    """Returns the share of the arithmetic in the blocks from the lowest edited one up, and the head."""
    blocks = operations["linear"] + operations["attention"]
    left = blocks * (n_layers - min(layers)) / n_layers + operations["head"]
    return left / sum(operations.values())


def _describe(
    layers: Sequence[int], rounds: Sequence[dict[str, Any]]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Returns the figures of one editor and their details."""
    first = [sweep["seconds"]["cached"][0] for sweep in rounds]
    later = [spent for sweep in rounds for spent in sweep["seconds"]["cached"][1:]]
    plain = [spent for sweep in rounds for spent in sweep["seconds"]["plain"]]
    totals = {way: [sum(sweep["seconds"][way]) for sweep in rounds] for way in ("cached", "plain")}
    full = statistics.median(plain)
    figures = {
        "layers": list(layers),
        "re_evaluation_fraction": statistics.median(later) / full,
        "first_checkpoint_fraction": statistics.median(first) / full,
        "speedup": statistics.median(totals["plain"]) / statistics.median(totals["cached"]),
        "full_seconds": full,
        "later_checkpoint_seconds": statistics.median(later),
        "bit_equal": all(sweep["bit_equal"] for sweep in rounds),
    }
    return figures, {"rounds": list(rounds)}


if __name__ == "__main__":
    run(main)
