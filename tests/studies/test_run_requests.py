"""Requests to a run: files that any process writes, and that those of the run read."""

from __future__ import annotations

from pathlib import Path

import pytest

from sequela.core.errors import SequelaError
from sequela.studies.run_requests import FOLDER, Cell, Requested, RunRequests

ROME, LATER = Cell(model="m/n", editor="rome"), Cell(model="m/n", editor="ft-m", seed=3)


def test_what_is_requested_is_read_and_forgotten_with_the_run(tmp_path: Path) -> None:
    reader, writer = RunRequests(tmp_path), RunRequests(tmp_path)
    assert reader.read() == Requested()
    writer.pause()
    writer.cancel(ROME)
    assert reader.read() == Requested(True, (ROME,))
    for _ in range(2):
        writer.unpause()
        writer.cancel(LATER)
    assert reader.read().is_paused is False
    assert set(reader.read().canceled) == {ROME, LATER}
    for _ in range(2):
        writer.clear()
    assert not list(tmp_path.iterdir())
    assert set(reader.read().canceled) == {ROME, LATER}  # whoever has read them goes on without the cells
    assert RunRequests(tmp_path).read() == Requested()


def test_a_damaged_request_is_named(tmp_path: Path) -> None:
    requests = RunRequests(tmp_path)
    requests.cancel(ROME)
    (path,) = (tmp_path / FOLDER).glob("cancel-*.json")
    path.write_text(path.read_text().replace("rome", "memit"))
    with pytest.raises(SequelaError, match=path.name):
        requests.read()


def test_a_cell_in_words() -> None:
    assert (str(ROME), str(LATER)) == ("rome on m/n", "ft-m on m/n, shuffle seed 3")
