"""Presets: every one is valid, fits its models by shape, and yields to settings given by the user."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sequela.core.errors import BadInputError
from sequela.core.progress import SilentProgress
from sequela.editors import create_editor, method_info
from sequela.editors.presets import find_preset, list_presets, with_preset
from sequela.editors.presets.presets import ANY, Shape, model_shapes
from sequela.models import LanguageModel
from support.tiny import tiny_language_model

PRESETS = list_presets()
OF_THE_PAPER = {
    "gpt2-xl", "pythia-160m", "pythia-410m", "pythia-1b", "pythia-2.8b", "pythia-6.9b", "pythia-12b",
    "llama-2-7b", "mistral-7b",
}  # fmt: skip
OTHERS = {"llama-3-8b", "qwen2.5-7b", "smollm2-135m", "gemma-3-270m"}


class RecordingProgress(SilentProgress):
    """Records all messages."""

    def __init__(self) -> None:
        self.messages: list[str] = []

    def say(self, message: str) -> None:
        self.messages.append(message)


@pytest.fixture
def shaped() -> LanguageModel:
    """A model with the same shape, for presets, as one that has presets."""
    return tiny_language_model("llama", num_hidden_layers=30, hidden_size=576, intermediate_size=64)


@pytest.mark.parametrize("preset", PRESETS, ids=lambda p: f"{p.editor} {','.join(p.models)} {p.presets}")
def test_a_preset_has_settings_of_its_method_for_known_models(preset: Any) -> None:
    shapes = model_shapes()
    settings = method_info(preset.editor).settings.model_validate(preset.settings)
    for name in preset.models:
        if name != ANY:
            assert all(layer < shapes[name].layers for layer in getattr(settings, "layers", None) or ())
    assert "." not in "".join(map(str, preset.settings.get("layers", [])))


@pytest.mark.parametrize("method", ["rome", "memit", "pmet", "emmet", "alphaedit"])
def test_every_model_of_the_paper_and_some_others_have_one(method: str) -> None:
    known = {name for p in list_presets(method) if "recommended" in p.presets for name in p.models}
    assert known >= OF_THE_PAPER | OTHERS


def test_the_published_rome_is_the_original_without_covariance() -> None:
    published = [p for p in list_presets("rome") if "published" in p.presets]
    assert {name for p in published for name in p.models} == OF_THE_PAPER
    for preset in published:
        assert preset.provenance == "paper"
        assert preset.settings["variant"] == "original"
        assert preset.settings["mom2_adjustment"] is False


def test_models_are_distinguished_by_shape(shaped: LanguageModel) -> None:
    fitting = [name for name, shape in model_shapes().items() if shape.fits(shaped)]
    assert fitting == ["smollm2-135m"]
    size = shaped.module.config.vocab_size
    assert Shape(family="llama", layers=30, width=576, vocabulary=size).fits(shaped)
    assert not Shape(family="llama", layers=30, width=576, vocabulary=size + 1).fits(shaped)
    assert not Shape(family="mistral", layers=30, width=576).fits(shaped)


def test_missing_settings_come_from_the_preset(shaped: LanguageModel) -> None:
    editor = with_preset(create_editor("rome", {"v_lr": 0.25}), shaped)
    assert editor.hyperparameters.layers == (7,)
    assert editor.hyperparameters.v_lr == 0.25
    own = with_preset(create_editor("rome", {"layers": [3]}), shaped)
    assert own.hyperparameters.layers == (3,)
    none = with_preset(create_editor("rome", {"preset": "none"}), shaped)
    assert none.hyperparameters.layers is None


def test_regularizers_stay_with_the_method(shaped: LanguageModel) -> None:
    editor = with_preset(create_editor("memit+rect+nas", {"rect": {"keep": 0.1}}), shaped)
    assert editor.name == "memit+rect+nas"
    assert editor.hyperparameters.layers == (6, 7, 8, 9, 10)
    assert editor.hyperparameters.anchored
    assert editor.settings["rect"] == {"keep": 0.1}


def test_a_missing_preset_is_reported(shaped: LanguageModel) -> None:
    other, progress = tiny_language_model("gpt2"), RecordingProgress()
    editor = create_editor("rome")
    assert with_preset(editor, other, progress) is editor
    assert "no preset of rome for tiny-gpt2" in progress.messages[0]
    assert "sequela tune" in progress.messages[0]
    progress.messages.clear()
    with_preset(create_editor("rome", {"layers": [1]}), other, progress)
    with_preset(create_editor("rome"), shaped, progress)
    assert progress.messages == []
    with_preset(create_editor("pmet"), shaped, progress)
    assert "untested" in progress.messages[0]


@pytest.mark.parametrize(
    ("setting", "reason"),
    [
        ("v_lr: true", "the setting 'v_lr': expected a number, not true or false"),
        ("v_lrr: 1", r"the setting 'v_lrr' is unknown \(did you mean 'v_lr'\?\)"),
        ("v_num_grad_steps: 99999999999", "the setting 'v_num_grad_steps': expected at most 1000000"),
    ],
)
def test_a_preset_with_a_wrong_setting_is_rejected(
    setting: str, reason: str, shaped: LanguageModel, tmp_path: Path
) -> None:
    path = tmp_path / "own.yaml"
    known = "editor: rome\nmodels: [any]\npresets: [recommended]\nprovenance: tuned\nsource: a search\n"
    path.write_text(f"{known}settings: {{{setting}}}\n", encoding="utf-8")
    with pytest.raises(BadInputError, match=f"can't be used for rome: {reason}"):
        with_preset(create_editor("rome", {"preset": str(path)}), shaped)


def test_published_settings_that_do_not_exist_are_rejected(shaped: LanguageModel) -> None:
    with pytest.raises(BadInputError, match="no published settings of rome"):
        with_preset(create_editor("rome", {"preset": "published"}), shaped)


def test_the_published_kn_is_a_control_for_any_model(shaped: LanguageModel) -> None:
    assert find_preset("kn", "published", shaped) is not None
    editor = with_preset(create_editor("kn", {"preset": "published"}), shaped)
    assert editor.variant == "1 step"
    assert find_preset("kn", "recommended", shaped) is None
