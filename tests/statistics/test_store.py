"""Statistics are collected once, stored by content, and never mixed between models."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from sequela.core.errors import IntegrityError
from sequela.core.progress import SilentProgress
from sequela.statistics import CorpusSpec, Statistics
from support.at_once import at_once, collect_statistics
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


def test_loaded_statistics_are_bit_for_bit_the_stored_ones(kept: Statistics, tmp_path: Path) -> None:
    again = tiny_statistics(kept.model, tmp_path)
    assert again.missing([1, 2, 3]) == [3]
    for layer in (1, 2):
        assert torch.equal(again.key_covariance(layer).matrix, kept.key_covariance(layer).matrix)
        assert again.key_covariance(layer).n_tokens == N_TOKENS


def test_another_model_has_another_folder(kept: Statistics, tmp_path: Path) -> None:
    other = tiny_statistics(tiny_language_model("llama", seed=1), tmp_path)
    assert other.folder != kept.folder
    assert other.missing([1]) == [1]


def test_another_corpus_has_another_folder(kept: Statistics, tmp_path: Path) -> None:
    longer = Statistics(kept.model, kept.spec.model_copy(update={"n_tokens": 2560}), tmp_path / "statistics")
    assert longer.folder != kept.folder


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


def test_a_damaged_file_is_an_error_that_says_what_to_do(kept: Statistics, tmp_path: Path) -> None:
    path = kept.folder / "layer_1.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(IntegrityError, match="Delete that folder"):
        tiny_statistics(kept.model, tmp_path).key_covariance(1)


def test_a_changed_value_is_an_error(kept: Statistics, tmp_path: Path) -> None:
    path = kept.folder / "layer_1.safetensors"
    matrix = load_file(path)["second_moment"]
    matrix[3, 5] *= 1.0001
    save_file({"second_moment": matrix}, path)
    with pytest.raises(IntegrityError, match=r"layer_1\.safetensors was changed after"):
        tiny_statistics(kept.model, tmp_path).key_covariance(1)


@pytest.mark.parametrize("content", [b"", b"{}", b"\xff\xfe"])
def test_a_damaged_description_is_an_error(kept: Statistics, tmp_path: Path, content: bytes) -> None:
    (kept.folder / "layer_2.json").write_bytes(content)
    with pytest.raises(IntegrityError, match="damaged"):
        tiny_statistics(kept.model, tmp_path).key_covariance(2)


def test_a_damaged_corpus_is_an_error(kept: Statistics, tmp_path: Path) -> None:
    (kept.folder / "corpus.safetensors").write_bytes(b"nothing")
    with pytest.raises(IntegrityError, match="damaged"):
        tiny_statistics(kept.model, tmp_path).key_covariance(3)


def test_a_corpus_with_another_token_is_an_error(kept: Statistics, tmp_path: Path) -> None:
    path = kept.folder / "corpus.safetensors"
    token_ids = load_file(path)["token_ids"]
    token_ids[0, 0] ^= 1
    save_file({"token_ids": token_ids}, path)
    with pytest.raises(IntegrityError, match=r"corpus\.safetensors was changed after it was saved"):
        tiny_statistics(kept.model, tmp_path).key_covariance(3)


def test_a_corpus_of_an_earlier_version_has_no_hash_and_is_made_again(
    kept: Statistics, tmp_path: Path
) -> None:
    (kept.folder / "corpus.json").rename(kept.folder / "corpus.txt")
    (kept.folder / "corpus.safetensors").write_bytes(b"nothing")
    first = kept.key_covariance(1).matrix
    assert torch.equal(tiny_statistics(kept.model, tmp_path).key_covariance(1).matrix, first)
    tiny_statistics(kept.model, tmp_path).key_covariance(3)
    assert (kept.folder / "corpus.json").is_file()


@pytest.mark.slow
def test_of_two_processes_one_collects_and_the_other_waits_and_uses_it(tmp_path: Path) -> None:
    write_text(tmp_path / "corpus.txt")
    assert sorted(at_once(2, collect_statistics, tmp_path)) == [[], [1, 2]]
    assert tiny_statistics(tiny_language_model("llama"), tmp_path).missing([1, 2]) == []
