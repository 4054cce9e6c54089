"""Presets: the settings of a method for a model, with their provenance.

Each method's presets are in a YAML file in this folder; `model_shapes.yaml` identifies models by shape.
Layers are given by index; the model's family maps them to modules.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from sequela.core.errors import BadInputError
from sequela.core.paths import replacing, user_path
from sequela.core.progress import SILENT, Progress
from sequela.core.validation import in_words
from sequela.core.yaml_files import read_yaml
from sequela.editors.hyperparameters import PRESET_NAMES

if TYPE_CHECKING:
    from sequela.editors.base import AnyEditor
    from sequela.models import LanguageModel

ANY = "any"
"""The name that stands for all models in a preset."""


class Preset(BaseModel):
    """Settings of one method for some models.

    Args:
        editor: The method.
        models: Names from `model_shapes.yaml`, or `any`.
        presets: The names of the preset: `recommended`, `published` or both.
        provenance: `paper` (a publication's runs), `tuned` (a search with Sequela) or `untested`.
        source: The paper, the search, or the basis of an untested choice.
        settings: The hyper-parameters.
        fingerprint: The fingerprint of the only model it is for, if it was tuned; otherwise None.
        evidence: The settings that the search tried, with their results, the best first.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    editor: str
    models: tuple[str, ...]
    presets: tuple[Literal["recommended", "published"], ...] = Field(min_length=1)
    provenance: Literal["paper", "tuned", "untested"]
    source: str
    settings: dict[str, Any]
    fingerprint: str | None = None
    evidence: tuple[dict[str, Any], ...] = ()


class Shape(BaseModel):
    """The shape that identifies a model.

    Args:
        family: The name of the model family.
        layers: The number of decoder layers.
        width: The hidden size d.
        vocabulary: The size of the vocabulary, if needed to distinguish the model from others.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    family: str
    layers: int
    width: int
    vocabulary: int | None = None

    def fits(self, model: LanguageModel) -> bool:
        """Returns whether a model has this shape."""
        vocabulary = int(model.module.config.vocab_size)
        return (
            (self.family, self.layers, self.width) == (model.family.name, model.n_layers, model.hidden_size)
        ) and self.vocabulary in (None, vocabulary)


def list_presets(editor: str | None = None) -> list[Preset]:
    """Returns all presets, or those of one method, in the order of the files."""
    return [preset for preset in _all() if editor in (None, preset.editor)]


def model_shapes() -> dict[str, Shape]:
    """Returns the shapes of the models that presets are for, by name."""
    return {name: Shape.model_validate(shape) for name, shape in _read("model_shapes.yaml").items()}


def find_preset(editor: str, name: str, model: LanguageModel) -> Preset | None:
    """Returns the first preset of a method with a name that fits a model; None if there is none."""
    fitting = {known for known, shape in model_shapes().items() if shape.fits(model)} | {ANY}
    for preset in list_presets(editor):
        if name in preset.presets and fitting & set(preset.models):
            return preset
    return None


def with_preset(editor: AnyEditor, model: LanguageModel, progress: Progress = SILENT) -> AnyEditor:
    """Returns the method with missing settings filled in from its preset for a model.

    Args:
        editor: The method with the settings given by the user.
        model: The model.
        progress: Receives a message if there is no preset, or an untested one.

    Raises:
        BadInputError: The `published` preset is requested, and there is none for this model; or the file of
            a preset can't be used, or has a setting that the method doesn't take.
    """
    settings = editor.hyperparameters
    name: str = getattr(settings, "preset", "none")
    if name == "none":
        return editor
    method = editor.method
    if name in PRESET_NAMES:
        preset = find_preset(editor.info.presets_of or method, name, model)
    else:
        preset = read_preset(user_path(name), method, model)
    if preset is None:
        if name == "published":
            raise BadInputError(
                f"There are no published settings of {method} for {model.name!r}.",
                hint=f"`sequela presets {method}` lists the available presets.",
            )
        if "layers" in type(settings).model_fields and "layers" not in settings.model_fields_set:
            tune = f" `sequela tune {model.name} --editor {method}` finds better ones."
            progress.say(
                f"There is no preset of {method} for {model.name}: layers are chosen by depth, the rest "
                f"are the defaults.{'' if editor.info.needs_training else tune}"
            )
        return editor
    if preset.provenance == "untested":
        progress.say(f"The preset of {method} for {model.name} is untested ({preset.source}).")
    given = {field: getattr(settings, field) for field in settings.model_fields_set}
    try:
        filled = type(settings).model_validate({**preset.settings, **given})
    except ValidationError as error:
        wrong = in_words(error, "setting", allowed=list(type(settings).model_fields))
        raise BadInputError(f"The preset {name} can't be used for {method}: {wrong}.") from error
    return editor.with_settings(filled)


def read_preset(path: Path, editor: str, model: LanguageModel) -> Preset:
    """Reads a preset written by `write_preset`.

    Raises:
        BadInputError: The file can't be read, isn't a preset, or is for another method or model.
    """
    preset = read_preset_file(path, editor)
    if preset.fingerprint not in (None, model.fingerprint):
        raise BadInputError(
            f"The preset {path} was tuned on the model {preset.fingerprint}; {model.name!r} is "
            f"{model.fingerprint}.",
            hint="Tune this model, or copy the settings into your study to try them on it.",
        )
    return preset


def read_preset_file(path: Path, editor: str) -> Preset:
    """Reads a preset written by `write_preset`, for any model.

    Raises:
        BadInputError: The file can't be read, isn't a preset, or is for another method.
    """
    try:
        preset = Preset.model_validate(read_yaml(path).content)
    except BadInputError as error:
        raise BadInputError(f"The preset {error.message}", hint=error.hint) from error
    except ValidationError as error:
        raise BadInputError(
            f"{path} is not a preset: {in_words(error, allowed=list(Preset.model_fields))}.",
            hint="`sequela tune` writes presets.",
        ) from error
    if preset.editor != editor:
        raise BadInputError(f"The preset {path} is for {preset.editor}, not for {editor}.")
    return preset


def write_preset(path: Path, preset: Preset) -> None:
    """Writes a preset to a file that can be used as `preset: <path>`."""
    content = preset.model_dump(mode="json", exclude_none=True)
    with replacing(path) as temporary:
        temporary.write_text(yaml.safe_dump(content, sort_keys=False, width=100), encoding="utf-8")


def _all() -> Iterator[Preset]:
    for file in sorted(resources.files(__package__).iterdir(), key=lambda path: path.name):
        if file.name.endswith(".yaml") and file.name != "model_shapes.yaml":
            editor = file.name.removesuffix(".yaml")
            for entry in _read(file.name):
                models = [ANY] if entry["models"] == ANY else entry["models"]
                yield Preset.model_validate({**entry, "models": models, "editor": editor})


def _read(name: str) -> Any:
    return yaml.safe_load((resources.files(__package__) / name).read_text(encoding="utf-8"))
