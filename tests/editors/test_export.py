"""Export of edits into a checkpoint: it gives the same model, or fails with a reason."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from sequela.core.descriptions import read_description_of
from sequela.core.errors import BadInputError, FingerprintMismatchError, SequelaError
from sequela.edited import Delta, EditedModel, LowRank
from sequela.editors import create_editor
from sequela.editors.base import NoState
from sequela.editors.export import DESCRIPTION, ExportDescription, check_export, export_merged
from sequela.editors.saved_edits import MethodEdits, SavedEdits
from sequela.editors.storage import save_edits
from sequela.models import LanguageModel, load_model
from support.tiny import FAMILY_NAMES, KEY_WIDTH, WIDTH, tiny_language_model


def saved(folder: Path, model: LanguageModel, layers: Sequence[int] = (1, 3)) -> Delta:
    source = torch.Generator().manual_seed(5)
    delta = Delta(
        model.fingerprint,
        {
            model.family.mlp_out_name(layer): LowRank(
                torch.randn(WIDTH, 2, generator=source), 0.1 * torch.randn(2, KEY_WIDTH, generator=source)
            )
            for layer in layers
        },
    )
    edits = MethodEdits.of(create_editor("memit"), NoState(), ("a", "b"))
    save_edits(folder, model, SavedEdits(delta, (edits,)))
    return delta


@pytest.mark.parametrize("family", FAMILY_NAMES)
def test_the_checkpoint_has_the_logits_of_the_edited_model(family: str, tmp_path: Path) -> None:
    """The logits are equal bit for bit, with transformers alone; the model in memory stays unedited."""
    model = tiny_language_model(family)
    delta = saved(tmp_path / "edits", model)
    export_merged(tmp_path / "edits", model, tmp_path / "merged")
    ids = torch.tensor([model.tokenizer("Ada Winterbourne plays the cello")["input_ids"]])
    again = AutoModelForCausalLM.from_pretrained(tmp_path / "merged", dtype=torch.float32)
    with torch.no_grad():
        plain = model.module(ids).logits
        with EditedModel(model, delta):
            expected = model.module(ids).logits
        loaded = again(ids).logits
    assert torch.equal(loaded, expected)
    assert not torch.equal(loaded, plain)
    assert (
        AutoTokenizer.from_pretrained(tmp_path / "merged")("Ada")["input_ids"]
        == (model.tokenizer("Ada")["input_ids"])
    )
    assert load_model(str(tmp_path / "merged"), device="cpu").n_layers == model.n_layers
    assert list((tmp_path / "merged").glob("*.safetensors"))


@pytest.mark.parametrize("family", ["gpt2", "gemma3", "mistral"])
@pytest.mark.parametrize("end", ["embedding", "head"])
def test_a_change_of_embedding_or_head_survives_whether_they_are_tied_or_not(
    family: str, end: str, tmp_path: Path
) -> None:
    model = tiny_language_model(family)
    module = model.module
    changed = module.get_input_embeddings() if end == "embedding" else module.get_output_embeddings()
    tied = module.get_input_embeddings().weight is module.get_output_embeddings().weight
    assert tied == (family != "mistral")
    (name,) = (name for name, one in module.named_modules() if one is changed)
    rows, columns = reversed(changed.weight.shape) if model.family.transposed else changed.weight.shape
    source = torch.Generator().manual_seed(5)
    update = LowRank(torch.randn(rows, 1, generator=source), torch.randn(1, columns, generator=source))
    delta = Delta(model.fingerprint, {f"{name}.weight": update})
    edits = MethodEdits.of(create_editor("memit"), NoState(), ("a",))
    save_edits(tmp_path / "edits", model, SavedEdits(delta, (edits,)))
    export_merged(tmp_path / "edits", model, tmp_path / "merged")
    again = AutoModelForCausalLM.from_pretrained(tmp_path / "merged", dtype=torch.float32)
    ids = torch.tensor([[3, 5, 8, 13]])
    with torch.no_grad(), EditedModel(model, delta):
        assert torch.equal(again(ids).logits, module(ids).logits)
    with torch.no_grad():
        assert not torch.allclose(again(ids).logits, module(ids).logits)


def test_the_checkpoint_describes_its_origin(tmp_path: Path) -> None:
    model = tiny_language_model("llama")
    delta = saved(tmp_path / "edits", model)
    export_merged(tmp_path / "edits", model, tmp_path / "merged")
    description = read_description_of(tmp_path / "merged" / DESCRIPTION, ExportDescription, "a checkpoint")
    assert (description.base_name, description.base_fingerprint) == (model.name, model.fingerprint)
    assert (description.method, description.edits) == ("memit", ("a", "b"))
    assert description.delta == delta.content_hash


def test_another_model_is_rejected_and_nothing_is_left_behind(tmp_path: Path) -> None:
    saved(tmp_path / "edits", tiny_language_model("llama"))
    with pytest.raises(FingerprintMismatchError):
        export_merged(tmp_path / "edits", tiny_language_model("llama", seed=1), tmp_path / "merged")
    assert [path.name for path in tmp_path.iterdir()] == ["edits"]


@pytest.mark.parametrize(
    ("method", "settings", "where"),
    [("grace", {"layers": [1]}, "in the activations"), ("ike", {"retriever": "words"}, "in the prompt")],
)
def test_edits_outside_the_weights_are_rejected_with_a_hint(
    method: str, settings: dict[str, object], where: str, tmp_path: Path
) -> None:
    model, editor = tiny_language_model("llama"), create_editor(method, settings)
    state = editor.state_class()
    edits = MethodEdits.of(editor, state, ("a",))
    save_edits(tmp_path / "edits", model, SavedEdits(Delta.empty(model.fingerprint), (edits,)))
    with pytest.raises(SequelaError, match=f"{method} keeps them {where}, not in the weights") as caught:
        check_export(tmp_path / "edits", tmp_path / "merged")
    assert "sequela evaluate --delta" in (caught.value.hint or "")
    assert "memit" in (caught.value.hint or "")


def test_an_existing_folder_is_not_overwritten(tmp_path: Path) -> None:
    model = tiny_language_model("llama")
    saved(tmp_path / "edits", model)
    (tmp_path / "merged").mkdir()
    (tmp_path / "merged" / "config.json").write_text("{}", encoding="utf-8")
    with pytest.raises(BadInputError, match="already exists"):
        export_merged(tmp_path / "edits", model, tmp_path / "merged")
    assert (tmp_path / "merged" / "config.json").read_text(encoding="utf-8") == "{}"


def test_edits_that_changed_nothing_are_not_exported(tmp_path: Path) -> None:
    saved(tmp_path / "edits", tiny_language_model("llama"), layers=())
    with pytest.raises(BadInputError, match="change no weight"):
        check_export(tmp_path / "edits", tmp_path / "merged")
