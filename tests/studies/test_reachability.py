"""Services of a run that can't be reached, named before anything slow begins."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import pytest

from sequela.core.errors import SequelaError
from sequela.results import location, postgresql
from sequela.scheduling import ray_address
from sequela.studies.reachability import check_services
from support.servers import server_that, silent, unused_address


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgresql, "CONNECT_TIMEOUT", 2)
    monkeypatch.setattr(ray_address, "SECONDS_TO_ANSWER", 0.2)


def test_nothing_is_asked_that_is_not_needed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run whose results are in its folder needs no server, and a run that isn't there leaves no trace."""
    check_services(tmp_path / "run", "local", None)
    assert not (tmp_path / "run").exists()
    monkeypatch.setenv("SEQUELA_DATABASE", f"postgresql://me@{unused_address()}/db")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / location.DATABASE_NAME).touch()
    check_services(tmp_path / "run", "local", "an address that a local run has no use for")


@pytest.mark.parametrize("listens", [False, True])
def test_a_database_that_does_not_answer(
    listens: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with server_that(silent) as silent_address:
        address = silent_address if listens else unused_address()
        monkeypatch.setenv("SEQUELA_DATABASE", f"postgresql://me:secret@{address}/db")
        with pytest.raises(SequelaError, match=rf"me@{address}/db can't be reached: ") as caught:
            check_services(tmp_path / "run", "local", None)
        assert "secret" not in str(caught.value)
        monkeypatch.delenv("SEQUELA_DATABASE")
        (tmp_path / "run").mkdir()
        reference = location.DatabaseReference(address=f"postgresql+psycopg://me@{address}/db", run_id="1")
        (tmp_path / "run" / location.REFERENCE_NAME).write_text(reference.model_dump_json())
        with pytest.raises(SequelaError, match=rf"me@{address}/db can't be reached: "):
            check_services(tmp_path / "run", "local", None)


def test_a_store_at_which_nothing_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    address = unused_address()
    monkeypatch.setenv("SEQUELA_STORE", f"ftp://{address}/x")
    with pytest.raises(SequelaError, match=rf"ftp://{address}/x can't be reached \(tried to connect\)"):
        check_services(tmp_path / "run", "local", None)


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["ftp", "http"])
def test_a_store_that_never_answers(scheme: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with server_that(silent) as address:
        monkeypatch.setenv("SEQUELA_STORE", f"{scheme}://{address}/x")
        with pytest.raises(SequelaError, match=rf"{scheme}://{address}/x did not answer within 7 seconds"):
            check_services(tmp_path / "run", "local", None)


@pytest.mark.skipif(find_spec("ray") is None, reason="the extra ray is not installed")
def test_a_cluster_that_never_answers(tmp_path: Path) -> None:
    with server_that(silent) as address, pytest.raises(SequelaError, match=f"reached at {address}"):
        check_services(tmp_path / "run", "ray", address)
