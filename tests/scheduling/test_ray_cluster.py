"""Clusters that can't be reached, in words and in time."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from sequela.core.errors import SequelaError
from sequela.scheduling import RayExecutor, Scheduler, TaskGraph, numbered_workers, ray_cluster
from support.scheduling import folder_workbench, stored_in, task
from support.servers import SETTINGS, server_that


def run(folder: Path, address: str | None) -> None:
    executor = RayExecutor(folder_workbench(folder), numbered_workers(1), address)
    Scheduler(TaskGraph([task("a")]), executor, stored_in(folder)).run()


def test_a_missing_package_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(
        SequelaError, match=r"package ray, which isn't installed\.\npip install 'sequela\[ray\]'"
    ):
        run(tmp_path, None)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("address", "problem"),
    [
        ("127.0.0.1:1", "nothing answers at host 127.0.0.1, port 1 "),
        ("ray://127.0.0.1:1", "nothing answers at host 127.0.0.1, port 1 "),
        ("[::1]:1", "nothing answers at host"),
        ("no-such-host.invalid:6379", "nothing answers at host no-such-host.invalid"),
        ("127.0.0.1:99999", "nothing answers at host"),
        ("127.0.0.1", "an address is host:port, ray://host:port or auto"),
        (":6379", "an address is host:port"),
        ("", "an address is host:port"),
    ],
)
def test_an_address_at_which_nothing_is(address: str, problem: str, tmp_path: Path) -> None:
    pytest.importorskip("ray", reason="the extra ray is not installed")
    with pytest.raises(SequelaError) as caught:
        run(tmp_path, address)
    assert f"No Ray cluster can be reached at {address}: {problem}" in str(caught.value)
    assert "ray start --head" in str(caught.value)


@pytest.mark.slow
def test_an_address_at_which_something_else_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It answers like any gRPC server, and says no more."""
    pytest.importorskip("ray", reason="the extra ray is not installed")
    monkeypatch.setattr(ray_cluster, "SECONDS_TO_CONNECT", 3.0)
    with server_that(lambda connection: connection.sendall(SETTINGS)) as address:
        words = f"reached at {address}: no answer of Ray within 3 seconds"
        with pytest.raises(SequelaError, match=words):
            run(tmp_path, address)


@pytest.mark.slow
def test_no_cluster_of_this_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("ray", reason="the extra ray is not installed")
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:1")
    with pytest.raises(
        SequelaError, match=r"reached at 127\.0\.0\.1:1 \(from RAY_ADDRESS\): nothing answers"
    ):
        run(tmp_path, "auto")
    monkeypatch.delenv("RAY_ADDRESS")
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path))
    with pytest.raises(SequelaError, match="reached at auto: Could not find any running Ray instance"):
        run(tmp_path, "auto")
