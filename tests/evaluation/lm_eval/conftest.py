"""A small folder of synthetic data sets, in the layouts that the benchmarks read."""

from __future__ import annotations

import csv
import gzip
import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import torch

from sequela.edited import EditedModel
from support.tiny import tiny_language_model

SUBJECTS = ("anatomy", "astronomy")
REASONING = ("navigate", "word_sorting")
REAL_DATA = Path(__file__).parents[4] / "shared" / "data"


@pytest.fixture
def small_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder, with a few items per data set, set as `SEQUELA_DATA`."""
    folder = tmp_path / "data"
    write_data(folder)
    monkeypatch.setenv("SEQUELA_DATA", str(folder))
    return folder


@pytest.fixture(scope="session")
def larger_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A read-only folder with the data of `larger_data`; a test that uses it sets `SEQUELA_DATA`."""
    folder = tmp_path_factory.mktemp("larger") / "data"
    write_data(folder, times=20)
    return folder


@pytest.fixture
def larger_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Like `small_data`, with enough items to distinguish a score from chance."""
    folder = tmp_path / "data"
    write_data(folder, times=20)
    monkeypatch.setenv("SEQUELA_DATA", str(folder))
    return folder


def write_data(folder: Path, times: int = 1) -> None:
    """Writes the data sets; the test splits are `times` as long as the shortest useful ones."""
    for subject in SUBJECTS:
        for split, n in (("dev", 5), ("test", 6 * times)):
            _write_mmlu(folder / "mmlu" / split / f"{subject}_{split}.csv", subject, n)
    for subject in REASONING:
        n = 4 * times
        examples = [{"input": f"Is {i} more than 3?", "target": "Yes" if i > 3 else "No"} for i in range(n)]
        _write(folder / "bbh" / "tasks" / f"{subject}.json", json.dumps({"examples": examples}))
    _write_lines(
        folder / "gsm8k" / "test.jsonl",
        [
            {"question": f"Mo has {i} pens and buys {i + 1}. How many?", "answer": f"So.\n#### {2 * i + 1}"}
            for i in range(5 * times)
        ],
    )
    common = folder / "commonsenseqa"
    _write_lines(common / "dev_rand_split.jsonl", [_commonsense(i) for i in range(6 * times)])
    training = _lines([_commonsense(i + 1000) for i in range(9)]).encode()
    (common / "train_rand_split.jsonl.gz").write_bytes(gzip.compress(training))
    _write_csv(
        folder / "triviaqa" / "questions.csv",
        ["question", "answer", "false_answer"],
        [[f"Who won the race of {1990 + i}?", f"Ana {i}; Miss Ana {i}", "Bo"] for i in range(4 * times)],
    )
    _write(folder / "truthfulqa" / "mc_task.json", json.dumps([_truth(i) for i in range(6 * times)]))
    statements = ["The baker sleeps late.", "Every violinist is a thief.", "It rains in March.", "They lie."]
    _write_lines(
        folder / "toxigen" / "test.jsonl",
        [
            {"text": f"{statements[i % 4]} ({i})", "toxicity_ai": 1.0 + 3 * (i % 2), "toxicity_human": 2.5}
            for i in range(9 * times)
        ],
    )


@pytest.fixture
def real_data(monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of real data sets, set as `SEQUELA_DATA`; skips the test if there is none."""
    folder = Path(os.environ.get("SEQUELA_DATA") or REAL_DATA)
    if not (folder / "truthfulqa" / "mc_task.json").is_file():
        pytest.skip("no folder of real data sets: set SEQUELA_DATA")
    monkeypatch.setenv("SEQUELA_DATA", str(folder))
    return folder


@pytest.fixture
def edited() -> EditedModel:
    """An unedited tiny model with a context long enough for few-shot examples."""
    return EditedModel(tiny_language_model("llama", max_position_embeddings=4096))


@pytest.fixture
def broken() -> Callable[[], EditedModel]:
    """Returns a function that creates a model with a NaN weight."""

    def make() -> EditedModel:
        base = tiny_language_model("llama", max_position_embeddings=4096)
        with torch.no_grad():
            base.mlp_out_weight(2)[0, 0] = float("nan")
        return EditedModel(base)

    return make


def _write_mmlu(path: Path, subject: str, n: int) -> None:
    header = ["question", "choice0", "choice1", "choice2", "choice3", "answer"]
    words = ("top", "edge, or rim", "middle", "foot")
    rows = [
        [
            f'Where in {subject} is "part {i}" found?',
            *(f"the {word} of {i}" for word in words),
            (3 * i + 1) % 4,
        ]
        for i in range(n)
    ]
    _write_csv(path, header, rows)


def _commonsense(i: int) -> dict[str, object]:
    texts = ["in a drawer", "on the moon", "under water", "inside a clock", "at sea"]
    choices = [{"label": label, "text": text} for label, text in zip("ABCDE", texts, strict=True)]
    return {"question": {"stem": f"Where is spoon {i}?", "choices": choices}, "answerKey": "ABCDE"[i % 5]}


def _truth(i: int) -> dict[str, object]:
    answers = {f"Bread number {i} falls as it likes.": 1, "It always falls butter down.": 0, "Never.": 0}
    if i % 2:  # the right answer need not come first in the file
        answers = dict(sorted(answers.items(), key=lambda pair: pair[1]))
    more = {**answers, "As the air and the table have it.": 1}
    return {"question": f"How does slice {i} of bread fall?", "mc1_targets": answers, "mc2_targets": more}


def _write_csv(path: Path, header: list[str], rows: Sequence[Sequence[object]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream).writerows([header, *rows])


def _write_lines(path: Path, rows: list[dict[str, object]]) -> None:
    _write(path, _lines(rows))


def _lines(rows: list[dict[str, object]]) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
