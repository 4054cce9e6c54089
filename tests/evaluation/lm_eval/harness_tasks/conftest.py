"""Small data for real tasks of the installed harness."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from sequela.edited import EditedModel
from support.harness_data import DATA_SETS, write_rows
from support.tiny import tiny_language_model


@pytest.fixture
def local_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Returns a function that writes the data of tasks to the folder `SEQUELA_DATA`."""
    monkeypatch.setenv("SEQUELA_DATA", str(tmp_path / "data"))
    (tmp_path / "data").mkdir()

    def write(*tasks: str) -> Path:
        for task in tasks:
            for split, rows in DATA_SETS[task].items():
                write_rows(tmp_path / "data" / "lm_eval" / task / f"{split}.jsonl", rows)
        return tmp_path / "data"

    return write


@pytest.fixture
def no_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes the hub unreachable, with an empty cache."""
    monkeypatch.setattr("sequela.core.hub._answers", lambda endpoint: False)


@pytest.fixture(scope="session")
def tiny_edited() -> EditedModel:
    """An unedited tiny model with a context long enough for few-shot examples."""
    return EditedModel(tiny_language_model("llama", max_position_embeddings=4096))
