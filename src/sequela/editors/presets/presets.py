"""Which settings a method has on which model, and how well founded they are.

Presets are files beside this one, one for each method; `models.yaml` says which model is which, by its
shape. Layers are numbers; where the modules are, the model's family knows.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from sequela.core.errors import BadInputError
from sequela.core.paths import replacing
from sequela.core.progress import SILENT, Progress
from sequela.editors.hyperparameters import PRESET_NAMES

if TYPE_CHECKING:
    from sequela.editors.base import AnyEditor
    from sequela.models import LanguageModel

ANY = "any"
"""Stands for all models in a preset."""


class Preset(BaseModel):
    """Settings of one method for some models.

    Args:
        editor: The method.
        models: Names from `models.yaml`, or `any`.
        presets: The names it goes by: `recommended`, `published`.
        provenance: `paper` (a publication's runs), `tuned` (a search with this program) or `untested`.
        source: Which paper, which search, or what it was guessed from.
        settings: The hyper-parameters.
        fingerprint: The only model it is for, where it was found by a search on it.
        evidence: What that search tried and reached, the best first.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    editor: str
    models: tuple[str, ...]
    presets: tuple[Literal["recommended", "published"], ...] = Field(min_length=1)
    provenance: Literal["paper", "tuned", "untested"]
    source: str
    settings: dict[str, Any]
    fingerprint: str | None = None
    evidence: tuple[dict[str, Any], ...] = ()


class Shape(BaseModel):
    """What tells a model from others.

    Args:
        family: The family's name.
        layers: How many decoder layers.
        width: d.
        vocabulary: How many tokens, where the rest doesn't tell.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    family: str
    layers: int
    width: int
    vocabulary: int | None = None

    def fits(self, model: LanguageModel) -> bool:
        """Whether a model has this shape."""
        vocabulary = int(model.module.config.vocab_size)
        return (
            (self.family, self.layers, self.width) == (model.family.name, model.n_layers, model.hidden_size)
        ) and self.vocabulary in (None, vocabulary)


def list_presets(editor: str | None = None) -> list[Preset]:
    """All presets, or those of one method, in the order of the files."""
    return [preset for preset in _all() if editor in (None, preset.editor)]


def model_shapes() -> dict[str, Shape]:
    """The models that presets know, by name."""
    return {name: Shape.model_validate(shape) for name, shape in _read("models.yaml").items()}


def find_preset(editor: str, name: str, model: LanguageModel) -> Preset | None:
    """The first preset of a method and name that fits a model; None if there is none."""
    fitting = {known for known, shape in model_shapes().items() if shape.fits(model)} | {ANY}
    for preset in list_presets(editor):
        if name in preset.presets and fitting & set(preset.models):
            return preset
    return None


def with_preset(editor: AnyEditor, model: LanguageModel, progress: Progress = SILENT) -> AnyEditor:
    """The method with what wasn't set filled in from its preset for a model.

    Args:
        editor: The method as the user set it.
        model: The model.
        progress: Is told where there is no preset and layers are chosen by depth.

    Raises:
        BadInputError: Published settings are asked for, and there are none for this model.
    """
    settings = editor.hyperparameters
    wanted: str = getattr(settings, "preset", "none")
    if wanted == "none":
        return editor
    method = editor.method
    if wanted in PRESET_NAMES:
        found = find_preset(method, wanted, model)
    else:
        found = read_preset(Path(wanted), method, model)
    if found is None:
        if wanted == "published":
            raise BadInputError(
                f"There are no published settings of {method} for {model.name!r}.",
                hint=f"`sequela presets {method}` lists those there are.",
            )
        if "layers" in type(settings).model_fields and "layers" not in settings.model_fields_set:
            tune = f" `sequela tune {model.name} --editor {method}` finds better ones."
            progress.say(
                f"There is no preset of {method} for {model.name}: layers are chosen by depth, the rest "
                f"are the defaults.{'' if editor.info.needs_training else tune}"
            )
        return editor
    if found.provenance == "untested":
        progress.say(f"The preset of {method} for {model.name} is untested ({found.source}).")
    given = {name: getattr(settings, name) for name in settings.model_fields_set}
    return editor.with_settings(type(settings).model_validate({**found.settings, **given}))


def read_preset(path: Path, editor: str, model: LanguageModel) -> Preset:
    """Reads a preset that `write_preset` wrote.

    Raises:
        BadInputError: The file can't be read, isn't a preset, or is for another method or model.
    """
    try:
        preset = Preset.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise BadInputError(f"The preset {path} can't be read: {error.strerror}.") from error
    except (UnicodeDecodeError, yaml.YAMLError, ValidationError) as error:
        raise BadInputError(
            f"{path} is not a preset: {error}", hint="`sequela tune` writes presets."
        ) from error
    if preset.editor != editor:
        raise BadInputError(f"The preset {path} is for {preset.editor}, not for {editor}.")
    if preset.fingerprint not in (None, model.fingerprint):
        raise BadInputError(
            f"The preset {path} was found on the model {preset.fingerprint}; {model.name!r} is "
            f"{model.fingerprint}.",
            hint="Tune this model, or copy the settings into your study if they shall be tried on it.",
        )
    return preset


def write_preset(path: Path, preset: Preset) -> None:
    """Writes a preset as a file that `preset: <path>` names."""
    content = preset.model_dump(mode="json", exclude_none=True)
    with replacing(path) as temporary:
        temporary.write_text(yaml.safe_dump(content, sort_keys=False, width=100), encoding="utf-8")


def _all() -> Iterator[Preset]:
    for file in sorted(resources.files(__package__).iterdir(), key=lambda path: path.name):
        if file.name.endswith(".yaml") and file.name != "models.yaml":
            editor = file.name.removesuffix(".yaml")
            for entry in _read(file.name):
                models = [ANY] if entry["models"] == ANY else entry["models"]
                yield Preset.model_validate({**entry, "models": models, "editor": editor})


def _read(name: str) -> Any:
    return yaml.safe_load((resources.files(__package__) / name).read_text(encoding="utf-8"))
