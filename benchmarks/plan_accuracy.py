"""The accuracy of the estimates of `sequela plan`: time and peak memory, compared with what then happens.

    python benchmarks/plan_accuracy.py --world FOLDER   # with two studies of the tests' trained world model
    python benchmarks/plan_accuracy.py --study STUDY.yaml
    python benchmarks/plan_accuracy.py --clock cpu      # processor time, for a machine that is shared

For each study it measures the machine, estimates, and runs the study with an empty store, each in a process
of its own, back to back. Without `--study`, the third is one of smollm2-135m-instruct with data from
`SEQUELA_DATA`. Prints a line for each study, and all of them as JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import yaml

SMOLLM2 = {
    "name": "smollm2",
    "models": ["smollm2-135m-instruct"],
    "editors": ["rome", "ft-m"],
    "edits": {"source": "counterfact"},
    "checkpoints": [0, 2, 4],
    "suites": [
        {"name": "mmlu", "subjects": ["astronomy"], "limit": 40},
        {"name": "commonsenseqa", "limit": 40},
    ],
    "device": "cpu",
}


def main() -> None:
    """Estimates and runs each study."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--study", action="append", type=Path, default=[], help="a study file")
    parser.add_argument("--world", type=Path, help="a folder for the trained world model of the tests")
    parser.add_argument("--clock", choices=("wall", "cpu"), default="wall")
    parser.add_argument("--part", choices=("estimate", "run"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.part:
        (study,) = arguments.study
        print(json.dumps(part(arguments.part, study, arguments.clock)))
        return
    with tempfile.TemporaryDirectory() as folder:
        studies = arguments.study or written(Path(folder), arguments.world)
        rows = [compared(study, arguments.clock, Path(folder)) for study in studies]
    print(json.dumps({"clock": arguments.clock, "studies": rows}))


def written(folder: Path, world: Path | None) -> list[Path]:
    """Writes the studies to files."""
    contents = [*(of_world(folder, world) if world else ()), SMOLLM2]
    paths = []
    for content in contents:
        path = folder / f"{content['name']}.yaml"
        path.write_text(yaml.safe_dump(content), encoding="utf-8")
        paths.append(path)
    return paths


def of_world(folder: Path, world: Path) -> list[dict[str, Any]]:
    """Returns two studies of the tests' world model, with different methods and suites."""
    world.mkdir(parents=True, exist_ok=True)
    tests = Path(__file__).parents[1] / "tests"
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(tests), os.environ.get("PYTHONPATH", "")]),
    }
    made = subprocess.run(  # a program of its own: the tests' `support` has the name of the benchmarks'
        [sys.executable, "-c", _WORLD, str(world.resolve()), str(folder / "facts.jsonl")],
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    base = json.loads(made.stdout.splitlines()[-1])
    first = {**base, "name": "world-1", "checkpoints": [0, 4, 12], "order_seeds": [0, 1]}
    second = {
        **base,
        "name": "world-2",
        "editors": ["memit", {"name": "grace", "settings": {"num_steps": 30}}],
        "checkpoints": [0, 6, 12],
        "suites": [{"name": "builtin", "categories": ["language", "commonsense"]}, "perplexity"],
    }
    return [first, second]


_WORLD = """
import json, sys
from pathlib import Path
from support.studies import small_study, write_edits
from support.world import build_world, trained_world_model
world = build_world()
edits = write_edits(Path(sys.argv[2]), world, 12)
print(json.dumps(small_study(trained_world_model(world, Path(sys.argv[1])), edits), default=str))
"""


def compared(study: Path, clock: str, folder: Path) -> dict[str, Any]:
    """Estimates a study and runs it."""
    environment = {
        **os.environ,
        "SEQUELA_STORE": str(folder / f"{study.stem}-store"),
        "PYTHONWARNINGS": "ignore",
    }
    found = {}
    for name in ("estimate", "run"):
        command = [sys.executable, __file__, "--study", str(study), "--clock", clock, "--part", name]
        ran = subprocess.run(
            command, env=environment, cwd=folder, stdout=subprocess.PIPE, text=True, check=True
        )
        found[name] = json.loads(ran.stdout.splitlines()[-1])
    seconds = found["estimate"]["seconds"] / found["run"]["seconds"]
    memory = found["estimate"]["memory"] / found["run"]["memory"]
    print(
        f"{study.stem}: {found['estimate']['seconds']:.1f} s estimated, {found['run']['seconds']:.1f} s "
        f"taken ({seconds - 1:+.0%}); {found['estimate']['memory'] / 2**20:.0f} MiB estimated, "
        f"{found['run']['memory'] / 2**20:.0f} MiB taken ({memory - 1:+.0%})",
        file=sys.stderr,
    )
    return {"study": study.stem, **found, "seconds_ratio": seconds, "memory_ratio": memory}


def part(name: str, study: Path, clock_name: str) -> dict[str, Any]:
    """Estimates or runs a study in this process."""
    from sequela.studies import read_study

    clock = time.process_time if clock_name == "cpu" else time.perf_counter
    chosen = read_study(study)
    return estimated(chosen, clock) if name == "estimate" else run(chosen, clock)


def estimated(study: Any, clock: Any) -> dict[str, Any]:
    """Measures the machine and estimates a study; returns the times by kind of task."""
    from sequela.planning import Options, estimate_study

    started = clock()
    estimate = estimate_study(study, options=Options(calibrate="again", clock=clock))
    kinds: dict[str, float] = {"load": sum(model.load_seconds for model in estimate.models)}
    for row in estimate.rows():
        key = f"{row.kind}: {row.of}, {row.what}"
        kinds[key] = kinds.get(key, 0.0) + row.seconds
    return {
        "seconds": estimate.seconds,
        "memory": estimate.memory,
        "parts": dict(vars(estimate.models[0].memory)),
        "took": clock() - started,
        "kinds": kinds,
    }


def run(study: Any, clock: Any) -> dict[str, Any]:
    """Runs a study in an empty folder; returns the times by kind of task."""
    from sequela.studies import run_study
    from sequela.studies.peak_memory import peak_memory_bytes
    from sequela.studies.workbench import StudyWorkbench

    kinds: dict[str, float] = {}
    do = StudyWorkbench.run

    def timed(self: StudyWorkbench, task: Any, progress: Any) -> object:
        started = clock()
        try:
            return do(self, task, progress)
        finally:
            key = f"{task.kind}: {task.label.split(',')[0]}, {getattr(task.payload, 'suite', '')}"
            kinds[key] = kinds.get(key, 0.0) + clock() - started

    StudyWorkbench.run = timed  # type: ignore[method-assign]
    started = clock()
    with tempfile.TemporaryDirectory() as folder:
        result = run_study(study, Path(folder) / "run")
    return {
        "status": result.status.value,
        "seconds": clock() - started,
        "memory": peak_memory_bytes(),
        "kinds": kinds,
    }


if __name__ == "__main__":
    main()
