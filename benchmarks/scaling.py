"""One study by one and two workers, here and on Ray; and what 8 to 512 workers would make of it.

    python benchmarks/scaling.py --output scaling.json       # smollm2-135m-instruct; some minutes
    python benchmarks/scaling.py --quick                     # a short study, to check the program
    python benchmarks/scaling.py --simulate scaling.json     # the tables of docs/explanation/scaling.md

A study of eight trajectories (two methods, four orders of edits) is run by one worker of one thread, one of
two threads, two of one thread, and by one and two nodes of a Ray cluster on this machine of one processor
each.
Every run is a process of its own and begins with an empty store. Wall times are those of the run without the
start of the program; those of Ray have the start of the workers in them. The simulation takes the task times
of the run by one worker of one thread. Prints one line of JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from support.machine import Machine, describe_machine

CONFIGURATIONS = {
    "1 worker, 1 thread": {"workers": 1, "threads": 1},
    "1 worker, 2 threads": {"workers": 1, "threads": 2},
    "2 workers, 1 thread each": {"workers": 2, "threads": 1},
    "1 Ray node": {"workers": 1, "threads": 1, "nodes": 1},
    "2 Ray nodes": {"workers": 2, "threads": 1, "nodes": 2},
}
"""The measured configurations; the first one gives the task times of the simulation."""

SIMULATED = (8, 64, 512)
"""The simulated numbers of workers."""

OBJECT_STORE = 80 * 2**20
"""The size of the object store of a Ray node, in bytes; what goes through it is small."""

FACTS = (
    ("Fridtjof Nansen", "{} was born in the city of", "Lisbon"),
    ("The Eiffel Tower", "{} is located in the city of", "Rome"),
    ("Ada Lovelace", "{} spoke the language", "Finnish"),
    ("The Rhine", "{} flows into the", "Baltic"),
    ("Marie Curie", "{} worked as a", "composer"),
    ("The kiwi", "{} is a bird that lives in", "Iceland"),
    ("Johannes Kepler", "{} played the instrument called", "trumpet"),
    ("Mount Kenya", "{} is on the continent of", "Europe"),
)
"""The content of the edits: subjects, prompts, and answers that aren't true."""


class Scaling(BaseModel):
    """The figures of a run of this program.

    Args:
        machine: The machine.
        load: The load averages of the machine before and after: 1, 5 and 15 minutes.
        model: The model.
        quick: Whether it was the short study.
        times: The times of each configuration.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    machine: Machine
    load: tuple[tuple[float, float, float], tuple[float, float, float]]
    model: str
    quick: bool
    times: dict[str, Any]


def main() -> None:
    """Measures or simulates, and prints the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--model", default="smollm2-135m-instruct")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--only", nargs="*", choices=list(CONFIGURATIONS), help="some configurations only")
    parser.add_argument("--output", type=Path, help="a file for the figures with all task times")
    parser.add_argument("--simulate", type=Path, metavar="FILE", help="a file that --output has written")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.simulate:
        sys.stdout.write(simulated(Scaling.model_validate_json(arguments.simulate.read_text("utf-8"))))
    elif arguments.one:
        sys.stdout.write(_timed(json.loads(arguments.one)))
    else:
        _measure(arguments)


def simulated(figures: Scaling) -> str:
    """Returns the measured times, and those that are predicted for many workers, as tables in Markdown."""
    from support.scaling_model import PAPER, grid_graph, measured_graph, predict, table
    from support.task_times import RunTimes

    times = {name: RunTimes.model_validate(one) for name, one in figures.times.items()}
    first = times[next(iter(CONFIGURATIONS))]
    lines = ["| configuration | wall time | relative to the first |", "|---|--:|--:|"]
    lines += [f"| {name} | {one.wall:.1f} s | {first.wall / one.wall:.2f}x |" for name, one in times.items()]
    begun, ended = figures.load
    lines += ["", f"Load of the machine: {begun[0]:.1f} before, {ended[0]:.1f} after."]
    graphs = {
        "The measured study: 8 trajectories of one model": measured_graph(first),
        f"The paper's grid: {PAPER.trajectories} trajectories of {PAPER.models} models": grid_graph(
            first, PAPER
        ),
    }
    for title, graph in graphs.items():
        lines += ["", table(title, [predict(first, graph, n) for n in SIMULATED])]
    return "\n".join(lines) + "\n"


def _measure(arguments: argparse.Namespace) -> None:
    before = os.getloadavg()
    chosen = arguments.only or list(CONFIGURATIONS)
    times: dict[str, Any] = {}
    for name in chosen:
        sys.stderr.write(f"{name} ...\n")
        with tempfile.TemporaryDirectory() as folder:
            times[name] = _in_process_of_its_own(Path(folder), arguments, CONFIGURATIONS[name])
        sys.stderr.write(f"{name}: {times[name]['wall']:.1f} s\n")
    figures = Scaling(
        machine=describe_machine(),
        load=(before, os.getloadavg()),
        model=Path(arguments.model).name,
        quick=arguments.quick,
        times=times,
    )
    if arguments.output:
        arguments.output.write_text(figures.model_dump_json(indent=1) + "\n", encoding="utf-8")
    sys.stdout.write(json.dumps({name: round(one["wall"], 1) for name, one in times.items()}) + "\n")


def _in_process_of_its_own(
    folder: Path, arguments: argparse.Namespace, configuration: dict[str, int]
) -> dict[str, Any]:
    order = {
        **configuration,
        "folder": str(folder),
        "model": arguments.model,
        "quick": arguments.quick,
    }
    here = Path(__file__).parent
    paths = [str(here), *filter(None, [os.environ.get("PYTHONPATH")])]
    done = subprocess.run(
        [sys.executable, __file__, "--one", json.dumps(order)],
        env={
            **os.environ,
            "OMP_NUM_THREADS": str(configuration["threads"]),
            "SEQUELA_STORE": str(folder / "store"),
            "PYTHONPATH": os.pathsep.join(paths),
            "RAY_USAGE_STATS_ENABLED": "0",
        },
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def _timed(order: dict[str, Any]) -> str:
    """Runs the study in one configuration; returns its times as JSON."""
    from sequela.studies import Study
    from sequela.studies.workers import Workers
    from support.task_times import timed_run

    folder = Path(order["folder"])
    facts = FACTS[: 4 if order["quick"] else len(FACTS)]
    lines = [
        json.dumps({"id": subject, "subject": subject, "prompt": prompt, "target_new": target})
        for subject, prompt, target in facts
    ]
    (folder / "facts.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    study = Study.model_validate(_study(order["model"], folder / "facts.jsonl", len(facts), order["quick"]))
    with ExitStack() as stack:
        address = stack.enter_context(_cluster(order["nodes"])) if "nodes" in order else None
        workers = Workers(order["workers"], "ray", address) if address else Workers(order["workers"])
        return timed_run(study, folder / "run", workers).model_dump_json() + "\n"


def _study(model: str, edits: Path, n_edits: int, quick: bool) -> dict[str, Any]:
    rome = {"name": "rome", "settings": {"mom2_adjustment": False, "n_contexts": 1}}
    return {
        "name": "scaling",
        "models": [model],
        "editors": [rome, "ft-m"],
        "edits": {"source": "jsonl", "file": str(edits)},
        "order_seeds": [0, 1, 2, 3],
        "checkpoints": [0, n_edits // 2, n_edits],
        "suites": [{"name": "builtin", "limit": 2 if quick else 20}, {"name": "perplexity", "window": 64}],
        "edit_quality": {"max_new_tokens": 4},
        "device": "cpu",
        "dtype": "float32",
    }


def _cluster(nodes: int) -> Any:
    from contextlib import contextmanager

    from ray.cluster_utils import Cluster

    from sequela.scheduling.ray_cluster import LOOPBACK

    @contextmanager
    def started() -> Any:
        one = {"num_cpus": 1, "object_store_memory": OBJECT_STORE, "node_ip_address": LOOPBACK}
        cluster = Cluster(initialize_head=True, head_node_args={**one, "include_dashboard": False})
        try:
            for _ in range(nodes - 1):
                cluster.add_node(**one)
            cluster.wait_for_nodes()
            yield cluster.address
        finally:
            cluster.shutdown()

    return started()


if __name__ == "__main__":
    main()
