"""A scheduler for vLLM on CPUs that is safe for models with NaN activations; vLLM's process imports it."""

from __future__ import annotations

from typing import Any

from vllm.v1.core.sched.scheduler import Scheduler
from vllm.v1.kv_cache_interface import KVCacheConfig


class _ZeroedCache(KVCacheConfig):  # type: ignore[misc]
    """A configuration of the key-value cache that requires zeroed blocks."""

    @property
    def needs_kv_cache_zeroing(self) -> bool:
        """True: every new block is zeroed before use."""
        return True


class ZeroingScheduler(Scheduler):  # type: ignore[misc]
    """Zeroes every new block of the key-value cache.

    vLLM's attention on CPUs reads whole blocks and multiplies entries outside the sequence by zero. A block
    that an earlier request left full of NaN makes the next answer NaN, so one corrupted checkpoint would
    corrupt the answers of all later ones, and of the base.
    """

    def __init__(self, vllm_config: Any, kv_cache_config: Any, *args: Any, **kwargs: Any) -> None:
        super().__init__(vllm_config, _ZeroedCache(**vars(kv_cache_config)), *args, **kwargs)
