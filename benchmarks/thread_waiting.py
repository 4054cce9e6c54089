"""Speed of scoring and generation by the wait policy of PyTorch's threads, alone and with other work running.

    python benchmarks/thread_waiting.py [--busy 2] [--rounds 5] [--model smollm2-135m-instruct]

Each policy has a separate process, since OpenMP reads it once; the processes alternate. The other work is
`--busy` processes that run a loop. The table goes to standard error; the last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time

WAYS: dict[str, dict[str, str]] = {
    "PyTorch's default": {},
    "spin 10,000 times": {"GOMP_SPINCOUNT": "10000"},
    "spin 1,000 times": {"GOMP_SPINCOUNT": "1000"},
    "passive": {"OMP_WAIT_POLICY": "passive"},
    "one thread": {"OMP_NUM_THREADS": "1"},
}
"""The environment variables of each policy."""

PROMPTS = ("The capital of France is", "Once upon a time", "The largest planet is", "Water boils at")


def main() -> None:
    parser = argparse.ArgumentParser(description="Speed by the wait policy of threads.")
    parser.add_argument("--busy", type=int, default=os.cpu_count() or 1, help="Number of busy processes.")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--items", type=int, default=3, help="Items of each category of the built-in suite.")
    parser.add_argument("--tokens", type=int, default=12, help="Number of tokens generated for each prompt.")
    parser.add_argument("--model", default="smollm2-135m-instruct")
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        work(given)
        return
    children = {name: Child(settings) for name, settings in WAYS.items()}
    found = {"alone": measured(children, given.rounds)}
    others = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(given.busy)]
    try:
        found[f"with {given.busy} busy processes"] = measured(children, given.rounds)
    finally:
        for other in others:
            other.kill()
            other.wait()
        for child in children.values():
            child.end()
    for condition, by_name in found.items():
        print(f"\n| {condition} | score, s | generate, s |\n|---|---|---|", file=sys.stderr)
        for name, (score, generate) in by_name.items():
            print(f"| {name} | {score:.2f} | {generate:.2f} |", file=sys.stderr)
    print(json.dumps(found))


class Child:
    """A process with a model that runs the workload on request."""

    def __init__(self, settings: dict[str, str]) -> None:
        names = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "OMP_NUM_THREADS", "MKL_NUM_THREADS")
        plain = {name: value for name, value in os.environ.items() if name not in names}
        self._process = subprocess.Popen(
            [sys.executable, __file__, "--child", *sys.argv[1:]],
            env={**plain, **settings},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.seconds()  # everything is imported, packed and warm

    def seconds(self) -> list[float]:
        """Runs the workload once; returns the seconds of each part."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())

    def end(self) -> None:
        """Ends the process."""
        self._process.communicate()


def measured(children: dict[str, Child], rounds: int) -> dict[str, list[float]]:
    """Returns the median seconds of each part over alternating rounds."""
    runs: dict[str, list[list[float]]] = {name: [] for name in children}
    for _ in range(rounds):
        for name, child in children.items():
            runs[name].append(child.seconds())
    return {
        name: [statistics.median(part) for part in zip(*some, strict=True)] for name, some in runs.items()
    }


def work(given: argparse.Namespace) -> None:
    """Scores and generates once for each line of input."""
    from sequela.edited import EditedModel
    from sequela.evaluation.suites.builtin import BuiltinSuite
    from sequela.inference import TorchEngine, generation_request
    from sequela.models import load_model

    model, engine = EditedModel(load_model(given.model)), TorchEngine()
    suite = BuiltinSuite(limit=given.items)
    requests = [generation_request(model, prompt, given.tokens) for prompt in PROMPTS]
    for _ in sys.stdin:
        began = time.perf_counter()
        suite.evaluate(model, engine)
        scored = time.perf_counter()
        engine.generate(model, requests)
        print(json.dumps([scored - began, time.perf_counter() - scored]), flush=True)


if __name__ == "__main__":
    main()
