"""Every command on a full disk, on a read-only one, and where a folder is a file: a message and status 2."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from sequela.results import Status, read_manifest
from support.commands import Answer, Sequela
from support.disks import MIB, Disk, mounted
from support.world import World

FEW = ("--steps", 2, "--validate-every", 1, "--held-out", 5, "--batch-size", 2)
STATISTICS = {"mom2_adjustment": True, "v_num_grad_steps": 2, "n_contexts": 1}


@dataclass(frozen=True)
class Inputs:
    """The input of the commands, apart from the disk.

    Args:
        model: The folder of a model.
        edits: A file with two edits.
        training: A file with edits to train on.
        study: A study file.
        run: The folder of a finished run.
        text: A text for statistics.
        saved: Saved edits.
        settings: Settings of ROME, with statistics.
    """

    model: Path
    edits: Path
    training: Path
    study: Path
    run: Path
    text: Path
    saved: Path
    settings: Path


@pytest.fixture(scope="module")
def inputs(
    world_folder: Path,
    edits_file: Path,
    study_file: Path,
    finished: Path,
    world: World,
    tmp_path_factory: pytest.TempPathFactory,
) -> Inputs:
    folder = tmp_path_factory.mktemp("inputs")
    edits = world.edits(32, phrasing=-1)
    (folder / "train.jsonl").write_text("".join(f"{one.model_dump_json()}\n" for one in edits))
    (folder / "text.txt").write_text("\n".join(f"{one.question} {one.target_true}" for one in edits) * 40)
    (folder / "rome.json").write_text(json.dumps(STATISTICS))
    (saved,) = (path.parent for path in finished.glob("checkpoints/*/1/edits.json"))
    return Inputs(
        model=world_folder,
        edits=edits_file,
        training=folder / "train.jsonl",
        study=study_file,
        run=finished,
        text=folder / "text.txt",
        saved=saved,
        settings=folder / "rome.json",
    )


Words = Callable[[Inputs, Path], tuple[object, ...]]

WITH_STATISTICS: Words = lambda given, _: (  # noqa: E731 - a table of commands reads best as expressions
    *("edit", "-m", given.model, "-e", "rome", "--edits", given.edits, "--hparams", given.settings),
    *("--statistics", given.text, "--tokens", 1000),
)

OUTPUT: dict[str, Words] = {
    "edit": lambda given, out: ("edit", "-m", given.model, "-e", "ft-m", "--edits", given.edits, "-o", out),
    "report": lambda given, out: ("report", given.run, "-o", out),
    "export": lambda given, out: ("export", given.saved, "-o", out, "-m", given.model),
    "run": lambda given, out: ("run", given.study, "-o", out),
    "train-editor": lambda given, out: (
        *("train-editor", "mend", "-m", given.model, "--edits", given.training, "-o", out),
        *FEW,
    ),
    "trace": lambda given, out: (
        *("trace", given.model, "--edits", given.edits, "--count", 1, "--samples", 1),
        *("-o", out.with_suffix(".html")),
    ),
}
"""The commands that write what the user names."""

CACHE: dict[str, Words] = {
    "edit": WITH_STATISTICS,
    "stats": lambda given, _: ("stats", given.model, "--source", given.text, "--tokens", 1000),
    "train-editor": lambda given, _: (
        "train-editor",
        "mend",
        "-m",
        given.model,
        "--edits",
        given.training,
        *FEW,
    ),
    "run": lambda given, out: ("run", given.study, "-o", out),
}
"""The commands that write to the cache."""


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    """A disk with room for everything but the 200 MiB that a run asks for; pages are taken when written."""
    with mounted(tmp_path / "disk", 300 * MIB) as small:
        yield small


def check_refusal(answer: Answer, place: Path) -> None:
    """Checks that a command said in one or two sentences that it can't write, and where."""
    said = answer.stderr.partition("Error: ")[2]
    assert answer.exit_code == 2, answer.stderr
    assert answer.stdout == ""
    assert str(place) in said.replace("\n", ""), answer.stderr
    assert "Traceback" not in said
    assert not list(place.rglob(".sequela-*")), "temporary files are left"


@pytest.mark.slow
@pytest.mark.parametrize("left", [0, 16 * 1024], ids=["nothing left", "little left"])
@pytest.mark.parametrize("command", OUTPUT)
def test_output_on_a_full_disk(sequela: Sequela, inputs: Inputs, disk: Disk, command: str, left: int) -> None:
    out = disk.folder / "out"
    disk.fill(left)
    check_refusal(sequela(*OUTPUT[command](inputs, out)), disk.folder)
    disk.free()
    answer = sequela(*OUTPUT[command](inputs, out))
    assert answer.exit_code == 0, answer.stderr


@pytest.mark.slow
@pytest.mark.parametrize("command", OUTPUT)
def test_output_on_a_read_only_disk(sequela: Sequela, inputs: Inputs, disk: Disk, command: str) -> None:
    disk.make_read_only()
    check_refusal(sequela(*OUTPUT[command](inputs, disk.folder / "out")), disk.folder)


@pytest.mark.slow
@pytest.mark.parametrize("left", [0, 16 * 1024], ids=["nothing left", "little left"])
@pytest.mark.parametrize("command", CACHE)
def test_a_full_cache(
    sequela: Sequela,
    inputs: Inputs,
    disk: Disk,
    command: str,
    left: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SEQUELA_CACHE", str(disk.folder / "cache"))
    disk.fill(left)
    check_refusal(sequela(*CACHE[command](inputs, tmp_path / "out")), disk.folder)
    disk.free()
    answer = sequela(*CACHE[command](inputs, tmp_path / "out"))
    assert answer.exit_code == 0, answer.stderr


@pytest.mark.slow
@pytest.mark.parametrize("command", CACHE)
def test_a_read_only_cache(
    sequela: Sequela,
    inputs: Inputs,
    disk: Disk,
    command: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SEQUELA_CACHE", str(disk.folder / "cache"))
    disk.make_read_only()
    check_refusal(sequela(*CACHE[command](inputs, tmp_path / "out")), disk.folder)


@pytest.mark.slow
@pytest.mark.parametrize("command", ["edit", "stats"])
def test_a_cache_that_has_everything_may_be_read_only_or_full(
    sequela: Sequela, inputs: Inputs, disk: Disk, command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SEQUELA_CACHE", str(disk.folder / "cache"))
    words = CACHE[command](inputs, disk.folder)
    first = sequela(*words, "--json")
    assert first.exit_code == 0, first.stderr
    disk.fill(0)
    full = sequela(*words, "--json")
    disk.make_read_only()
    read_only = sequela(*words, "--json")
    assert (full.exit_code, read_only.exit_code) == (0, 0), full.stderr + read_only.stderr
    if command == "edit":
        assert full.json["delta"] == read_only.json["delta"] == first.json["delta"]


@pytest.mark.slow
def test_commands_that_only_read_need_no_cache(
    sequela: Sequela, inputs: Inputs, disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SEQUELA_CACHE", str(disk.folder / "cache"))
    disk.make_read_only()
    for words in (
        ("show", inputs.model, "--suite", "builtin"),
        ("models",),
        ("results", inputs.run),
        ("trace", inputs.model, "--edits", inputs.edits, "--count", 1, "--samples", 1),
        ("evaluate", inputs.model, "--suite", "builtin", "--limit", 2, "--delta", inputs.saved),
    ):
        answer = sequela(*words)
        assert answer.exit_code == 0, (words, answer.stderr)


@pytest.mark.slow
def test_a_run_that_fills_the_disk_keeps_its_results_and_goes_on_when_there_is_room(
    sequela: Sequela, inputs: Inputs, disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk is full when the first checkpoint is written: after the run asked for room."""
    out = disk.folder / "out"
    monkeypatch.setattr("sequela.studies.outputs.save_checkpoint", _filling(disk))
    check_refusal(sequela(*OUTPUT["run"](inputs, out)), disk.folder)
    monkeypatch.undo()
    assert read_manifest(out).status in (Status.FAILED, Status.RUNNING)
    disk.free()
    answer = sequela(*OUTPUT["run"](inputs, out), "--json")
    assert answer.exit_code == 0, answer.stderr
    assert answer.json["status"] == "complete"


def _filling(disk: Disk) -> Callable[..., None]:
    from sequela.studies.checkpoints import save_checkpoint

    def fill_and_save(*given: object) -> None:
        disk.fill(0)
        save_checkpoint(*given)  # type: ignore[arg-type]

    return fill_and_save


@pytest.mark.parametrize(
    "command", [pytest.param(one, marks=() if one == "export" else pytest.mark.slow) for one in OUTPUT]
)
def test_output_within_a_file(sequela: Sequela, inputs: Inputs, tmp_path: Path, command: str) -> None:
    (tmp_path / "file").write_text("kept")
    check_refusal(sequela(*OUTPUT[command](inputs, tmp_path / "file" / "out")), tmp_path)
    if command != "trace":  # which writes a file: it would be replaced
        answer = sequela(*OUTPUT[command](inputs, tmp_path / "file"))
        assert (answer.exit_code, "file" in answer.stderr) == (2, True), answer.stderr
    assert (tmp_path / "file").read_text() == "kept"


@pytest.mark.parametrize(
    "command", [pytest.param(one, marks=() if one == "stats" else pytest.mark.slow) for one in CACHE]
)
def test_a_cache_that_is_a_file(
    sequela: Sequela, inputs: Inputs, tmp_path: Path, command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("kept")
    monkeypatch.setenv("SEQUELA_CACHE", str(tmp_path / "file"))
    check_refusal(sequela(*CACHE[command](inputs, tmp_path / "out")), tmp_path / "file")
    assert (tmp_path / "file").read_text() == "kept"
