from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from sequela.core.errors import SequelaError
from sequela.results import (
    EarlyEnd,
    EvaluationKey,
    Manifest,
    Status,
    collect_environment,
    read_manifest,
    write_manifest,
)
from sequela.results.manifest import FORMAT


@pytest.fixture
def manifest() -> Manifest:
    return Manifest(
        name="study",
        evaluations_planned=4,
        environment=collect_environment("cpu"),
        config={"model": "tiny", "checkpoints": [0, 1]},
        seeds={"order": [0, 1]},
        notes=("2 records without a subject were skipped",),
    )


def test_round_trip(tmp_path: Path, manifest: Manifest) -> None:
    write_manifest(tmp_path, manifest)
    assert read_manifest(tmp_path) == manifest
    ended = manifest.finish(Status.COMPLETE)
    write_manifest(tmp_path, ended)
    assert read_manifest(tmp_path) == ended
    assert ended.ended is not None
    assert ended.ended >= ended.started
    assert [path.name for path in tmp_path.iterdir()] == ["manifest.json"]


def test_only_a_finished_run_with_all_results_is_complete(manifest: Manifest) -> None:
    complete = manifest.finish(Status.COMPLETE)
    assert complete.incompleteness(4) is None
    assert complete.incompleteness(3) is not None
    for status in (Status.RUNNING, Status.STOPPED, Status.FAILED):
        reported = manifest.finish(status, error="out of memory").incompleteness(2)
        assert reported is not None
        assert reported.startswith("incomplete: 2 of 4 evaluations")
    assert "out of memory" in str(manifest.finish(Status.FAILED, "out of memory").incompleteness(2))


@pytest.mark.parametrize(
    ("every", "batch_sizes", "due"),
    [
        (0, [1], []),
        (2, [1], [0, 2, 4, 6]),
        (2, [3], [0, 3, 6]),
        (4, [3], [0, 6]),  # the batch in which the fourth edit is
        (3, [1, 2], [0, 3, 4, 6]),
        (2, [4], [0, 4, 6]),  # the last batch has two edits
    ],
)
def test_only_planned_readings_of_health_count(
    manifest: Manifest, every: int, batch_sizes: list[int], due: list[int]
) -> None:
    config: dict[str, object] = {"alarms": {"every": every}, "checkpoints": [0, 6]}
    config["editors"] = [{"name": "rome", "batch_size": n} for n in batch_sizes]
    of_study = manifest.model_copy(update={"config": config})

    def key(n_edits: int, suite: str) -> EvaluationKey:
        content = {"trajectory": "t", "suite_version": "1", "model_hash": "m"}
        return EvaluationKey(n_edits=n_edits, suite=suite, **content)

    assert [n for n in range(7) if of_study.n_done([key(n, "alarms")])] == due
    assert of_study.n_done([key(n, "builtin") for n in range(7)]) == 7
    assert of_study.n_done([key(n, "alarms") for n in range(7)]) == len(due)


def test_a_folder_without_a_manifest_is_rejected(tmp_path: Path) -> None:
    with pytest.raises(SequelaError, match="no run"):
        read_manifest(tmp_path)
    (tmp_path / "manifest.json").write_text('{"name": "x"}')
    with pytest.raises(SequelaError, match="as a manifest"):
        read_manifest(tmp_path)


def test_a_manifest_of_a_newer_version_is_named_as_such(tmp_path: Path, manifest: Manifest) -> None:
    write_manifest(tmp_path, manifest)
    path = tmp_path / "manifest.json"
    content = json.loads(path.read_text())
    del content["digest"]
    path.write_text(json.dumps({**content, "format": FORMAT + 1, "what is new": True}))
    with pytest.raises(
        SequelaError, match=rf"format version {FORMAT + 1}; .* reads up to {FORMAT}"
    ) as caught:
        read_manifest(tmp_path)
    assert str(path) in caught.value.message
    assert "newer version" in str(caught.value.hint)


def test_an_early_end_is_counted_once(manifest: Manifest) -> None:
    end = EarlyEnd(
        model="tiny",
        method="rome",
        order_seed=0,
        n_edits=1,
        reason="too slow",
        n_unmeasured=2,
        not_reached=(2, 5),
    )
    ended = manifest.with_early_end(end)
    assert ended.evaluations_planned == manifest.evaluations_planned - 2
    assert ended.notes == (
        *manifest.notes,
        "tiny, rome, shuffle seed 0: stopped after 1 edit: too slow. Checkpoints not reached: 2, 5.",
    )
    assert ended.with_early_end(end) == ended


def test_hashes_of_networks_of_earlier_versions_are_read(tmp_path: Path, manifest: Manifest) -> None:
    write_manifest(tmp_path, manifest)
    path = tmp_path / "manifest.json"
    content = json.loads(path.read_text())
    assert content.pop("input_hashes") == {}
    del content["digest"]  # earlier versions wrote none
    path.write_text(json.dumps({**content, "network_hashes": {"tiny, mend": "0" * 16}}))
    assert read_manifest(tmp_path).input_hashes == {"tiny, mend, network": "0" * 16}


def test_environment_names_versions_and_hardware() -> None:
    environment = collect_environment("cuda:0 (some card)")
    assert environment.device == "cuda:0 (some card)"
    assert environment.packages["torch"]
    assert environment.cores >= 1
    assert environment.memory_bytes is None or environment.memory_bytes > 2**28
    if environment.git_commit is not None:
        folder = Path(__file__).parent
        head = subprocess.run(
            ["git", "-C", str(folder), "rev-parse", "HEAD"], capture_output=True, text=True, check=True
        )
        assert environment.git_commit.removesuffix("+changes") == head.stdout.strip()
