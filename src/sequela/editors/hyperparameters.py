"""What the settings of every method have in common."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class Hyperparameters(BaseModel):
    """A method's settings; what isn't given comes from the model's preset, then from the defaults."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    preset: Literal["recommended", "published", "none"] = Field(
        default="recommended",
        description="Whose settings fill in what isn't given: `sequela presets` lists them.",
    )
