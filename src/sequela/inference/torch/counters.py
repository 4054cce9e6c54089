"""Counters of the work that an engine did, to compare with the work that was necessary."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class TokenCounters:
    """Counts over all calls of one engine.

    Args:
        requested_tokens: The number of tokens of all requests, as if each were read alone.
        unique_tokens: The number of different tokens in context, the nodes of the requests' tries.
        computed_tokens: The number of tokens that went through blocks, padding included.
        computed_blocks: The number of tokens times the number of blocks that they went through.
        asked_positions: The number of positions whose logits were computed.
    """

    requested_tokens: int = 0
    unique_tokens: int = 0
    computed_tokens: int = 0
    computed_blocks: int = 0
    asked_positions: int = 0
