"""A program that answers requests while the system limits the memory of its process.

Its arguments are `score` or `generate`, and numbers of MiB that it may allocate in addition. It tries them in
order until memory runs out, and prints a JSON list with an object for each: the answers, the expected answers
(with enough memory), and the log messages.
"""

from __future__ import annotations

import json
import logging
import multiprocessing
import resource
import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from random import Random

import torch

from sequela.edited import EditedModel
from sequela.inference import GenerationRequest, ScoreRequest, TorchEngine, WorkingMemory
from support.tiny import tiny_language_model

MIB = 2**20
WIDE = 8192
"""The inner width of the MLP, large so that many tokens at once need much memory and a few don't."""

MODEL = EditedModel(tiny_language_model("llama", intermediate_size=WIDE, head_dim=256))
PROMPTS = [tuple(Random(number).choices(range(3, 300), k=150)) for number in range(16)]


class Kept(logging.Handler):
    """Records log messages."""

    def __init__(self) -> None:
        super().__init__()
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.messages.append(record.getMessage())


def score(engine: TorchEngine) -> list[list[float]]:
    requests = [ScoreRequest(prompt, (9, 10)) for prompt in PROMPTS]
    return [list(answer.token_logprobs) for answer in engine.score(MODEL, requests)]


def generate(engine: TorchEngine) -> list[list[float]]:
    requests = [GenerationRequest(prompt, 3) for prompt in PROMPTS]
    return [list(answer.ids) for answer in engine.generate(MODEL, requests)]


def address_space() -> int:
    """Returns the size of the process's address space in bytes, which the limit applies to."""
    lines = Path("/proc/self/status").read_text().splitlines()
    (size,) = [line.split()[1] for line in lines if line.startswith("VmSize")]
    return int(size) * 1024


def answer_within(
    answer: Callable[[TorchEngine], list[list[float]]], extra: int
) -> tuple[list[list[float]], list[str]]:
    """Returns the answers and the log messages with `extra` MiB more."""
    log = Kept()
    logging.getLogger("sequela").addHandler(log)
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (address_space() + extra * MIB, before[1]))
    found = answer(TorchEngine(WorkingMemory(size=2**30, most_tokens=4096, near=2**40)))
    resource.setrlimit(resource.RLIMIT_AS, before)
    return found, log.messages


def main() -> None:
    torch.set_num_threads(1)
    answer = {"score": score, "generate": generate}[sys.argv[1]]
    expected = answer(TorchEngine(WorkingMemory(most_tokens=32, most_rows=2)))
    answers = []
    for extra in map(int, sys.argv[2:]):
        # A new process for each limit: memory freed by an earlier answer would be available to the next.
        with ProcessPoolExecutor(1, multiprocessing.get_context("fork")) as process:
            found, logged = process.submit(answer_within, answer, extra).result()
        answers.append({"found": found, "expected": expected, "logged": logged})
        if logged:
            break
    print(json.dumps(answers))  # noqa: T201


if __name__ == "__main__":
    main()
