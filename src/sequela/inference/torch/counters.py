"""What an engine computed, to be held against what it had to."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class TokenCounters:
    """Counts over the calls of one engine.

    Args:
        requested_tokens: Tokens of all requests, as if each were read alone.
        unique_tokens: Different tokens in context: nodes of the requests' tries.
        computed_tokens: Tokens that went through blocks, padding included.
        computed_blocks: Tokens times blocks they went through.
        asked_positions: Positions whose logits were computed.
    """

    requested_tokens: int = 0
    unique_tokens: int = 0
    computed_tokens: int = 0
    computed_blocks: int = 0
    asked_positions: int = 0
