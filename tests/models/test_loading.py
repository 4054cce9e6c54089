"""Models are loaded from folders, GGUF files and the Hugging Face cache; errors say what is wrong."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import huggingface_hub.constants
import pytest
import torch
from transformers import AutoConfig

from sequela.core.errors import (
    BadInputError,
    IntegrityError,
    SequelaError,
    UnknownNameError,
    UnsupportedModelError,
)
from sequela.core.precision import choose_precision
from sequela.core.progress import SilentProgress
from sequela.models import LanguageModel, load_model
from sequela.models.loading import choose_device
from support.packages import write_gguf
from support.tiny import FAMILY_NAMES, tiny_language_model


def saved(model: LanguageModel, folder: Path) -> Path:
    model.module.save_pretrained(folder)
    model.tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture
def no_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty Hugging Face cache without a network."""
    cache = tmp_path / "hub"
    cache.mkdir()
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(cache))
    return cache


@pytest.mark.parametrize("family", FAMILY_NAMES)
def test_a_saved_model_is_loaded_as_the_same_model(family: str, tmp_path: Path) -> None:
    model = tiny_language_model(family)
    loaded = load_model(str(saved(model, tmp_path)), device="cpu")
    ids = torch.tensor([[5, 6, 7]])
    assert torch.equal(loaded.module(ids).logits, model.module(ids).logits)
    assert loaded.family is model.family
    assert loaded.name == str(tmp_path)
    assert not any(parameter.requires_grad for parameter in loaded.module.parameters())
    assert load_model(str(tmp_path), device="cpu").fingerprint == loaded.fingerprint


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_the_dtype_is_the_requested_one(tmp_path: Path, dtype: str) -> None:
    folder = saved(tiny_language_model("llama"), tmp_path)
    assert load_model(str(folder), device="cpu", dtype=dtype).dtype == getattr(torch, dtype)


def test_a_gguf_file_is_read_dequantized(tmp_path: Path) -> None:
    original = write_gguf(tmp_path / "model.gguf")
    loaded = load_model(str(tmp_path / "model.gguf"), device="cpu")
    ids = torch.tensor([[5, 6, 7]])
    torch.testing.assert_close(loaded.module(ids).logits, original.module(ids).logits, rtol=0, atol=0.1)
    saved(loaded, tmp_path / "again")  # transformers raises an error here for a quantized model
    assert load_model(str(tmp_path / "again"), device="cpu").dtype == torch.float32


TEXTS = (
    "Hello 1234  x\n\n  y",
    "Café déjà vu — 123 😊",
    "don't DON'T",
    "  two spaces\tand a tab ",
    "法国的首都是 12,345.60",
)


def test_a_gguf_file_and_its_copy_are_the_same_model_with_the_source_s_tokens(tmp_path: Path) -> None:
    original = write_gguf(tmp_path / "model.gguf")
    loaded = load_model(str(tmp_path / "model.gguf"), device="cpu")
    copy = load_model(str(saved(loaded, tmp_path / "copy")), device="cpu")
    assert copy.fingerprint == loaded.fingerprint
    for text in TEXTS:
        expected = original.tokenizer(text)["input_ids"]
        assert loaded.tokenizer(text)["input_ids"] == copy.tokenizer(text)["input_ids"] == expected


@pytest.mark.slow
def test_the_default_model_s_fingerprint_is_that_of_earlier_versions() -> None:
    """It was the same under transformers 5.19 and 5.23; stored edits and statistics are bound to it."""
    try:
        model = load_model("smollm2-135m-instruct", device="cpu")
    except SequelaError as error:
        pytest.skip(f"the model can't be downloaded: {error}")
    assert model.fingerprint == "df151cdd4d171806"
    assert model.tokenizer(TEXTS[0])["input_ids"] == [19556, 216, 33, 34, 35, 36, 216, 1792, 8866, 329]


def test_a_model_in_the_hub_cache_needs_no_network(no_network: Path) -> None:
    entry = no_network / "models--somebody--tiny"
    saved(tiny_language_model("gpt2"), entry / "snapshots" / "0123")
    (entry / "refs").mkdir()
    (entry / "refs" / "main").write_text("0123")
    assert load_model("somebody/tiny", device="cpu").family.name == "gpt2"


@pytest.mark.parametrize("name", ["somebody/no-such-model", "no-such-model-at-all"])
def test_a_model_that_can_t_be_downloaded_is_an_error(no_network: Path, name: str) -> None:
    with pytest.raises(SequelaError, match=f"no model '{name}'") as refused:
        load_model(name)
    assert "smollm2-135m-instruct" in str(refused.value)


@pytest.mark.parametrize("name", ["smollm2-135m", "SmolLM2-135M-Instruct", "gemma-270m", "two words"])
def test_a_name_similar_to_an_alias_is_an_error_that_suggests_it(name: str) -> None:
    with pytest.raises(UnknownNameError, match=r"smollm2-135m-instruct|gemma3-270m"):
        load_model(name)


@pytest.mark.parametrize("name", ["./nowhere", "/no/such/folder", "no-such.gguf", "~/no/such/model"])
def test_a_missing_path_is_an_error(name: str) -> None:
    with pytest.raises(BadInputError, match="no such file or folder"):
        load_model(name)


def test_a_path_object_names_a_folder_and_never_a_model_of_the_hub(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = saved(tiny_language_model("gpt2"), tmp_path / "saved")
    monkeypatch.chdir(tmp_path)
    for name in (folder, Path("saved")):
        assert load_model(name).name == load_model(str(name)).name == str(name)
    with pytest.raises(BadInputError, match="no such file or folder"):
        load_model(Path("gpt2"))
    for wrong in (3, b"gpt2", None):
        with pytest.raises(BadInputError, match="is not the name or path of a model"):
            load_model(wrong)  # type: ignore[arg-type]


def test_a_folder_without_a_model_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match=r"config\.json is missing"):
        load_model(str(tmp_path))


def test_a_folder_that_lacks_a_file_is_an_error(tmp_path: Path) -> None:
    folder = saved(tiny_language_model("llama"), tmp_path)
    (folder / "model.safetensors").unlink()
    with pytest.raises(BadInputError, match=r"safetensors"):
        load_model(str(folder))


def test_a_file_that_is_not_gguf_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "model.gguf").write_bytes(b"something else")
    with pytest.raises(BadInputError, match="neither a folder nor a GGUF file"):
        load_model(str(tmp_path / "model.gguf"))


def test_a_truncated_gguf_file_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "model.gguf"
    write_gguf(path)
    path.write_bytes(path.read_bytes()[:20_000])
    with pytest.raises(IntegrityError, match="can't be read"):
        load_model(str(path))


def test_a_gguf_file_of_another_architecture_is_an_error(tmp_path: Path) -> None:
    write_gguf(tmp_path / "model.gguf", architecture="rwkv6")
    with pytest.raises(UnsupportedModelError, match="rwkv6"):
        load_model(str(tmp_path / "model.gguf"))


@pytest.mark.parametrize(
    ("model_type", "architecture"),
    [
        ("bert", "BertForMaskedLM"),
        ("t5", "T5ForConditionalGeneration"),
        ("mixtral", "MixtralForCausalLM"),
        ("qwen3_moe", "Qwen3MoeForCausalLM"),
    ],
)
def test_other_architectures_are_an_error_before_any_weight_is_read(
    tmp_path: Path, model_type: str, architecture: str
) -> None:
    """The folder has only a configuration, so reading weights would fail with another message."""
    AutoConfig.for_model(model_type, architectures=[architecture]).save_pretrained(tmp_path)
    with pytest.raises(UnsupportedModelError, match=architecture) as refused:
        load_model(str(tmp_path))
    assert "LlamaForCausalLM" in str(refused.value)


def test_quantized_weights_are_an_error_before_they_are_read(tmp_path: Path) -> None:
    config = tiny_language_model("llama").module.config.to_dict()
    config["quantization_config"] = {"quant_method": "gptq", "bits": 4}
    AutoConfig.for_model(**config).save_pretrained(tmp_path)
    with pytest.raises(UnsupportedModelError, match="quantized"):
        load_model(str(tmp_path))


def test_incomplete_weights_are_an_error(tmp_path: Path) -> None:
    """Transformers would initialize the missing part randomly."""
    four = tiny_language_model("llama")
    saved(four, tmp_path)
    five = AutoConfig.from_pretrained(tmp_path, num_hidden_layers=5)
    five.save_pretrained(tmp_path)
    with pytest.raises(IntegrityError, match=r"layers\.4"):
        load_model(str(tmp_path))


def test_a_damaged_safetensors_file_is_an_error(tmp_path: Path) -> None:
    folder = saved(tiny_language_model("llama"), tmp_path)
    content = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(content[: len(content) // 2])
    with pytest.raises(SequelaError, match="can't be read"):
        load_model(str(folder))


def test_a_folder_without_a_tokenizer_is_an_error(tmp_path: Path) -> None:
    tiny_language_model("llama").module.save_pretrained(tmp_path)
    with pytest.raises(SequelaError, match="tokenizer"):
        load_model(str(tmp_path))


def test_the_dtype_can_depend_on_the_hardware(tmp_path: Path) -> None:
    class Heard(SilentProgress):
        said: str = ""

        def say(self, message: str) -> None:
            self.said = message

    heard = Heard()
    folder = saved(tiny_language_model("llama"), tmp_path)
    loaded = load_model(str(folder), device="cpu", dtype="auto", progress=heard)
    assert loaded.dtype == choose_precision("auto", loaded.device).dtype
    assert f"{str(loaded.dtype).removeprefix('torch.')} (auto: " in heard.said


def test_an_unknown_dtype_is_an_error() -> None:
    with pytest.raises(UnknownNameError, match="float32"):
        load_model("smollm2-135m-instruct", dtype="float23")


@pytest.mark.parametrize(
    "device", ["gpu", "cpu:x", "quantum", "meta", "cuda:99999999999999999999", "\ud83d", "a\0", ""]
)
def test_an_unknown_device_is_an_error(device: str) -> None:
    with pytest.raises(SequelaError, match=re.escape(f"Unknown device {device!r}")):
        choose_device(device)


def test_the_best_available_device_is_chosen() -> None:
    expected = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    assert choose_device(None).type == expected
    assert choose_device("cpu").type == "cpu"


def test_loading_restores_the_log_levels_of_libraries(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    from transformers.utils import logging as transformers_logging

    before = transformers_logging.get_verbosity(), transformers_logging.is_progress_bar_enabled()
    write_gguf(tmp_path / "model.gguf")
    capfd.readouterr()
    load_model(str(tmp_path / "model.gguf"))
    assert capfd.readouterr().err == ""
    after = transformers_logging.get_verbosity(), transformers_logging.is_progress_bar_enabled()
    assert after == before


def test_a_copied_folder_is_the_same_model(tmp_path: Path) -> None:
    folder = saved(tiny_language_model("llama"), tmp_path / "one")
    shutil.copytree(folder, tmp_path / "two")
    first, second = (load_model(str(tmp_path / name)) for name in ("one", "two"))
    assert first.fingerprint == second.fingerprint


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"num_hidden_layers": -1}, "num_hidden_layers = -1; expected"),
        ({"architectures": 5}, "architectures = 5; expected a list of class names"),
        ({"architectures": [["LlamaForCausalLM"]]}, "expected a list of class names"),
        ({"num_hidden_layers": 10**9}, "num_hidden_layers = 1000000000; expected a whole number from 1"),
        ({"num_attention_heads": 0}, "num_attention_heads|can't be read"),
        ({"num_attention_heads": 7}, "can't be read|don't fit"),
        ({"hidden_size": "32"}, "hidden_size|can't be read"),
        ({"vocab_size": 10**12}, "vocab_size = 1000000000000; expected"),
        ({"vocab_size": 5}, "can't be read|don't fit"),
        ({"pad_token_id": 10**6}, "can't be read"),
        ({"dtype": "float33"}, "can't be read"),
    ],
)
def test_a_configuration_that_no_model_has_is_an_error(
    change: dict[str, object], message: str, tmp_path: Path
) -> None:
    folder = saved(tiny_language_model("llama"), tmp_path)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | change))
    with pytest.raises(SequelaError, match=message):
        load_model(str(folder), device="cpu")


@pytest.mark.parametrize(
    ("part", "value"),
    [("model", {"type": "BPE", "vocab": {}, "merges": []}), ("model", 3), ("added_tokens", [{"id": -1}])],
)
def test_a_broken_tokenizer_is_an_error(part: str, value: object, tmp_path: Path) -> None:
    folder = saved(tiny_language_model("llama"), tmp_path)
    content = json.loads((folder / "tokenizer.json").read_text())
    (folder / "tokenizer.json").write_text(json.dumps(content | {part: value}))
    with pytest.raises(SequelaError, match="tokenizer"):
        load_model(str(folder), device="cpu")
