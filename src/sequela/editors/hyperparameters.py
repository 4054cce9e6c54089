"""The base class of every method's settings."""

from __future__ import annotations

from pathlib import Path

from pydantic import ConfigDict, Field, field_validator

from sequela.core.validation import NumericModel

PRESET_NAMES = ("recommended", "published", "none")
"""The built-in presets, and `none` for no preset."""

FILE_ENDINGS = (".yaml", ".yml")


class Hyperparameters(NumericModel):
    """A method's settings. Missing ones are taken from the model's preset, then from the defaults."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    preset: str = Field(
        default="recommended",
        description="The preset that fills in missing settings: recommended, published (`sequela presets` "
        "lists them), none, or a file written by `sequela tune`.",
    )

    def check_data(self) -> None:
        """Checks that the data which the settings name are there, before a model is loaded.

        Raises:
            SequelaError: A file or a source is missing.
        """

    @field_validator("preset")
    @classmethod
    def _is_a_preset(cls, value: str) -> str:
        if value not in PRESET_NAMES and Path(value).suffix not in FILE_ENDINGS:
            raise ValueError(f"expected {', '.join(PRESET_NAMES)} or a .yaml file")
        return value
