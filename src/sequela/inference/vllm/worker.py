"""What Sequela adds to vLLM's worker process, which holds the weights."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import torch
from safetensors import safe_open


class WeightChanger:
    """Becomes a base of vLLM's worker (its option `worker_extension_cls`), so the server can call it."""

    model_runner: Any

    def sequela_change_weights(self, places: list[tuple[str, str]]) -> None:
        """Gives some weights new values while the server runs.

        vLLM's own loader is used: it knows which weights it keeps fused (`qkv_proj`) and packs again
        what it had packed (on CPUs the packed copy is the only one, so writing to `.weight` does nothing).

        Args:
            places: Names of parameters in the checkpoint, each with the safetensors file of its value.
                Whatever vLLM keeps fused must come whole.
        """
        # For every module that isn't changed it warns that nothing was loaded.
        log = logging.getLogger("vllm.model_executor.model_loader.reload")
        level = log.level
        log.setLevel(logging.ERROR)
        try:
            self.model_runner.reload_weights(weights_iterator=_read(places))
        finally:
            log.setLevel(level)


def _read(places: list[tuple[str, str]]) -> Iterator[tuple[str, torch.Tensor]]:
    for name, file in places:
        with safe_open(file, framework="pt") as tensors:
            yield name, tensors.get_tensor(name)
