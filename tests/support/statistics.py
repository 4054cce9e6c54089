"""Key statistics of tiny models, from a small text that every tiny tokenizer can read."""

from __future__ import annotations

from pathlib import Path

from sequela.models import LanguageModel
from sequela.statistics import CorpusSpec, Statistics
from support.tokenizers import TEXT

N_TOKENS = 1280
"""The number of tokens: twenty for each dimension of a tiny model's key."""


def write_text(path: Path, repeats: int = 60) -> Path:
    """Writes a text file that repeats the tokenizers' sentences, numbered so that all differ."""
    lines = [f"{number}. {line}" for number in range(repeats) for line in TEXT]
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def tiny_statistics(model: LanguageModel, folder: Path) -> Statistics:
    """Returns statistics over such a text, stored in a folder."""
    text = folder / "corpus.txt"
    spec = CorpusSpec(source=str(text if text.is_file() else write_text(text)), n_tokens=N_TOKENS, window=64)
    return Statistics(model, spec, folder / "statistics")
