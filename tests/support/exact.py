"""A tiny model and sentence encoder whose weights are the same bits on every machine: no random numbers."""

from __future__ import annotations

from pathlib import Path

import torch

from sequela.models import LanguageModel
from support.encoders import tiny_encoder
from support.tiny import tiny_module, tiny_tokenizer


def fill_exactly(module: torch.nn.Module, scale: float) -> None:
    """Sets every parameter to multiples of `scale / 1001` that depend only on its index."""
    start = 0
    with torch.no_grad():
        for parameter in module.parameters():
            places = torch.arange(start, start + parameter.numel())
            values = ((places * 7919 + places // 13 * 104_729) % 2003 - 1001).double() / 1001 * scale
            parameter.copy_(values.reshape(parameter.shape) + (1.0 if parameter.dim() == 1 else 0.0))
            start += parameter.numel()


def exact_language_model(name: str = "model") -> LanguageModel:
    """Returns a tiny Llama."""
    module = tiny_module("llama")
    fill_exactly(module, 0.35)
    return LanguageModel.wrap(module, tiny_tokenizer("llama"), name)


def save_exact_models(folder: Path) -> None:
    """Writes the language model into `model` and a sentence encoder into `encoder`."""
    base = exact_language_model()
    base.module.save_pretrained(folder / "model")
    base.tokenizer.save_pretrained(folder / "model")
    encoder = tiny_encoder()
    fill_exactly(encoder.module, 0.5)
    encoder.module.save_pretrained(folder / "encoder")
    encoder.tokenizer.save_pretrained(folder / "encoder")
