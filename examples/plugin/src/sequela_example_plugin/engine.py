"""An engine: Sequela's plain reference engine under another name."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sequela.inference import Engine, EngineOptions, PlainEngine
from sequela.models import LanguageModel


@contextmanager
def open_plain(model: LanguageModel, options: EngineOptions) -> Iterator[Engine]:
    """Opens the engine, which has no resources to close."""
    yield PlainEngine()
