"""Trained networks in the store: what one user has trained, all who share the store edit with."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from sequela.core.errors import BadInputError, SequelaError
from sequela.editors import Resources, create_editor
from sequela.editors.methods.mend.editor import Mend
from sequela.editors.training.artifact import DESCRIPTION, NETWORK, artifact_folder, read_artifact
from sequela.editors.training.stored_network import keep_network
from sequela.models import LanguageModel
from sequela.statistics import Statistics
from sequela.store import DamagedObjectError, Kind, MissingObjectError, Store, open_store
from support.at_once import Said
from support.disks import MIB, mounted
from support.trainings import train_quickly
from support.world import World

SETTINGS: dict[str, Any] = {"layers": [1], "rank": 4}


@pytest.fixture(autouse=True)
def _own_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEQUELA_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("SEQUELA_STORE", str(tmp_path / "store"))


@pytest.fixture(scope="module")
def trained(world_folder: Path, world: World, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The folders of two short trainings of MEND, which differ in their seed."""
    folders = [tmp_path_factory.mktemp("training") for _ in range(2)]
    return [train_quickly(mend(), world_folder, world, folder, seed) for seed, folder in enumerate(folders)]


def mend(**settings: object) -> Mend:
    editor = create_editor("mend", {**SETTINGS, **settings})
    assert isinstance(editor, Mend)
    return editor


@pytest.fixture
def own(trained: list[Path], world_model: LanguageModel) -> Path:
    """The user's own folder of a training, with the first network."""
    folder = artifact_folder("mend", world_model, mend().training_dependent_settings)
    return shutil.copytree(trained[0], folder)


def prepared(editor: Mend, model: LanguageModel) -> tuple[str, list[str]]:
    """Returns the network that a method takes, and what is said."""
    said = Said()
    return editor.prepare(model, Resources(Statistics(model), progress=said)).network, said.lines


def networks(store: Store) -> list[str]:
    return [str(one.address) for one in store.entries([Kind.NETWORK])]


def cut(path: Path) -> None:
    """Cuts off the end of a file of the store."""
    path.chmod(0o644)
    path.write_bytes(path.read_bytes()[:-20])


def test_the_own_network_is_stored_when_it_is_used_and_others_use_it(
    own: Path, trained: list[Path], world_model: LanguageModel
) -> None:
    expected, editor = read_artifact(own).network, mend()
    assert editor.used_objects(world_model) == frozenset()
    assert prepared(editor, world_model) == (expected, [])
    assert [str(one) for one in editor.used_objects(world_model)] == networks(open_store())
    assert prepared(mend(), world_model)[0] == expected
    shutil.rmtree(own)
    found, (line,) = prepared(mend(), world_model)
    assert found == expected
    assert networks(open_store())[0] in line
    assert "trained on 26 edits" in line


def test_of_several_networks_one_is_used_and_any_can_be_named(
    trained: list[Path], world_model: LanguageModel
) -> None:
    store = open_store()
    first, second = (keep_network(folder, store)[1] for folder in trained)
    assert sorted(networks(store)) == sorted(map(str, (first, second)))
    _, (line,) = prepared(mend(), world_model)
    assert "1 other network there would fit too: name one as `artifact`" in line
    for address, folder in ((first, trained[0]), (second, trained[1])):
        editor = mend(artifact=str(address))
        assert prepared(editor, world_model) == (read_artifact(folder).network, [])
        assert editor.used_objects(world_model) == {address}


def test_a_later_training_of_another_user_changes_nothing(
    own: Path, trained: list[Path], world_model: LanguageModel
) -> None:
    keep_network(trained[1], open_store())
    assert prepared(mend(), world_model) == (read_artifact(own).network, [])
    assert len(networks(open_store())) == 2


def test_other_settings_and_models_find_none(trained: list[Path], world_model: LanguageModel) -> None:
    keep_network(trained[0], open_store())
    with pytest.raises(SequelaError, match="must be trained before"):
        prepared(mend(rank=8), world_model)


def test_an_unknown_address_is_an_error(world_model: LanguageModel) -> None:
    with pytest.raises(MissingObjectError, match="has no object network/0123456789abcdef"):
        prepared(mend(artifact="network/0123456789abcdef"), world_model)
    with pytest.raises(BadInputError, match="is not the key of an object"):
        prepared(mend(artifact="network/latest"), world_model)


class TestDamaged:
    @pytest.mark.parametrize("name", [NETWORK, DESCRIPTION])
    def test_a_damaged_object_is_stored_again_from_the_own_training(
        self, own: Path, world_model: LanguageModel, name: str
    ) -> None:
        store = open_store()
        folder, address = keep_network(own, store)
        cut(folder / name)
        found, (line,) = prepared(mend(), world_model)
        assert found == read_artifact(own).network
        assert f"The object {address} is damaged: {name}" in line
        assert networks(store) == [str(address)]
        assert not any(one.damages for one in store.verify())

    @pytest.mark.parametrize("name", [NETWORK, DESCRIPTION])
    def test_a_damaged_object_of_another_user_is_refused(
        self, trained: list[Path], world_model: LanguageModel, name: str
    ) -> None:
        folder, _ = keep_network(trained[0], open_store())
        cut(folder / name)
        with pytest.raises(DamagedObjectError, match=name):
            prepared(mend(), world_model)

    def test_a_damaged_description_is_named(self, trained: list[Path], world_model: LanguageModel) -> None:
        folder, address = keep_network(trained[0], open_store())
        cut(folder.parent / "object.json")
        with pytest.raises(
            SequelaError, match=rf"no network was trained .* {address}/object\.json is damaged"
        ):
            prepared(mend(), world_model)

    @pytest.mark.parametrize("name", [NETWORK, DESCRIPTION])
    def test_a_damaged_training_is_refused_by_its_file(
        self, own: Path, world_model: LanguageModel, name: str
    ) -> None:
        cut(own / name)
        with pytest.raises(SequelaError, match=str(own / name)):
            prepared(mend(), world_model)
        assert networks(open_store()) == []


def test_a_store_that_cannot_be_written_to_does_not_matter(
    own: Path, world_model: LanguageModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with mounted(tmp_path / "disk", 4 * MIB) as disk:
        monkeypatch.setenv("SEQUELA_STORE", str(disk.folder))
        disk.make_read_only()
        found, (line,) = prepared(mend(), world_model)
        assert found == read_artifact(own).network
        assert "is used where it is: Can't write to the store" in line
