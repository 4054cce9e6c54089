"""Stores in a folder and on a remote file system."""

from __future__ import annotations

from pathlib import Path

import pytest

from sequela.store import Store
from support.stores import local_store, remote_store


@pytest.fixture(params=["local", "remote"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    """An empty store of each kind in turn; its files are in `tmp_path / "store"`."""
    if request.param == "local":
        return local_store(tmp_path / "store")
    return remote_store(tmp_path / "store", tmp_path / "copies")
