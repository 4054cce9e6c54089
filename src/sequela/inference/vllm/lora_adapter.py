"""Conversion of low-rank deltas to LoRA adapters, in the layout of the peft library."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import save_file

from sequela.edited import Delta, LowRank
from sequela.models import LanguageModel

TENSORS = "adapter_model.safetensors"
DESCRIPTION = "adapter_config.json"
_PREFIX = "base_model.model."
"""The prefix that peft puts before the name of a module of the causal LM."""


def adapter_rank(delta: Delta, modules: frozenset[str]) -> int | None:
    """Returns the rank of the adapter equivalent to a delta, or None if there is no such adapter.

    Args:
        delta: The delta.
        modules: The last name components of modules that may have adapters, e.g. `down_proj`.
    """
    rank = 0
    for name, update in delta.updates.items():
        module, _, kind = name.rpartition(".")
        if not isinstance(update, LowRank) or kind != "weight" or _last(module) not in modules:
            return None
        rank = max(rank, update.rank)
    return rank


def write_adapter(delta: Delta, folder: Path, base: LanguageModel) -> None:
    """Writes a delta of low-rank updates as an adapter that adds exactly `b @ a`.

    Updates of smaller rank are padded with zeros, so that one rank and a scaling of 1 apply to all.

    Args:
        delta: A delta for which `adapter_rank` returns a rank above 0.
        folder: The folder to write; it is created.
        base: The model that the delta is for; the factors are written in its dtype.
    """
    updates = {name: update for name, update in delta.updates.items() if isinstance(update, LowRank)}
    rank = max(update.rank for update in updates.values())
    modules = {name.removesuffix(".weight"): update for name, update in updates.items()}
    tensors: dict[str, torch.Tensor] = {}
    for module, update in modules.items():
        missing = rank - update.rank
        a = torch.nn.functional.pad(update.a, (0, 0, 0, missing))  # [rank, in]
        b = torch.nn.functional.pad(update.b, (0, missing))  # [out, rank]
        tensors[f"{_PREFIX}{module}.lora_A.weight"] = a.to("cpu", base.dtype).contiguous()
        tensors[f"{_PREFIX}{module}.lora_B.weight"] = b.to("cpu", base.dtype).contiguous()
    description = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": base.name,
        "target_modules": sorted(modules),
        "r": rank,
        "lora_alpha": rank,  # peft scales by alpha / r
        "lora_dropout": 0.0,
        "bias": "none",
        "fan_in_fan_out": base.family.transposed,
        "inference_mode": True,
    }
    folder.mkdir(parents=True, exist_ok=True)
    save_file(tensors, folder / TENSORS)
    (folder / DESCRIPTION).write_text(json.dumps(description, indent=2) + "\n", encoding="utf-8")


def _last(module: str) -> str:
    return module.rpartition(".")[2]


@dataclass(frozen=True)
class StoredAdapter:
    """An adapter on disk, as a server is given it.

    Args:
        name: The hash of the delta's content. vLLM's prefix cache distinguishes adapters by name.
        number: Its number, from 1, by which vLLM keeps adapters in memory.
        folder: The folder with its files.
    """

    name: str
    number: int
    folder: Path


class StoredAdapters:
    """The adapters of one server: equal deltas share one, and no other deltas do.

    Args:
        folder: The folder for the adapters.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._stored: dict[str, StoredAdapter] = {}

    def store(self, delta: Delta, base: LanguageModel) -> StoredAdapter:
        """Returns the adapter of a delta, which is written at its first use.

        Args:
            delta: A delta for which `adapter_rank` returns a rank above 0.
            base: The model that it changes.
        """
        name = delta.content_hash
        if name not in self._stored:
            folder = self._folder / name
            write_adapter(delta, folder, base)
            self._stored[name] = StoredAdapter(name, len(self._stored) + 1, folder)
        return self._stored[name]
