"""vLLM's scheduler for CPUs, made safe for models whose numbers break. vLLM's process imports this file."""

from __future__ import annotations

from typing import Any

from vllm.v1.core.sched.scheduler import Scheduler
from vllm.v1.kv_cache_interface import KVCacheConfig


class _ZeroedCache(KVCacheConfig):  # type: ignore[misc]
    """A description of the key-value cache that asks for blocks of zeros."""

    @property
    def needs_kv_cache_zeroing(self) -> bool:
        """Every new block is zeroed before use."""
        return True


class ZeroingScheduler(Scheduler):  # type: ignore[misc]
    """Has every new block of the key-value cache zeroed.

    vLLM's attention on CPUs reads blocks whole and multiplies what isn't part of the sequence by zero.
    A block that an earlier request left full of NaN makes the answer of the next one NaN: one broken
    checkpoint would break the sound ones after it, and the base.
    """

    def __init__(self, vllm_config: Any, kv_cache_config: Any, *args: Any, **kwargs: Any) -> None:
        super().__init__(vllm_config, _ZeroedCache(**vars(kv_cache_config)), *args, **kwargs)
