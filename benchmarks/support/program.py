"""The command-line frame of every benchmark: options and output."""

from __future__ import annotations

import argparse
import datetime
import json
import os
import sys
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.markup import escape

from sequela.core.errors import SequelaError
from sequela.core.paths import DATA_VARIABLE, replacing
from sequela.core.progress import SilentProgress
from sequela.models import LanguageModel, load_model
from support.machine import describe_machine, without_folders

RESULTS = Path(__file__).parents[1] / "results"
NEARBY_DATA = Path(__file__).parents[3] / "shared" / "data"
"""The default folder of data sets, next to the checkout, as in the tests."""

ROUNDS = 3


class Log(SilentProgress):
    """Writes messages to standard error; draws no progress bars, which would affect the measurement."""

    def __init__(self) -> None:
        self._console = Console(stderr=True)

    def say(self, message: str) -> None:
        """Writes a line with the time of day."""
        now = datetime.datetime.now().strftime("%H:%M:%S")
        self._console.print(f"[dim]{now}[/] {escape(message)}", highlight=False, soft_wrap=True)


def options(description: str, rounds: int = ROUNDS) -> argparse.ArgumentParser:
    """Returns a parser with the options of all benchmarks."""
    parser = argparse.ArgumentParser(description=description.splitlines()[0])
    parser.add_argument("--model", default="smollm2-135m-instruct")
    parser.add_argument("--dtype", choices=("float32", "bfloat16"), default="float32")
    parser.add_argument("--rounds", type=int, default=rounds, help=f"default {rounds}")
    parser.add_argument("--threads", type=int, help="number of torch's threads; by default one per core")
    parser.add_argument("--data", type=Path, help=f"the folder of data sets; by default {DATA_VARIABLE}")
    parser.add_argument("--quick", action="store_true", help="run a handful of items, as a check")
    parser.add_argument("--output", type=Path, help="the results file; by default none with --quick")
    return parser


def begin(given: argparse.Namespace) -> None:
    """Applies the shared options.

    Raises:
        SequelaError: The number of rounds is below one.
    """
    if given.rounds < 1:
        raise SequelaError(f"Invalid number of rounds {given.rounds}: at least one is needed.")
    if given.data is not None:
        os.environ[DATA_VARIABLE] = str(given.data)
    elif not os.environ.get(DATA_VARIABLE) and NEARBY_DATA.is_dir():
        os.environ[DATA_VARIABLE] = str(NEARBY_DATA)
    torch.set_num_threads(given.threads or describe_machine().environment.cores)


def load(given: argparse.Namespace, log: Log) -> LanguageModel:
    """Loads the model to be measured on the CPU."""
    model = load_model(given.model, device="cpu", dtype=given.dtype, progress=log)
    log.say(f"{model.name}, {given.dtype}, {torch.get_num_threads()} threads")
    return model


def end(benchmark: str, given: argparse.Namespace, figures: dict[str, Any], details: dict[str, Any]) -> None:
    """Writes the results file and, as the last line of standard output, the figures as JSON.

    Args:
        benchmark: The benchmark's name.
        given: The benchmark's options.
        figures: The main results.
        details: Details for the file only: times, batch sizes, agreement item by item.
    """
    arguments = {
        name: without_folders(value)
        for name, value in vars(given).items()
        if name not in ("data", "output", "vllm_python")
    }
    reported = {"benchmark": benchmark, "dtype": given.dtype, **figures}
    path = given.output
    if path is None and not given.quick:
        path = RESULTS / f"{benchmark}-{given.dtype}.json"
    if path is not None:
        record = {
            **reported,
            "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
            "arguments": arguments,
            "machine": describe_machine().model_dump(),
            "details": details,
        }
        with replacing(path) as temporary:
            temporary.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    sys.stdout.write(json.dumps(reported) + "\n")


def run(main: Any) -> None:
    """Runs a benchmark; reports user errors as a message without a traceback."""
    try:
        main()
    except SequelaError as error:
        sys.exit(f"error: {error}")
