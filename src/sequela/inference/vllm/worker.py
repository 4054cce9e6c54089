"""Sequela's extension of vLLM's worker process, which holds the weights."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import torch
from safetensors import safe_open


class WeightChanger:
    """A base class that vLLM adds to its worker (`worker_extension_cls`), so the server can call it."""

    model_runner: Any

    def sequela_change_weights(self, locations: list[tuple[str, str]]) -> None:
        """Replaces the values of some weights while the server runs.

        It uses vLLM's own loader, which handles fused weights (`qkv_proj`) and repacks packed ones. On CPUs
        the packed copy is the only one, so writing to `.weight` has no effect.

        Args:
            locations: Names of parameters in the checkpoint, each with the safetensors file of its value.
                All parts of a fused weight must be given.
        """
        # The loader warns for every unchanged module that nothing was loaded.
        log = logging.getLogger("vllm.model_executor.model_loader.reload")
        level = log.level
        log.setLevel(logging.ERROR)
        try:
            self.model_runner.reload_weights(weights_iterator=_read(locations))
        finally:
            log.setLevel(level)


def _read(locations: list[tuple[str, str]]) -> Iterator[tuple[str, torch.Tensor]]:
    for name, file in locations:
        with safe_open(file, framework="pt") as tensors:
            yield name, tensors.get_tensor(name)
