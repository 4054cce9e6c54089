"""Tasks that fail, crash or don't let go, in real runs: three tries, the rest goes on, exit status 1."""

from __future__ import annotations

from pathlib import Path

import pytest

from sequela.results import Status, open_store, read_manifest
from support.forked import Source
from support.studies import small_study, write_edits, write_study
from support.torture import Torture
from support.trouble import LAST_WORDS, NAME, n_begun
from support.world import World

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory, world_folder: Path, world: World) -> Path:
    folder = tmp_path_factory.mktemp("study")
    edits = write_edits(folder / "facts.jsonl", world, 2)
    content = small_study(
        world_folder,
        edits,
        editors=[{"name": "ft-m", "settings": {"num_steps": 4}}],
        suites=[NAME, {"name": "perplexity", "window": 32}],
        edit_quality={"max_new_tokens": 2, "max_neighborhood": 1},
    )
    return write_study(folder / "study.yaml", content)


def run_with(
    source: Source, study: Path, folder: Path, order: str, *words: object
) -> tuple[Torture, int, str]:
    """Runs the study with an order to the suite; returns the run, its exit status and what it said."""
    run = Torture(source, study, folder / "torture", words)
    (folder / "order").write_text(order)
    return run, *run.run(trouble=str(folder))


def test_a_task_that_fails_twice_and_then_works(source: Source, study: Path, tmp_path: Path) -> None:
    run, status, said = run_with(source, study, tmp_path, "fail 2")
    assert status == 0, said
    assert said.count("failed (ZeroDivisionError: a fault of the suite) and is tried again") == 2
    assert n_begun(tmp_path) == 3 + 1
    assert read_manifest(run.output).status is Status.COMPLETE
    assert not list(run.output.glob("failed*"))


@pytest.mark.parametrize("words", [(), ("--workers", 2)], ids=["here", "workers"])
def test_a_task_that_always_fails(
    source: Source, study: Path, tmp_path: Path, words: tuple[object, ...]
) -> None:
    run, status, said = run_with(source, study, tmp_path, "fail 99", *words)
    assert status == 1, said
    assert "Traceback" not in said
    assert n_begun(tmp_path) == 2 * 3
    end = said.partition("\nError: ")[2]
    assert "2 tasks of the run failed" in end
    assert end.count("failed after 3 tries: ZeroDivisionError: a fault of the suite") == 2
    logs = sorted((run.output / "failed").iterdir())
    assert len(logs) == 2
    for log in logs:
        text = log.read_text()
        assert str(log) in end
        assert text.count("ZeroDivisionError: a fault of the suite") >= 3
        assert "Traceback" in text
        assert (LAST_WORDS in text) == bool(words)  # one process prints where the user sees it
    with open_store(run.output) as store:
        assert {one.suite for one in store.evaluations() if one.n_edits} == {"perplexity", "edit_quality"}
    (tmp_path / "order").write_text("fail 0")
    status, said = run.run(trouble=str(tmp_path))
    assert status == 0, said
    assert not (run.output / "failed").exists()
    assert not run.tasks()[0]


def test_a_worker_that_ends_in_a_task_is_replaced(source: Source, study: Path, tmp_path: Path) -> None:
    _, status, said = run_with(source, study, tmp_path, "crash 1", "--workers", 2)
    assert status == 0, said
    assert "it crashed by an invalid access to memory (SIGSEGV)" in said


def test_a_task_whose_workers_always_die(source: Source, study: Path, tmp_path: Path) -> None:
    run, status, said = run_with(source, study, tmp_path, "exit 99", "--workers", 2)
    assert status == 1, said
    end = said.partition("\nError: ")[2]
    assert end.count("failed after 3 tries: worker") == 2
    assert all(LAST_WORDS in log.read_text() for log in (run.output / "failed").iterdir())
    with open_store(run.output) as store:
        assert {one.suite for one in store.evaluations() if one.n_edits} == {"perplexity", "edit_quality"}


def test_a_worker_that_does_not_end_by_itself_is_ended(source: Source, study: Path, tmp_path: Path) -> None:
    _, status, said = run_with(source, study, tmp_path, "stay 9", "--workers", 2)
    assert status == 0, said
