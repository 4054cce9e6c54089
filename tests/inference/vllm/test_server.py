"""The settings of a server are checked before anything starts."""

from __future__ import annotations

import pytest

from sequela.core.errors import SequelaError, UnknownNameError
from sequela.inference.vllm.server import VllmSettings
from support.tiny import tiny_language_model


def test_the_context_is_the_model_s_or_shorter() -> None:
    model = tiny_language_model("llama")
    assert VllmSettings().limit(model) == model.context_length == 256
    assert VllmSettings(context_length=100).limit(model) == 100
    assert VllmSettings(context_length=1000).limit(model) == 256


def test_invalid_settings_are_an_error() -> None:
    with pytest.raises(UnknownNameError, match="in-place"):
        VllmSettings(weights="in place")  # type: ignore[arg-type]
    with pytest.raises(SequelaError, match="512"):
        VllmSettings(max_rank=513)
