"""Scoring speed of Sequela and of lm-evaluation-harness's `HFLM` at its best batch size.

    SEQUELA_DATA=<folder> python benchmarks/score_speed.py --dtype float32

Both receive the same requests, as text, and the same model object, dtype and threads, in alternating rounds.
The time of `loglikelihood` is measured from text to log-probabilities, including tokenization; Sequela also
creates a new engine in each round, so that it cannot use results of an earlier round. The harness keeps its
defaults; its batch size is the fastest of `--batch-sizes` on a sample of the questions.
"""

from __future__ import annotations

import argparse
import gc
from typing import Any

from lm_eval.api.instance import Instance
from lm_eval.models.huggingface import HFLM

from sequela.edited import EditedModel
from sequela.evaluation.lm_eval.adapter import EngineLM
from sequela.evaluation.lm_eval.quiet import quiet_harness
from sequela.inference import TorchEngine
from sequela.models import LanguageModel, load_model
from support.agreement import compare
from support.harness import hflm, logits_bytes, search_batch_size
from support.program import Log, begin, end, load, options, run
from support.timing import take_turns
from support.workloads import QUICK_SCORING, SCORING, ScoringWorkload


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("--cases", nargs="+", choices=sorted(SCORING), default=list(SCORING))
    parser.add_argument("--batch-sizes", type=int, nargs="+", default=[1, 4, 8, 16, 32, 64])
    parser.add_argument(
        "--search-requests",
        type=int,
        default=256,
        help="about how many requests the search for the batch size uses",
    )
    given = parser.parse_args()
    begin(given)
    log = Log()
    workloads = {name: (QUICK_SCORING if given.quick else SCORING)[name]() for name in given.cases}
    model = load(given, log)
    figures: dict[str, Any] = {}
    details: dict[str, Any] = {}
    exact = _exact_answers(given, workloads, log) if given.dtype != "float32" else {}
    with quiet_harness():
        for name, work in workloads.items():
            figures[name], details[name] = _measure(given, work, model, exact.get(name), log)
            log.say(f"{name}: {figures[name]}")
            gc.collect()
    end("score_speed", given, {"cases": figures}, details)


def _measure(
    given: argparse.Namespace,
    work: ScoringWorkload,
    model: LanguageModel,
    exact: list[float] | None,
    log: Log,
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Measures one case; returns the figures and their details."""
    instances = work.instances()
    sample = max(1, given.search_requests * len(work.questions) // len(instances))
    tried = work.sample(sample).instances()
    longest = max(len(model.tokenizer(q.context)["input_ids"]) for q in work.questions)
    log.say(f"{work.name}: {len(work.questions)} questions, {len(instances)} requests")
    _ours(model, work.sample(1).instances())  # warm
    _theirs(hflm(model, 1), work.sample(1).instances())
    search = search_batch_size(
        lambda size: _theirs(hflm(model, size), tried),
        given.batch_sizes,
        len(tried),
        logits_bytes(model, longest),
        log,
    )
    peer = hflm(model, search.best)
    timed = take_turns(
        {
            "ours": lambda: _ours(model, instances),
            "hflm": lambda: _theirs(peer, instances),
        },
        given.rounds,
        log,
        work.name,
    )
    ours, theirs = timed["ours"], timed["hflm"]
    agreement = compare(work, ours.answers[-1], theirs.answers[-1])
    figures = {
        "speedup": theirs.median / ours.median,
        "ours_seconds": ours.median,
        "hflm_seconds": theirs.median,
        "hflm_batch_size": search.best,
        **agreement.figures(),
    }
    details = {
        "seconds": {name: times.seconds for name, times in timed.items()},
        "batch_size_search": search.as_json(),
        "n_requests": len(instances),
        "same_in_every_round": {
            name: all(a == times.answers[0] for a in times.answers) for name, times in timed.items()
        },
        "agreement": agreement.details(),
    }
    if exact is not None:
        against = {name: compare(work, times.answers[-1], exact) for name, times in timed.items()}
        figures["n_differing_from_float32"] = {name: found.n_differing for name, found in against.items()}
        details["against_float32"] = {name: found.figures() for name, found in against.items()}
    return figures, details


def _ours(model: LanguageModel, instances: list[Instance]) -> list[float]:
    answers = EngineLM(EditedModel(model), TorchEngine()).loglikelihood(instances)
    return [logprob for logprob, _ in answers]


def _theirs(peer: HFLM, instances: list[Instance]) -> list[float]:
    answers = peer.loglikelihood(instances, disable_tqdm=True)
    return [logprob for logprob, _ in answers]


def _exact_answers(
    given: argparse.Namespace, workloads: dict[str, ScoringWorkload], log: Log
) -> dict[str, list[float]]:
    """Scores the same questions in float32, as a reference where both round differently."""
    model = load_model(given.model, device="cpu", dtype="float32", progress=log)
    answers = {name: _ours(model, work.instances()) for name, work in workloads.items()}
    log.say("float32 answers: done")
    return answers


if __name__ == "__main__":
    run(main)
