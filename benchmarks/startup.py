"""Processor seconds of commands that load no model: help, listings, and a study file with an error.

    python benchmarks/startup.py

Each command runs `--rounds` times in a new interpreter; the minimum is reported, since other work on the
machine can only add to the time. The last line is one JSON object.
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

PROGRAM = "import sys; sys.argv[0] = 'sequela'; from sequela.cli.main import main; main()"

COMMANDS: dict[str, tuple[float, tuple[str, ...]]] = {
    "sequela --help": (0.5, ("--help",)),
    "sequela methods": (1.5, ("methods",)),
    "sequela models": (1.5, ("models",)),
    "sequela tasks": (1.5, ("tasks",)),
    "sequela presets": (1.5, ("presets",)),
    "sequela edits": (1.5, ("edits",)),
    "sequela run wrong.yaml": (2.0, ("run", "WRONG")),
}
"""The commands with the seconds that each may take; `WRONG` stands for a study file with an error."""

WRONG_STUDY = "name: wrong\nmodels: [smollm2-135m-instruct]\neditors: [memit+rekt]\n"


def main() -> None:
    parser = argparse.ArgumentParser(description="Processor seconds of commands that load no model.")
    parser.add_argument("--rounds", type=int, default=5, help="Number of runs of each command.")
    given = parser.parse_args()
    least: dict[str, tuple[float, float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        wrong = Path(folder) / "wrong.yaml"
        wrong.write_text(WRONG_STUDY, encoding="utf-8")
        for name, (_, words) in COMMANDS.items():
            arguments = [str(wrong) if word == "WRONG" else word for word in words]
            runs = [timed(arguments) for _ in range(given.rounds)]
            least[name] = (min(processor for processor, _ in runs), min(wall for _, wall in runs))
    print("| command | processor, s | wall, s | limit, s |\n|---|---|---|---|", file=sys.stderr)
    for name, (processor, wall) in least.items():
        print(f"| `{name}` | {processor:.2f} | {wall:.2f} | {COMMANDS[name][0]} |", file=sys.stderr)
    print(json.dumps({name: round(processor, 3) for name, (processor, _) in least.items()}))


def timed(arguments: list[str]) -> tuple[float, float]:
    """Returns the processor seconds (user and system) and the wall-clock seconds of one run."""
    before, began = os.times(), time.perf_counter()
    subprocess.run([sys.executable, "-c", PROGRAM, *arguments], capture_output=True, check=False)
    wall, after = time.perf_counter() - began, os.times()
    used = after.children_user + after.children_system - before.children_user - before.children_system
    return used, wall


if __name__ == "__main__":
    main()
