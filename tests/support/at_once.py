"""Work that several processes begin at the same moment."""

from __future__ import annotations

import multiprocessing
import os
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from threading import Barrier
from typing import TypeVar

from sequela.core.progress import SilentProgress
from sequela.editors import create_editor
from sequela.editors.training.examples import TrainingEdits
from sequela.editors.training.settings import TrainingSettings
from sequela.editors.training.trained_editor import TrainedEditor
from sequela.editors.training.training import Training
from sequela.models.aliases import PackagedModel
from sequela.models.pypi_models import packaged_folder
from support.statistics import tiny_statistics
from support.tiny import tiny_language_model
from support.world import load_world_model

T = TypeVar("T")


def at_once(count: int, work: Callable[..., T], *arguments: object) -> list[T]:
    """Runs a function of this module in several new processes, which begin when all of them are ready."""
    context = multiprocessing.get_context("spawn")
    barrier = context.Barrier(count)
    with ProcessPoolExecutor(count, context, _meet, (barrier,)) as pool:
        running = [pool.submit(work, *arguments) for _ in range(count)]
        return [one.result() for one in running]


class Said(SilentProgress):
    """Keeps the names of the tasks that were started, and the messages."""

    def __init__(self) -> None:
        self.tasks: list[str] = []
        self.lines: list[str] = []

    def start(self, description: str, total: int | None) -> int:
        self.tasks.append(description)
        return 0

    def say(self, message: str) -> None:
        self.lines.append(message)


def collect_statistics(folder: Path) -> list[int]:
    """Prepares statistics of the tiny model; returns the layers that this process collected."""
    return tiny_statistics(tiny_language_model("llama"), folder).prepare([1, 2])


def load_packaged(model: PackagedModel) -> list[str]:
    """Makes the copy of a packaged model; returns what this process did for it."""
    said = Said()
    assert (packaged_folder(model, progress=said) / "model.safetensors").is_file()
    return said.tasks


def load_packaged_often(model: PackagedModel, cache: Path, times: int) -> list[int]:
    """Makes copies of a packaged model in empty caches; returns how many files this process downloaded."""
    downloads = []
    for number in range(times):
        os.environ["SEQUELA_CACHE"] = str(cache / str(number))
        (cache / f"{number} {os.getpid()}").touch()
        while len(list(cache.glob(f"{number} *"))) < 2:  # both begin at the same moment
            time.sleep(0.001)
        downloads.append(sum(task.startswith("downloading") for task in load_packaged(model)))
    return downloads


def train(world_folder: Path, edits: TrainingEdits, folder: Path) -> tuple[str, int]:
    """Trains MEND on the world model; returns the network's hash, and how many validations were made here."""
    editor, said = create_editor("mend", {"layers": [1], "rank": 4}), Said()
    assert isinstance(editor, TrainedEditor)
    settings = TrainingSettings(n_steps=2, batch_size=1, micro_batch=1, validate_every=1, n_held_out=6)
    artifact = Training(editor, load_world_model(world_folder), edits, settings, folder, said).run()
    return artifact.network, sum(line.startswith("step ") for line in said.lines)


def _meet(barrier: Barrier) -> None:
    barrier.wait()
