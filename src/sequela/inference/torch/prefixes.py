"""Grouping of prompts by common prefix, so that each prefix is read once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sequela.inference.torch.trie import common_prefix

MIN_SHARED_PREFIX = 0.5  # the minimum share of a group's longest prompt that is the common prefix


@dataclass(frozen=True)
class PrefixGroup:
    """Prompts with a common prefix.

    Args:
        prefix: The common tokens; empty if there are too few. At least one token of every prompt follows
            them.
        members: The indices of the prompts.
    """

    prefix: tuple[int, ...]
    members: tuple[int, ...]


def group_by_prefix(prompts: Sequence[tuple[int, ...]]) -> list[PrefixGroup]:
    """Groups prompts whose common prefix is at least half of each, sorted by their tokens."""
    groups: list[PrefixGroup] = []
    members: list[int] = []
    prefix: tuple[int, ...] = ()
    longest = 0
    for number in sorted(range(len(prompts)), key=lambda n: prompts[n]):
        prompt = prompts[number]
        common = prefix[: common_prefix(np.array(prefix), np.array(prompt[:-1]))] if members else prompt[:-1]
        if members and len(common) < MIN_SHARED_PREFIX * max(longest, len(prompt)):
            groups.append(_group(prefix, members))
            common, longest, members = prompt[:-1], 0, []
        prefix, longest = common, max(longest, len(prompt))
        members.append(number)
    if members:
        groups.append(_group(prefix, members))
    return groups


def _group(prefix: tuple[int, ...], members: list[int]) -> PrefixGroup:
    return PrefixGroup(prefix if len(members) > 1 else (), tuple(members))
