"""From what the user names to a language model under study (being written)."""

from __future__ import annotations

from sequela.models.language_model import LanguageModel


def load_model(name: str) -> LanguageModel:
    """Loads a model."""
    raise NotImplementedError
