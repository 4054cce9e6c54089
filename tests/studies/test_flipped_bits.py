"""Every kind of file that a run and its store have, with a bit flipped or cut: told by name, or harmless."""

from __future__ import annotations

import json
import random
import shutil
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from sequela.core.errors import SequelaError
from sequela.editors import create_editor
from sequela.editors.storage import load_saved_edits
from sequela.results import read_manifest
from sequela.store import Address, DamagedObjectError, open_store, run_id_of
from support.forked import Source
from support.mutations import damage
from support.studies import small_study, write_edits, write_study
from support.torture import METHODS, Torture
from support.world import World, load_world_model

pytestmark = pytest.mark.slow

N_POSITIONS = 200
"""The number of damages over all kinds of files."""


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory, world_folder: Path, world: World) -> Path:
    folder = tmp_path_factory.mktemp("study")
    content = small_study(
        world_folder,
        write_edits(folder / "facts.jsonl", world, 2),
        editors=METHODS,
        alarms={"every": 1},
        edit_quality={"max_new_tokens": 2, "max_neighborhood": 1},
    )
    return write_study(folder / "study.yaml", content)


@pytest.fixture(scope="module")
def finished(source: Source, study: Path, tmp_path_factory: pytest.TempPathFactory) -> Torture:
    """A finished run; to be copied, or put in order again."""
    run = Torture(source, study, tmp_path_factory.mktemp("finished") / "one")
    status, said = run.run()
    assert status == 0, said
    return run


@dataclass(frozen=True)
class Kind:
    """A kind of file.

    Args:
        name: Its name.
        files: All files of the kind.
        read: Reads such a file; returns every value as text.
    """

    name: str
    files: list[Path]
    read: Callable[[Path], str]


def kinds_of(run: Torture, world_folder: Path) -> list[Kind]:
    model = load_world_model(world_folder)
    editors = {str(one["name"]): create_editor(str(one["name"]), one["settings"]) for one in METHODS}  # type: ignore[arg-type]
    store = Path(run.store)

    def checkpoint(path: Path) -> str:
        (editor,) = (editors[name] for name in editors if f'"{name}"' in descriptions[path.parent])
        saved = load_saved_edits(path.parent, model, editor)
        return f"{saved.delta.content_hash} {saved.methods} {saved.ranks}"

    def fetched(path: Path) -> str:
        (kind, key, *_) = path.relative_to(store / "objects").parts
        address = Address.parse(f"{kind}/{key}")
        try:
            folder = open_store(store).fetch(address)
        except DamagedObjectError as error:
            shutil.move(str(error.aside), store / "objects" / kind / key)
            raise
        return str([(one.name, one.read_bytes()) for one in sorted(folder.iterdir())])

    def opened(path: Path) -> str:
        return str(list(open_store(store).registrations()))

    checkpoints = sorted(run.output.glob("checkpoints/*/*/*"))
    descriptions = {path.parent: path.read_text() for path in checkpoints if path.name == "edits.json"}
    found = [
        Kind("run: manifest", [run.output / "manifest.json"], lambda path: str(read_manifest(path.parent))),
        Kind("run: database", [run.output / "results.sqlite"], lambda path: run.table().decode()),
        Kind("run: items", sorted(run.output.glob("items/*")), lambda path: run.table().decode()),
        *(
            Kind(f"run: checkpoint's {name}", [one for one in checkpoints if one.name == name], checkpoint)
            for name in ("edits.json", "delta.safetensors")
        ),
        Kind("store: its description", [store / "store.json"], opened),
        Kind("store: registration", sorted(store.glob("runs/*.json")), opened),
    ]
    for kind in sorted((store / "objects").iterdir()):
        files = [path for path in sorted(kind.rglob("*")) if path.is_file()]
        for name in sorted({path.name for path in files}):
            found.append(
                Kind(f"store: {kind.name}'s {name}", [one for one in files if one.name == name], fetched)
            )
    return found


def test_readers_tell_every_damage_by_name(finished: Torture, world_folder: Path) -> None:
    kinds = kinds_of(finished, world_folder)
    assert len(kinds) >= 15
    outcomes: dict[str, Counter[str]] = {kind.name: Counter() for kind in kinds}
    intact: dict[Path, str] = {}
    for number in range(N_POSITIONS):
        kind, chooser = kinds[number % len(kinds)], random.Random(number)
        path = chooser.choice(kind.files)
        whole = path.read_bytes()
        if path not in intact:
            intact[path] = kind.read(path)
        path.chmod(0o644)
        path.write_bytes(damage(whole, chooser))
        try:
            silent = kind.read(path) != intact[path]
            outcome = f"another value ({path}, {number})" if silent else "harmless"
        except SequelaError as error:
            text = str(error)
            named = path.name in text or path.parent.name in text or path.parents[1].name in text
            outcome = "told" if named else f"told without a name ({path}, {number}): {text}"
        except Exception as error:  # noqa: BLE001 - whatever it is, it is a finding
            outcome = f"{type(error).__name__} ({path}, {number}): {error}"
        outcomes[kind.name][outcome] += 1
        path.chmod(0o644)
        path.write_bytes(whole)
    for name, counts in outcomes.items():
        sys.stdout.write(f"{name:40} {dict(counts)}\n")
    assert sum(map(Counter.total, outcomes.values())) == N_POSITIONS
    found = set().union(*outcomes.values())
    assert found <= {"told", "harmless"}, found - {"told", "harmless"}


def test_a_study_makes_damaged_objects_again(
    source: Source, study: Path, finished: Torture, tmp_path: Path
) -> None:
    """One file of each object is damaged; every object is named and made again, and the table is the same."""
    chooser = random.Random(0)
    store = tmp_path / "store"
    shutil.copytree(finished.store, store)
    objects = sorted(path.parent for path in store.glob("objects/*/*/object.json"))
    for folder in objects:
        path = chooser.choice([one for one in sorted(folder.rglob("*")) if one.is_file()])
        path.chmod(0o644)
        path.write_bytes(damage(path.read_bytes(), chooser))
    run = Torture(source, study, tmp_path / "again", store=str(store))
    status, said = run.run()
    assert status == 0, said
    assert "Traceback" not in said
    assert run.table() == finished.table()
    assert all(folder.name in said for folder in objects), said
    assert len(list((store / "damaged").iterdir())) == len(objects)


def test_a_run_measures_damaged_results_again(
    source: Source, study: Path, finished: Torture, tmp_path: Path
) -> None:
    """Items that are damaged are taken from the store, which has them whole, or measured again."""
    folder = tmp_path / "again"
    run = Torture(source, study, folder, store=finished.store)
    shutil.copytree(finished.output, run.output)
    chooser = random.Random(1)
    files = sorted(run.output.glob("items/*"))
    for path in files[::2]:
        path.write_bytes(damage(path.read_bytes(), chooser))
    status, said = run.run()
    assert status == 0, said
    assert "Traceback" not in said
    assert all(path.name in said for path in files[::2])
    assert json.loads(run.table())["measurements"] == json.loads(finished.table())["measurements"]


@pytest.mark.parametrize("name", ["manifest.json", "results.sqlite", "store.json"])
def test_what_can_not_be_made_again_is_refused(
    source: Source, study: Path, finished: Torture, tmp_path: Path, name: str
) -> None:
    run = Torture(source, study, tmp_path / "again")
    shutil.copytree(finished.output, run.output)
    shutil.copytree(finished.store, run.store)
    (path,) = (one for root in (run.output, Path(run.store)) for one in root.glob(name))
    cut(path)
    status, said = run.run()
    assert (status, "Traceback" in said) == (2, False), said
    assert str(path) in said.partition("Error: ")[2]


def test_a_run_whose_registration_is_damaged_says_what_to_remove(
    source: Source, study: Path, finished: Torture, tmp_path: Path
) -> None:
    run = Torture(source, study, tmp_path / "again")
    shutil.copytree(finished.store, run.store)
    assert run.run()[0] == 0
    shutil.rmtree(run.output)
    registration = Path(run.store) / "runs" / f"{run_id_of(run.output)}.json"
    cut(registration)
    status, said = run.run()
    assert (status, "Traceback" in said) == (2, False), said
    assert f"Remove runs/{registration.name} from the store" in said
    registration.unlink()
    status, said = run.run()
    assert status == 0, said
    assert run.table() == finished.table()


def cut(path: Path) -> None:
    """Leaves the first two thirds of a file."""
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) * 2 // 3])
