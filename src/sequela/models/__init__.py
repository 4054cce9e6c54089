"""The base model: loading it, locating its parts, and the tokens of the subject."""

from typing import TYPE_CHECKING

from sequela.core.lazy import lazy_names

if TYPE_CHECKING:
    from sequela.models.families import LLAMA
    from sequela.models.family import Family
    from sequela.models.language_model import LanguageModel
    from sequela.models.loading import load_model
    from sequela.models.pypi_models import ModelDescription, describe_models
    from sequela.models.spans import TokenizedPrompt, tokenize_prompt

__all__ = [
    "LLAMA",
    "Family",
    "LanguageModel",
    "ModelDescription",
    "TokenizedPrompt",
    "describe_models",
    "load_model",
    "tokenize_prompt",
]

if not TYPE_CHECKING:  # a `__getattr__` would make type checkers accept any name
    __getattr__, __dir__ = lazy_names(
        __name__,
        {
            "sequela.models.families": ("LLAMA",),
            "sequela.models.family": ("Family",),
            "sequela.models.language_model": ("LanguageModel",),
            "sequela.models.loading": ("load_model",),
            "sequela.models.pypi_models": (
                "ModelDescription",
                "describe_models",
            ),
            "sequela.models.spans": (
                "TokenizedPrompt",
                "tokenize_prompt",
            ),
        },
    )
