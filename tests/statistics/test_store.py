"""Statistics are collected once, stored by content, and never mixed between models."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from sequela.core.errors import BadInputError, IntegrityError
from sequela.core.progress import SilentProgress
from sequela.edited import Delta
from sequela.statistics import Corpus, CorpusSpec, Statistics, open_corpus
from sequela.statistics.stored_statistics import read_corpus
from sequela.store import DamagedObjectError, StoreError
from support.at_once import Said, at_once, collect_statistics
from support.disks import MIB, mounted
from support.exact import exact_language_model
from support.statistics import N_TOKENS, tiny_statistics, write_text
from support.tiny import tiny_language_model


class Listener(SilentProgress):
    """Records the started tasks."""

    def __init__(self) -> None:
        self.heard: list[str] = []

    def start(self, description: str, total: int | None) -> int:
        self.heard.append(description)
        return 0


@pytest.fixture
def kept(tmp_path: Path) -> Statistics:
    """Statistics of layers 1 and 2 of a tiny model, stored on disk."""
    statistics = tiny_statistics(tiny_language_model("llama"), tmp_path)
    statistics.prepare([1, 2])
    return statistics


def cut(path: Path) -> None:
    """Cuts off the end of a file of the store."""
    path.chmod(0o644)
    path.write_bytes(path.read_bytes()[:-20])


def test_loaded_statistics_are_bit_for_bit_the_stored_ones(kept: Statistics, tmp_path: Path) -> None:
    again = tiny_statistics(kept.model, tmp_path)
    assert again.missing([1, 2, 3]) == [3]
    for layer in (1, 2):
        assert torch.equal(again.key_covariance(layer).matrix, kept.key_covariance(layer).matrix)
        assert again.key_covariance(layer).n_tokens == N_TOKENS


def test_another_model_has_others(kept: Statistics, tmp_path: Path) -> None:
    other = tiny_statistics(tiny_language_model("llama", seed=1), tmp_path)
    assert other.address_of(1) != kept.address_of(1)
    assert other.missing([1]) == [1]


def test_another_text_has_others(kept: Statistics, tmp_path: Path) -> None:
    assert kept.spec is not None
    longer = Statistics(kept.model, kept.spec.model_copy(update={"n_tokens": 2560}), tmp_path / "statistics")
    assert longer.missing([1, 2]) == [1, 2]
    assert longer.key != kept.key
    assert longer.corpus_address != kept.corpus_address


def test_a_text_can_be_given_in_place_of_its_recipe(kept: Statistics, tmp_path: Path) -> None:
    assert kept.spec is not None
    corpus = open_corpus(kept.spec, kept.model)
    given = Statistics(kept.model, folder=tmp_path / "statistics", corpus=corpus)
    assert given.missing([1]) == [1]  # another address: nobody knows the recipe
    assert torch.equal(given.key_covariance(1).matrix, kept.key_covariance(1).matrix)
    assert given.used == {given.address_of(1)}
    assert Statistics(kept.model, folder=tmp_path / "statistics", corpus=corpus).missing([1]) == []
    other = Corpus.of("another", corpus.sequences.flip(0))
    assert Statistics(kept.model, folder=tmp_path / "statistics", corpus=other).missing([1]) == [1]
    with pytest.raises(BadInputError, match="not both"):
        Statistics(kept.model, kept.spec, corpus=corpus)


def test_several_layers_take_one_pass_and_the_text_is_sampled_once(tmp_path: Path) -> None:
    listener = Listener()
    statistics = Statistics(
        tiny_language_model("llama"), CorpusSpec(n_tokens=640, window=64), tmp_path, listener
    )
    statistics.prepare([0, 1, 3])
    assert listener.heard == ["sampling tokens from the model", "key statistics of 3 layers"]
    statistics.prepare([3, 1])
    statistics.key_covariance(0)
    assert len(listener.heard) == 2
    again = Statistics(statistics.model, statistics.spec, tmp_path, listener)
    again.prepare([1, 2])
    assert listener.heard[2:] == ["key statistics of 1 layers"]


def test_later_layers_use_the_same_text(kept: Statistics, tmp_path: Path) -> None:
    """The stored corpus is used, even if its source file no longer exists."""
    text = tmp_path / "corpus.txt"
    later = Statistics(kept.model, kept.spec, tmp_path / "statistics")
    text.unlink()
    found = later.key_covariance(3)
    write_text(text)
    fresh = Statistics(kept.model, kept.spec, tmp_path / "elsewhere").key_covariance(3)
    assert torch.equal(found.matrix, fresh.matrix)


class TestDamaged:
    @pytest.mark.parametrize("name", ["layer_1.safetensors", "layer_1.json"])
    def test_a_damaged_layer_is_named_set_aside_and_collected_again(
        self, kept: Statistics, tmp_path: Path, name: str
    ) -> None:
        whole, said = kept.key_covariance(1).matrix.clone(), Said()  # not of the file that is cut
        cut(kept.store.fetch(kept.address_of(1)) / name)
        again = Statistics(kept.model, kept.spec, tmp_path / "statistics", said)
        assert again.prepare([1, 2]) == [1]
        assert torch.equal(again.key_covariance(1).matrix, whole)
        (line,) = said.lines
        assert line.startswith("The key statistics of layer 1 of tiny-llama are collected again: The object")
        assert name in line
        assert "damaged" in line

    def test_damage_while_edits_are_in_force_is_an_error(self, kept: Statistics, tmp_path: Path) -> None:
        again = tiny_statistics(kept.model, tmp_path)
        again.prepare([1])
        cut(kept.store.fetch(kept.address_of(1)) / "layer_1.safetensors")
        applied = Delta.empty(kept.model.fingerprint).apply(kept.model)
        try:
            with pytest.raises(DamagedObjectError, match=r"layer_1\.safetensors"):
                again.key_covariance(1)
        finally:
            applied.revert()
        assert again.key_covariance(1).n_tokens == N_TOKENS

    def test_a_damaged_text_is_made_again(self, kept: Statistics, tmp_path: Path) -> None:
        said = Said()
        cut(kept.store.fetch(kept.corpus_address) / "corpus.safetensors")
        again = Statistics(kept.model, kept.spec, tmp_path / "statistics", said)
        found = again.key_covariance(3)
        assert "The text of the key statistics is read or sampled again" in said.lines[0]
        fresh = Statistics(kept.model, kept.spec, tmp_path / "elsewhere").key_covariance(3)
        assert torch.equal(found.matrix, fresh.matrix)

    def test_one_that_was_removed_meanwhile_is_collected_again(self, kept: Statistics) -> None:
        before = kept.key_covariance(1).matrix
        kept.store.discard(kept.address_of(1))
        assert torch.equal(kept.key_covariance(1).matrix, before)


class TestOfAnEarlierVersion:
    """Statistics in the cache, as versions without a store wrote them (`tests/old_formats`)."""

    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        """The folder of the old statistics of the exact model, in the cache."""
        (old,) = (Path(__file__).parents[1] / "old_formats" / "statistics").iterdir()
        return shutil.copytree(old, tmp_path / "cache" / "statistics" / old.name)

    @pytest.fixture
    def statistics(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Statistics:
        monkeypatch.setenv("SEQUELA_CACHE", str(folder.parents[1]))
        monkeypatch.delenv("SEQUELA_STORE", raising=False)
        return self.make()

    def make(self, said: Said | None = None) -> Statistics:
        spec = CorpusSpec(n_tokens=256, window=32)
        return Statistics(exact_language_model(), spec, progress=said or Said())

    def test_they_are_found_and_taken_over_into_the_store(self, statistics: Statistics, folder: Path) -> None:
        assert statistics.missing([1]) == statistics.prepare([1]) == []
        expected = load_file(folder / "layer_1.safetensors")["second_moment"]
        assert torch.equal(statistics.key_covariance(1).matrix, expected)
        assert statistics.key_covariance(1).corpus == "sampled from model with seed 0"
        shutil.rmtree(folder)
        assert torch.equal(self.make().key_covariance(1).matrix, expected)

    def test_another_layer_is_collected_from_the_same_text(
        self, statistics: Statistics, folder: Path
    ) -> None:
        ids = load_file(folder / "corpus.safetensors")["token_ids"]
        assert statistics.prepare([1, 2]) == [2]
        assert torch.equal(read_corpus(statistics.store.fetch(statistics.corpus_address)).sequences, ids)

    @pytest.mark.parametrize(
        "name", ["layer_1.safetensors", "layer_1.json", "corpus.safetensors", "corpus.json"]
    )
    @pytest.mark.parametrize("content", [b"", b"{}", b"\xff\xfe", None])
    def test_damaged_ones_are_refused(
        self, statistics: Statistics, folder: Path, name: str, content: bytes | None
    ) -> None:
        path = folder / name
        path.write_bytes(path.read_bytes()[:-100] if content is None else content)
        with pytest.raises(IntegrityError, match=rf"{folder} are damaged.*{name}") as caught:
            statistics.prepare([1 if name.startswith("layer") else 2])
        assert "Delete that folder" in (caught.value.hint or "")

    def test_a_changed_value_is_refused(self, statistics: Statistics, folder: Path) -> None:
        path = folder / "layer_1.safetensors"
        matrix = load_file(path)["second_moment"]
        matrix[3, 5] *= 1.0001
        save_file({"second_moment": matrix}, path)
        with pytest.raises(IntegrityError, match=r"layer_1\.safetensors was changed after"):
            statistics.key_covariance(1)

    def test_files_of_another_layer_are_refused(self, statistics: Statistics, folder: Path) -> None:
        for suffix in (".json", ".safetensors"):
            (folder / f"layer_1{suffix}").rename(folder / f"layer_2{suffix}")
        with pytest.raises(IntegrityError, match=r"layer_2\.json is of layer 1 of the model"):
            statistics.key_covariance(2)

    def test_a_text_without_a_hash_is_not_used(self, statistics: Statistics, folder: Path) -> None:
        """One of the first versions wrote the description of the text as `corpus.txt`."""
        (folder / "corpus.json").rename(folder / "corpus.txt")
        (folder / "corpus.safetensors").write_bytes(b"nothing")
        assert statistics.prepare([1, 2]) == [2]

    def test_a_store_that_cannot_be_written_to_does_not_matter(
        self, statistics: Statistics, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with mounted(tmp_path / "disk", 4 * MIB) as disk:
            monkeypatch.setenv("SEQUELA_STORE", str(disk.folder))
            disk.make_read_only()
            said = Said()
            found = self.make(said)
            assert found.prepare([1]) == []
            assert "are used where they are: Can't write to the store" in said.lines[0]
            expected = load_file(folder / "layer_1.safetensors")["second_moment"]
            assert torch.equal(found.key_covariance(1).matrix, expected)
            with pytest.raises(StoreError, match="Can't write to the store"):
                found.prepare([2])


def test_what_is_in_a_read_only_store_is_used(tmp_path: Path) -> None:
    model = tiny_language_model("llama")
    with mounted(tmp_path / "disk", 4 * MIB) as disk:
        stored = Statistics(model, CorpusSpec(n_tokens=640, window=64), disk.folder / "store")
        expected = stored.key_covariance(1).matrix
        disk.make_read_only()
        again = Statistics(model, CorpusSpec(n_tokens=640, window=64), disk.folder / "store")
        assert again.prepare([1]) == []
        assert torch.equal(again.key_covariance(1).matrix, expected)


@pytest.mark.slow
def test_of_two_processes_one_collects_and_the_other_waits_and_uses_it(tmp_path: Path) -> None:
    write_text(tmp_path / "corpus.txt")
    assert sorted(at_once(2, collect_statistics, tmp_path)) == [[], [1, 2]]
    assert tiny_statistics(tiny_language_model("llama"), tmp_path).missing([1, 2]) == []
