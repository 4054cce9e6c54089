"""The frame of every benchmark: its options, and where its figures go."""

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
"""Where data sets are looked for when nobody says where they are: beside the checkout, as the tests do."""

ROUNDS = 3


class Log(SilentProgress):
    """Writes what is said on standard error; draws no bars, which would cost time while it is measured."""

    def __init__(self) -> None:
        self._console = Console(stderr=True)

    def say(self, message: str) -> None:
        """Writes a line with the time of day."""
        now = datetime.datetime.now().strftime("%H:%M:%S")
        self._console.print(f"[dim]{now}[/] {escape(message)}", highlight=False, soft_wrap=True)


def options(description: str, rounds: int = ROUNDS) -> argparse.ArgumentParser:
    """A parser with the options that all benchmarks share."""
    parser = argparse.ArgumentParser(description=description.splitlines()[0])
    parser.add_argument("--model", default="smollm2-135m-instruct")
    parser.add_argument("--dtype", choices=("float32", "bfloat16"), default="float32")
    parser.add_argument("--rounds", type=int, default=rounds, help=f"default {rounds}")
    parser.add_argument("--threads", type=int, help="torch's threads; by default one for every core")
    parser.add_argument("--data", type=Path, help=f"the folder of data sets; by default {DATA_VARIABLE}")
    parser.add_argument("--quick", action="store_true", help="a handful of items, to see whether it runs")
    parser.add_argument("--output", type=Path, help="where the figures go; nowhere by default with --quick")
    return parser


def begin(given: argparse.Namespace) -> None:
    """Puts the shared options into force.

    Raises:
        SequelaError: There are no rounds.
    """
    if given.rounds < 1:
        raise SequelaError(f"{given.rounds} rounds were asked for; at least one is needed.")
    if given.data is not None:
        os.environ[DATA_VARIABLE] = str(given.data)
    elif not os.environ.get(DATA_VARIABLE) and NEARBY_DATA.is_dir():
        os.environ[DATA_VARIABLE] = str(NEARBY_DATA)
    torch.set_num_threads(given.threads or describe_machine().environment.cores)


def load(given: argparse.Namespace, log: Log) -> LanguageModel:
    """The model that is measured, on the CPU."""
    model = load_model(given.model, device="cpu", dtype=given.dtype, progress=log)
    log.say(f"{model.name}, {given.dtype}, {torch.get_num_threads()} threads")
    return model


def end(benchmark: str, given: argparse.Namespace, figures: dict[str, Any], details: dict[str, Any]) -> None:
    """Writes the file of results and, as the last line of standard output, the figures in JSON.

    Args:
        benchmark: Its name.
        given: Its options.
        figures: What was found.
        details: What lies behind it, for the file only: times, batch sizes, agreement item by item.
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
    """Runs a benchmark; a user's mistake becomes a message, not a traceback."""
    try:
        main()
    except SequelaError as error:
        sys.exit(f"error: {error}")
