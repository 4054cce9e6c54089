"""The greatest number of bytes that large tensors had at once while a block ran."""

from __future__ import annotations

import weakref
from typing import Any

import torch
from torch.utils import _pytree as pytree
from torch.utils._python_dispatch import TorchDispatchMode


class LiveTensors(TorchDispatchMode):
    """Counts the new tensors of one number of entries, in float32 and float64, that live at the same time.

    Args:
        entries: The number of entries.
    """

    def __init__(self, entries: int) -> None:
        super().__init__()
        self.entries = entries
        self.most_bytes_per_entry = 0
        self._live: dict[int, tuple[weakref.ref[torch.Tensor], int]] = {}

    def __torch_dispatch__(
        self, operation: Any, _: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        result = operation(*args, **(kwargs or {}))
        for one in pytree.tree_leaves(result):
            if isinstance(one, torch.Tensor) and one.dtype in (torch.float32, torch.float64):
                storage = one.untyped_storage()
                known = self._live.get(storage.data_ptr())
                if storage.nbytes() == self.entries * one.itemsize and (known is None or known[0]() is None):
                    self._live[storage.data_ptr()] = weakref.ref(one), one.itemsize
        alive = sum(size for reference, size in self._live.values() if reference() is not None)
        self.most_bytes_per_entry = max(self.most_bytes_per_entry, alive)
        return result
