"""The files of a model in the Hugging Face cache, and the check of their content."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from sequela.models.hub_cache import damaged_files, has_hash, text_files, weight_files


@pytest.fixture
def snapshot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A snapshot in a cache with links to blobs: of git, of LFS, and one whose hash is unknown."""
    monkeypatch.setenv("SEQUELA_CACHE", str(tmp_path / "sequela"))
    repository = tmp_path / "hub" / "models--somebody--tiny"
    folder = repository / "snapshots" / "0123"
    folder.mkdir(parents=True)
    (repository / "blobs").mkdir()
    content = b"{}"
    names = {
        "config.json": hashlib.sha1(b"blob 2\0{}").hexdigest(),
        "model.safetensors": hashlib.sha256(content).hexdigest(),
        "odd.json": "an-etag-of-a-mirror",
    }
    for name, blob in names.items():
        (repository / "blobs" / blob).write_bytes(content)
        (folder / name).symlink_to(Path("..", "..", "blobs", blob))
    (folder / "plain.json").write_bytes(b"no link")
    return folder


def test_files_with_their_published_hash_are_sound(snapshot: Path) -> None:
    assert damaged_files(snapshot, [path.name for path in snapshot.iterdir()] + ["missing.json"]) == []


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
@pytest.mark.parametrize("content", [b"{!", b"{", b"{} ", b""])
def test_another_content_is_found_also_after_the_file_was_found_sound(
    snapshot: Path, name: str, content: bytes
) -> None:
    assert damaged_files(snapshot, [name]) == []
    (snapshot / name).resolve().write_bytes(content)
    assert damaged_files(snapshot, [name]) == [name]
    assert damaged_files(snapshot, [name]) == [name]


def test_a_sound_file_is_hashed_once(snapshot: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hashed: list[str] = []

    def counted(file: Path, expected: str) -> bool:
        hashed.append(file.name)
        return has_hash(file, expected)

    monkeypatch.setattr("sequela.models.hub_cache.has_hash", counted)
    for _ in range(3):
        assert damaged_files(snapshot, ["config.json"]) == []
    assert hashed == ["config.json"]


@pytest.mark.parametrize("record", ["", "[]", '{"a": 1}', "\udce9".encode("utf-8", "surrogateescape")])
def test_a_damaged_record_costs_only_the_hash(snapshot: Path, tmp_path: Path, record: str | bytes) -> None:
    assert damaged_files(snapshot, ["config.json"]) == []
    (path,) = (tmp_path / "sequela" / "hub-checks").iterdir()
    path.write_bytes(record if isinstance(record, bytes) else record.encode())
    assert damaged_files(snapshot, ["config.json"]) == []


def test_a_cache_that_can_t_be_written_is_no_error(snapshot: Path, tmp_path: Path) -> None:
    (tmp_path / "sequela").write_text("a file, not a folder")
    assert damaged_files(snapshot, ["config.json"]) == []


def test_text_files_are_those_that_loading_reads() -> None:
    names = [
        "config.json",
        "onnx/config.json",
        "additional_chat_templates/tool.jinja",
        "merges.txt",
        "a.py",
        "b.gguf",
    ]
    assert text_files(names, trust=False) == [
        "additional_chat_templates/tool.jinja",
        "config.json",
        "merges.txt",
    ]
    assert "a.py" in text_files(names, trust=True)


def test_weights_are_those_that_transformers_loads(tmp_path: Path) -> None:
    shards = {
        "weight_map": {"a": "model-1.safetensors", "b": "model-2.safetensors", "c": "model-1.safetensors"}
    }
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(shards))
    index = ["model.safetensors.index.json", "pytorch_model.bin", "consolidated.safetensors"]
    assert weight_files(index, tmp_path) == ["model-1.safetensors", "model-2.safetensors"]
    assert weight_files([*index, "model.safetensors"], tmp_path) == ["model.safetensors"]
    assert weight_files(["pytorch_model.bin"], tmp_path) == ["pytorch_model.bin"]
    assert weight_files(["model.gguf"], tmp_path) == []
    for damaged in ("", "[]", "{}", '{"weight_map": 3}'):
        (tmp_path / "model.safetensors.index.json").write_text(damaged)
        assert weight_files(index, tmp_path) == []
