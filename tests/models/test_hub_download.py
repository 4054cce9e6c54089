"""Models are downloaded from a hub on loopback: whole and undamaged, or with an error in words."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from huggingface_hub import constants
from transformers import AutoConfig

from sequela.core import hub as hub_module
from sequela.core.errors import BadInputError, IntegrityError, SequelaError, UnsupportedModelError
from sequela.core.progress import SilentProgress
from sequela.models import LanguageModel, hub_download, load_model
from support.hub_server import Hub, serving
from support.tiny import tiny_language_model

REPOSITORY = "somebody/tiny"
NOBODY = "http://127.0.0.1:9"
"""The port `discard`, which no server listens on."""


@dataclass
class Said(SilentProgress):
    """Keeps what is reported."""

    lines: list[str] = field(default_factory=list)

    def say(self, message: str) -> None:
        self.lines.append(message)


def saved(model: LanguageModel, folder: Path, shard: str = "5GB") -> Path:
    model.module.save_pretrained(folder, max_shard_size=shard)
    model.tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Tiny models as folders: `main`, `v1.0` with other weights, and `sharded`."""
    where = tmp_path_factory.mktemp("published")
    return {
        "main": saved(tiny_language_model("llama"), where / "main"),
        "v1.0": saved(tiny_language_model("llama", seed=1), where / "first"),
        "sharded": saved(tiny_language_model("llama"), where / "sharded", shard="40KB"),
    }


@pytest.fixture
def hub(folders: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A hub with one model in several revisions, and an empty cache."""
    served = Hub(
        {REPOSITORY: {"main": folders["main"], "v1.0": folders["v1.0"], "refs/pr/3": folders["sharded"]}}
    )
    with serving(served):
        use_endpoint(monkeypatch, served.url)
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        monkeypatch.setenv("SEQUELA_CACHE", str(tmp_path / "sequela"))
        monkeypatch.delenv("HF_TOKEN", raising=False)
        monkeypatch.setattr(hub_download, "WAITS", (0.0,) * 4)
        yield served


def use_endpoint(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    """Does what HF_ENDPOINT does in a new process; the hub's library reads it at import."""
    monkeypatch.setattr(constants, "ENDPOINT", url)
    template = url + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)


def fingerprint(folder: Path) -> str:
    return load_model(folder, device="cpu").fingerprint


def blobs(tmp_path: Path) -> list[Path]:
    return sorted((tmp_path / "hub" / "models--somebody--tiny" / "blobs").iterdir())


def test_a_model_is_downloaded_once(hub: Hub, folders: dict[str, Path]) -> None:
    said = Said()
    loaded = load_model(REPOSITORY, device="cpu", progress=said)
    assert loaded.fingerprint == fingerprint(folders["main"])
    assert any("1 file of weights" in line for line in said.lines)
    asked = len(hub.requests)
    again = load_model(REPOSITORY, device="cpu")
    assert again.fingerprint == loaded.fingerprint
    assert len(hub.requests) == asked


def test_a_download_that_is_cut_continues_where_it_was_cut(
    hub: Hub, folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        constants, "DOWNLOAD_CHUNK_SIZE", 10_000
    )  # what is received is written in such pieces
    hub.cut["model.safetensors"] = 50_000
    said = Said()
    loaded = load_model(REPOSITORY, device="cpu", progress=said)
    assert loaded.fingerprint == fingerprint(folders["main"])
    asked = [one.range for one in hub.asked("GET", "model.safetensors")]
    assert asked == ["", "bytes=50000-"]
    assert any("continuing" in line for line in said.lines)


def test_shards_are_downloaded_and_those_that_are_there_are_kept(hub: Hub, folders: dict[str, Path]) -> None:
    shards = sorted(path.name for path in folders["sharded"].glob("*.safetensors"))
    assert len(shards) > 1
    hub.wrong.add(shards[-1])
    name = f"{REPOSITORY}@refs/pr/3"
    with pytest.raises(IntegrityError, match=shards[-1]):
        load_model(name, device="cpu")
    hub.wrong.clear()
    loaded = load_model(name, device="cpu")
    assert loaded.fingerprint == fingerprint(folders["main"])
    assert all(len(hub.asked("GET", shard)) == 1 for shard in shards[:-1])


def test_a_revision_is_named_after_an_at_sign(hub: Hub, folders: dict[str, Path]) -> None:
    old = load_model(f"{REPOSITORY}@v1.0", device="cpu")
    assert old.fingerprint == fingerprint(folders["v1.0"]) != fingerprint(folders["main"])
    assert old.name == f"{REPOSITORY}@v1.0"
    commit = hub.commit(REPOSITORY, "v1.0")
    asked = len(hub.requests)
    assert load_model(f"{REPOSITORY}@{commit}", device="cpu").fingerprint == old.fingerprint
    assert load_model(f"{REPOSITORY}@v1.0", device="cpu").fingerprint == old.fingerprint
    assert len(hub.requests) == asked, "both are in the cache"
    assert load_model(REPOSITORY, device="cpu").fingerprint == fingerprint(folders["main"])


def test_an_unknown_revision_is_named(hub: Hub) -> None:
    with pytest.raises(BadInputError, match=r"somebody/tiny has no revision 'v9'"):
        load_model(f"{REPOSITORY}@v9", device="cpu")


def test_an_unknown_repository_is_named_with_the_hub(hub: Hub) -> None:
    with pytest.raises(SequelaError, match=r"no model 'somebody/none' on the hub at http://127") as refused:
        load_model("somebody/none", device="cpu")
    assert "hf auth login" in str(refused.value)


@pytest.mark.parametrize("token", [None, "of somebody else"])
def test_a_gated_model_says_how_to_get_access(
    hub: Hub, folders: dict[str, Path], token: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.gated.add(REPOSITORY)
    if token:
        monkeypatch.setenv("HF_TOKEN", token)
    with pytest.raises(SequelaError, match="gated") as refused:
        load_model(REPOSITORY, device="cpu")
    assert f"{hub.url}/{REPOSITORY}" in str(refused.value)
    assert "hf auth login" in str(refused.value)
    monkeypatch.setenv("HF_TOKEN", "allowed")
    assert load_model(REPOSITORY, device="cpu").fingerprint == fingerprint(folders["main"])


@pytest.mark.parametrize("without_hashes", [False, True])
@pytest.mark.parametrize("file", ["config.json", "tokenizer.json", "model.safetensors"])
def test_a_file_that_arrives_damaged_is_refused_and_not_kept(
    hub: Hub, folders: dict[str, Path], file: str, without_hashes: bool
) -> None:
    hub.wrong.add(file)
    hub.without_hashes = without_hashes
    for _ in range(2):
        with pytest.raises(IntegrityError, match=rf"{file} of somebody/tiny arrives damaged"):
            load_model(REPOSITORY, device="cpu")
    hub.wrong.clear()
    assert load_model(REPOSITORY, device="cpu").fingerprint == fingerprint(folders["main"])


def test_a_file_in_the_cache_that_is_damaged_is_downloaded_again(
    hub: Hub, folders: dict[str, Path], tmp_path: Path
) -> None:
    load_model(REPOSITORY, device="cpu")
    largest = max(blobs(tmp_path), key=lambda path: path.stat().st_size)
    content = bytearray(largest.read_bytes())
    content[-5] ^= 1
    largest.write_bytes(content)
    said = Said()
    loaded = load_model(REPOSITORY, device="cpu", progress=said)
    assert loaded.fingerprint == fingerprint(folders["main"])
    assert any("model.safetensors is damaged" in line for line in said.lines)


def test_a_damaged_file_in_the_cache_is_refused_without_a_network(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    load_model(REPOSITORY, device="cpu")
    largest = max(blobs(tmp_path), key=lambda path: path.stat().st_size)
    largest.write_bytes(largest.read_bytes()[:-4])
    use_endpoint(monkeypatch, NOBODY)
    with pytest.raises(IntegrityError, match=r"model\.safetensors doesn't have its hash"):
        load_model(REPOSITORY, device="cpu")


def test_a_hub_that_is_busy_is_asked_again(hub: Hub, folders: dict[str, Path]) -> None:
    hub.busy = [503, 429, 500]
    hub.retry_after = 0
    said = Said()
    assert load_model(REPOSITORY, device="cpu", progress=said).fingerprint == fingerprint(folders["main"])
    assert [line for line in said.lines if "answers" in line] == [
        f"{REPOSITORY}: the hub answers {status}; trying again in 0 s." for status in (503, 429, 500)
    ]


def test_a_hub_that_stays_busy_is_an_error(hub: Hub) -> None:
    hub.busy = [503] * 50
    with pytest.raises(SequelaError, match=r"answers 503 after 5 tries"):
        load_model(REPOSITORY, device="cpu")


def test_a_hub_that_asks_for_a_long_wait_is_an_error_at_once(hub: Hub) -> None:
    hub.busy, hub.retry_after = [429] * 50, 3600
    with pytest.raises(SequelaError, match="answers 429"):
        load_model(REPOSITORY, device="cpu")
    assert len(hub.busy) == 49


@pytest.mark.parametrize("start", ["/", "/api/", f"/{REPOSITORY}/resolve"])
def test_a_hub_that_never_answers_is_an_error_that_names_it(
    hub: Hub, start: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.hangs = (start,)
    monkeypatch.setattr(hub_module, "SECONDS_TO_ANSWER", 0.3)
    monkeypatch.setattr(hub_download, "SECONDS_TO_LIST", 0.3)
    with pytest.raises(SequelaError, match=rf"the (Hugging Face )?hub at {hub.url} doesn't answer"):
        load_model(REPOSITORY, device="cpu")
    assert len(hub.requests) <= 3


def test_without_a_network_the_copy_in_the_cache_is_loaded(
    hub: Hub, folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    load_model(REPOSITORY, device="cpu")
    use_endpoint(monkeypatch, NOBODY)
    assert load_model(REPOSITORY, device="cpu").fingerprint == fingerprint(folders["main"])
    with pytest.raises(SequelaError, match=r"http://127\.0\.0\.1:9 doesn't answer"):
        load_model(f"{REPOSITORY}@v1.0", device="cpu")


def test_the_times_to_answer_add_up_to_less_than_fifteen_seconds() -> None:
    assert hub_module.SECONDS_TO_ANSWER + hub_download.SECONDS_TO_LIST < 15


def test_an_architecture_that_can_t_be_edited_is_an_error_before_weights_are_downloaded(
    hub: Hub, folders: dict[str, Path], tmp_path: Path
) -> None:
    other = shutil.copytree(folders["main"], tmp_path / "other")
    AutoConfig.for_model("mixtral", architectures=["MixtralForCausalLM"]).save_pretrained(other)
    hub.repositories["somebody/mixture"] = {"main": other}
    with pytest.raises(UnsupportedModelError, match="MixtralForCausalLM"):
        load_model("somebody/mixture", device="cpu")
    assert not hub.asked("GET", "model.safetensors")


@pytest.mark.parametrize("missing", ["config.json", "model.safetensors", "tokenizer.json"])
def test_a_repository_that_lacks_a_file_is_an_error(
    hub: Hub, folders: dict[str, Path], tmp_path: Path, missing: str
) -> None:
    other = shutil.copytree(folders["main"], tmp_path / "other")
    (other / missing).unlink()
    hub.repositories["somebody/part"] = {"main": other}
    with pytest.raises(BadInputError, match="somebody/part"):
        load_model("somebody/part", device="cpu")


@pytest.mark.slow
def test_the_program_loads_from_the_hub_that_the_environment_names(hub: Hub, tmp_path: Path) -> None:
    environment = {**os.environ, "HF_ENDPOINT": hub.url, "HF_HOME": str(tmp_path / "home")}
    for name in ("HF_HUB_CACHE", "HF_HUB_OFFLINE"):
        environment.pop(name, None)
    program = (
        f"from sequela.models import load_model; print(load_model({REPOSITORY!r}, device='cpu').fingerprint)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
    )
    assert done.stdout.strip() == load_model(REPOSITORY, device="cpu").fingerprint
