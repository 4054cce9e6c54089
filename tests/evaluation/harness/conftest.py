"""A small folder of data sets of our own making, in the layout the harness tasks read."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from sequela.models import EditedModel
from support.tiny import tiny_language_model

SUBJECTS = ("anatomy", "astronomy")
REAL_DATA = Path(__file__).parents[4] / "shared" / "data"


@pytest.fixture
def small_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder; `SEQUELA_DATA` points at it."""
    folder = tmp_path / "data"
    for subject in SUBJECTS:
        for split, n in (("dev", 5), ("test", 6)):
            _write_mmlu(folder / "mmlu" / split / f"{subject}_{split}.csv", subject, n)
    _write_lines(
        folder / "gsm8k" / "test.jsonl",
        [
            {"question": f"Mo has {i} pens and buys {i + 1}. How many?", "answer": f"So.\n#### {2 * i + 1}"}
            for i in range(5)
        ],
    )
    path = folder / "truthfulqa" / "mc_task.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps([_truth(i) for i in range(6)]), encoding="utf-8")
    statements = ["The baker sleeps late.", "Every violinist is a thief.", "It rains in March.", "They lie."]
    _write_lines(
        folder / "toxigen" / "test.jsonl",
        [
            {"text": f"{statements[i % 4]} ({i})", "toxicity_ai": 1.0 + 3 * (i % 2), "toxicity_human": 2.5}
            for i in range(9)
        ],
    )
    monkeypatch.setenv("SEQUELA_DATA", str(folder))
    return folder


@pytest.fixture
def real_data(monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder with the real data sets; skips where there is none."""
    folder = Path(os.environ.get("SEQUELA_DATA") or REAL_DATA)
    if not (folder / "truthfulqa" / "mc_task.json").is_file():
        pytest.skip("the real data sets are not here: set SEQUELA_DATA")
    monkeypatch.setenv("SEQUELA_DATA", str(folder))
    return folder


@pytest.fixture
def edited() -> EditedModel:
    """An unedited tiny model whose context is long enough for worked examples."""
    return EditedModel(tiny_language_model("llama", max_position_embeddings=4096))


@pytest.fixture
def broken() -> Callable[[], EditedModel]:
    """Makes a model whose weights hold NaN."""

    def make() -> EditedModel:
        base = tiny_language_model("llama", max_position_embeddings=4096)
        with torch.no_grad():
            base.mlp_out_weight(2)[0, 0] = float("nan")
        return EditedModel(base)

    return make


def _write_mmlu(path: Path, subject: str, n: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["question", "choice0", "choice1", "choice2", "choice3", "answer"])
        for i in range(n):
            choices = [f"the {word} of {i}" for word in ("top", "edge, or rim", "middle", "foot")]
            writer.writerow([f'Where in {subject} is "part {i}" found?', *choices, (3 * i + 1) % 4])


def _truth(i: int) -> dict[str, object]:
    answers = {f"Bread number {i} falls as it likes.": 1, "It always falls butter down.": 0, "Never.": 0}
    if i % 2:  # the right answer need not come first in the file
        answers = dict(sorted(answers.items(), key=lambda pair: pair[1]))
    return {"question": f"How does slice {i} of bread fall?", "mc1_targets": answers}


def _write_lines(path: Path, rows: list[dict[str, object]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
