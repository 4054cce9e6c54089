"""What the settings of every method have in common."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, field_validator

PRESET_NAMES = ("recommended", "published", "none")
"""The presets that come with the program, and none of them."""

FILE_ENDINGS = (".yaml", ".yml")


class Hyperparameters(BaseModel):
    """A method's settings; what isn't given comes from the model's preset, then from the defaults."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    preset: str = Field(
        default="recommended",
        description="Whose settings fill in what isn't given: recommended, published (`sequela presets` "
        "lists them), none, or a file that `sequela tune` wrote.",
    )

    @field_validator("preset")
    @classmethod
    def _is_a_preset(cls, value: str) -> str:
        if value not in PRESET_NAMES and Path(value).suffix not in FILE_ENDINGS:
            raise ValueError(f"expected {', '.join(PRESET_NAMES)} or a .yaml file")
        return value
