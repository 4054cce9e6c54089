"""Generation speed of Sequela, lm-evaluation-harness's `HFLM` and, where it is installed, vLLM.

    SEQUELA_DATA=<folder> python benchmarks/generate_speed.py --dtype float32 [--vllm-python <env>/bin/python]

All continue the same prompts greedily, with the same weights, dtype and threads, in alternating rounds. The
time is measured from text to text for Sequela and the harness, and from token ids to text for vLLM, which
runs in a separate process and environment, with its model loaded and warm before the first round and its
prefix cache emptied after each. The harness's batch size is the fastest of `--batch-sizes` on a sample of the
workload.
"""

from __future__ import annotations

import argparse
import contextlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from lm_eval.api.instance import Instance
from lm_eval.models.huggingface import HFLM

from sequela.edited import EditedModel
from sequela.evaluation.lm_eval.adapter import EngineLM
from sequela.evaluation.lm_eval.quiet import quiet_harness
from sequela.inference import TorchEngine
from sequela.models import LanguageModel
from support.harness import cache_bytes, hflm, search_batch_size
from support.program import Log, begin, end, load, options, run
from support.timing import Timed, take_turns
from support.vllm_peer import VllmPeer, vllm_peer
from support.workloads import GenerationWorkload, gsm8k


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("--problems", type=int, default=64)
    parser.add_argument("--max-new-tokens", type=int, default=256)
    parser.add_argument("--batch-sizes", type=int, nargs="+", default=[8, 16, 32, 64])
    parser.add_argument("--search-items", type=int, default=64, help="problems of the batch size search")
    parser.add_argument("--vllm-python", type=Path, help="the Python of an environment with vLLM")
    given = parser.parse_args()
    begin(given)
    log = Log()
    work = gsm8k(*((3, 16) if given.quick else (given.problems, given.max_new_tokens)))
    model = load(given, log)
    ids = [EngineLM(EditedModel(model), TorchEngine()).tok_encode(prompt) for prompt in work.prompts]
    log.say(f"{len(work.prompts)} problems, prompts of up to {max(map(len, ids))} tokens")
    with quiet_harness(), _vllm(given, work, ids) as vllm:
        best, searched = _best_batch_size(given, work, model, max(map(len, ids)), log)
        instances, peer = work.instances(), hflm(model, best)
        contestants: dict[str, Callable[[], list[str]]] = {
            "ours": lambda: _ours(model, instances),
            "hflm": lambda: _theirs(peer, instances),
        }
        if vllm is not None:
            contestants["vllm"] = vllm.generate
        timed = take_turns(contestants, given.rounds, log, work.name)
    figures, details = _describe(timed, log)
    figures["hflm"]["batch_size"] = best
    details["batch_size_search"] = searched
    if vllm is not None:
        details["vllm"] = vllm.about
    end("generate_speed", given, {"cases": {work.name: figures}}, details)


@contextlib.contextmanager
def _vllm(
    given: argparse.Namespace, work: GenerationWorkload, ids: Sequence[Sequence[int]]
) -> Iterator[VllmPeer | None]:
    """Yields vLLM if its Python was given, else None."""
    if given.vllm_python is None:
        yield None
        return
    with vllm_peer(given.vllm_python, given.model, given.dtype, work, ids) as peer:
        yield peer


def _best_batch_size(
    given: argparse.Namespace, work: GenerationWorkload, model: LanguageModel, longest: int, log: Log
) -> tuple[int, dict[str, Any]]:
    """Returns the harness's fastest batch size and the record of the search."""
    brief = GenerationWorkload(work.name, work.prompts[:1], work.stop, max_new_tokens=4)
    _ours(model, brief.instances())  # warm
    _theirs(hflm(model, 1), brief.instances())
    sample = work.sample(given.search_items)
    needed = cache_bytes(model, longest + work.max_new_tokens)
    search = search_batch_size(
        lambda size: _theirs(hflm(model, size), sample.instances()),
        given.batch_sizes,
        len(sample.prompts),
        needed,
        log,
    )
    return search.best, search.as_json()


def _ours(model: LanguageModel, instances: list[Instance]) -> list[str]:
    return EngineLM(EditedModel(model), TorchEngine()).generate_until(instances)


def _theirs(peer: HFLM, instances: list[Instance]) -> list[str]:
    texts: list[str] = peer.generate_until(instances, disable_tqdm=True)
    return texts


def _describe(timed: dict[str, Timed], log: Log) -> tuple[dict[str, Any], dict[str, Any]]:
    """Returns the figures for every other program and the comparison text by text."""
    ours = timed["ours"]
    figures: dict[str, Any] = {
        "speedup": timed["hflm"].median / ours.median,
        "ours_seconds": ours.median,
        "n_items": len(ours.answers[-1]),
    }
    details: dict[str, Any] = {"seconds": {name: times.seconds for name, times in timed.items()}}
    for name, times in timed.items():
        if name == "ours":
            continue
        same = [first == second for first, second in zip(ours.answers[-1], times.answers[-1], strict=True)]
        figures[name] = {
            "speedup": times.median / ours.median,
            "seconds": times.median,
            "n_identical": sum(same),
        }
        details[f"identical_to_{name}"] = same
        if not all(same):
            at = same.index(False)
            log.say(f"{name} differs first at problem {at}:")
            log.say(f"  ours: {ours.answers[-1][at]!r}")
            log.say(f"  {name}: {times.answers[-1][at]!r}")
    details["same_in_every_round"] = {
        name: all(answers == times.answers[0] for answers in times.answers) for name, times in timed.items()
    }
    return figures, details


if __name__ == "__main__":
    run(main)
