"""The depth cache: hidden states at the block where edits begin, kept from one checkpoint to the next.

An edit at block L leaves the inputs of block L unchanged, bit for bit. So repeated requests, at the next
checkpoint or on another trajectory of the same base, start at block L.
"""

from __future__ import annotations

import logging
import mmap
import os
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import torch

from sequela.core.temporary_files import scratch_folder

logger = logging.getLogger(__name__)

GIB = 2**30


@dataclass(eq=False)
class HiddenStates:
    """The inputs of one block for every node of a packed trie.

    Args:
        states: `[nodes, d]`, in memory or memory-mapped.
        path: The file, if memory-mapped.
        complete: True if all nodes are filled.
        uses: The number of times that requests started from these states.
        mapping: The mapping of the file.
    """

    states: torch.Tensor
    path: Path | None = None
    complete: bool = False
    uses: int = 0
    mapping: mmap.mmap | None = None

    @classmethod
    def in_file(cls, path: Path, shape: tuple[int, int], dtype: torch.dtype) -> HiddenStates:
        """Creates hidden states in a new memory-mapped file.

        Raises:
            OSError: The disk has no room for the file.
        """
        size = shape[0] * shape[1] * dtype.itemsize
        with path.open("w+b") as file:
            try:
                file.truncate(size)
                if hasattr(
                    os, "posix_fallocate"
                ):  # writing to a page the disk has no room for kills the process
                    os.posix_fallocate(file.fileno(), 0, size)
                mapping = mmap.mmap(file.fileno(), size)
            except OSError:
                path.unlink(missing_ok=True)
                raise
        return cls(torch.frombuffer(mapping, dtype=dtype).view(shape), path, mapping=mapping)

    def leave_memory(self) -> None:
        """Releases the memory pages of a mapped file; the file keeps their content."""
        if self.mapping is not None and hasattr(mmap, "MADV_DONTNEED"):
            self.mapping.madvise(mmap.MADV_DONTNEED)

    @property
    def size(self) -> int:
        """The size in bytes."""
        return self.states.numel() * self.states.element_size()


@dataclass
class DepthCache:
    """Keeps hidden states within a memory budget, then in memory-mapped files within a disk budget.

    Hidden states that were never used again are dropped to make room, oldest first; used ones stay.

    Args:
        memory: The maximum number of bytes in memory.
        disk: The maximum number of bytes in files, in a temporary folder that is deleted with the cache.
        expected: Blocks at which edits will begin. Their hidden states are kept from the first run on, even
            if that is a run of the unedited model.
    """

    memory: int = GIB
    disk: int = 8 * GIB
    expected: frozenset[int] = frozenset()
    _kept: dict[tuple[str, int], HiddenStates] = field(default_factory=dict, init=False, repr=False)
    _folder: tempfile.TemporaryDirectory[str] | None = field(default=None, init=False, repr=False)
    _files: int = field(default=0, init=False, repr=False)

    def expect(self, blocks: Iterable[int]) -> None:
        """Adds blocks at which edits will begin."""
        self.expected |= frozenset(blocks)

    def find(self, key: str, at_most: int) -> tuple[int, HiddenStates] | None:
        """Returns a suite's deepest complete hidden states up to block `at_most`, with their block."""
        blocks = [
            block
            for (kept_key, block), states in self._kept.items()
            if kept_key == key and block <= at_most and states.complete
        ]
        if not blocks:
            return None
        states = self._kept[key, max(blocks)]
        states.uses += 1
        return max(blocks), states

    def to_record(self, key: str, after: int, at_most: int, blocks: Iterable[int]) -> list[int]:
        """Returns which of `blocks` and the expected blocks a run between two depths should record."""
        candidates = self.expected | frozenset(blocks)
        return sorted(
            block for block in candidates if after < block <= at_most and (key, block) not in self._kept
        )

    def open(
        self, key: str, block: int, shape: tuple[int, int], dtype: torch.dtype, awaited: bool = False
    ) -> HiddenStates | None:
        """Allocates hidden states, to be filled and marked complete by the caller.

        Args:
            key: The key of the suite.
            block: The block that they are the input of.
            shape: `[nodes, d]`.
            dtype: Their dtype.
            awaited: If true, they count as used from the start, because edited models will run the same
                requests as the unedited one.

        Returns:
            The hidden states, or None if they exceed the budget.
        """
        size = shape[0] * shape[1] * dtype.itemsize
        if self._make_room(size, self.memory, in_memory=True):
            states = HiddenStates(torch.empty(shape, dtype=dtype))
        elif self._make_room(size, self.disk, in_memory=False):
            try:
                states = HiddenStates.in_file(self._new_path(), shape, dtype)
            except OSError as error:
                logger.warning("Hidden states are not kept for later checkpoints: %s", error)
                return None
        else:
            logger.info(
                "Hidden states of %d tokens at block %d don't fit into the depth cache and are not kept.",
                shape[0],
                block,
            )
            return None
        states.uses = int(awaited)
        self._kept[key, block] = states
        return states

    def drop(self, states: HiddenStates) -> None:
        """Removes hidden states, for example half-filled ones."""
        self._kept = {name: kept for name, kept in self._kept.items() if kept is not states}
        if states.path is not None:
            states.path.unlink()

    def used(self, in_memory: bool) -> int:
        """Returns the number of bytes kept in memory, or in files."""
        return sum(kept.size for kept in self._kept.values() if (kept.path is None) == in_memory)

    def _make_room(self, size: int, budget: int, in_memory: bool) -> bool:
        idle = [
            kept
            for kept in self._kept.values()
            if kept.complete and not kept.uses and (kept.path is None) == in_memory
        ]
        free = budget - self.used(in_memory)
        if size > free + sum(kept.size for kept in idle):
            return False
        for kept in idle:
            if size <= free:
                break
            self.drop(kept)
            free += kept.size
        return True

    def _new_path(self) -> Path:
        if self._folder is None:
            self._folder = scratch_folder()
        self._files += 1
        return Path(self._folder.name) / f"{self._files}.bin"
