from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

WriteRecords = Callable[..., Path]


@pytest.fixture
def write_records(tmp_path: Path) -> WriteRecords:
    """Returns a function that writes records to a file: a JSON array, or one per line in `.jsonl`."""

    def write(records: list[Any], name: str = "facts.json") -> Path:
        path = tmp_path / name
        if name.endswith(".jsonl"):
            path.write_text("\n".join(json.dumps(record) for record in records), encoding="utf-8")
        else:
            path.write_text(json.dumps(records), encoding="utf-8")
        return path

    return write


@pytest.fixture
def real_data(monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of real data sets, set as `SEQUELA_DATA`; skips the test if there is none."""
    sibling = Path(__file__).parents[3] / "shared" / "data"
    folder = Path(os.environ.get("SEQUELA_DATA") or sibling)
    if not folder.is_dir():
        pytest.skip("no folder of real data sets: SEQUELA_DATA is not set")
    monkeypatch.setenv("SEQUELA_DATA", str(folder))
    return folder
