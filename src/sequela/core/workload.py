"""A long piece of work as a whole: the pieces it has, and the time it will still take.

Pieces differ by orders of magnitude, so the mean time of those that are done says nothing about those that
are not. Each piece has a weight, its expected size against the others, and a kind, from the general to the
particular. The time of a piece follows from its weight and the rate of the most similar pieces that were
timed: the same suite on the same model, else the same suite, else any evaluation, else anything.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

Clock = Callable[[], float]
"""The seconds since some moment."""

Kind = tuple[str, ...]

OVERTIME = 0.1
"""What a piece that takes longer than expected is given, as a part of the time that it has taken."""


@dataclass(frozen=True)
class Piece:
    """A piece of a workload.

    Args:
        kind: What it is, from the general to the particular: `("evaluate", "perplexity", "smollm2")`.
        weight: Its size against other pieces: about how many tokens go through the model.
        typical: Whether its time tells something about other kinds of pieces; that of a download doesn't.
    """

    kind: Kind
    weight: float
    typical: bool = True

    @property
    def prefixes(self) -> list[Kind]:
        """The kinds it is one of, the most particular first."""
        last = 0 if self.typical else 1
        return [self.kind[:length] for length in range(len(self.kind), last - 1, -1)]


@dataclass
class _Timed:
    seconds: float = 0.0
    weight: float = 0.0


@dataclass(frozen=True)
class _Current:
    piece: Piece
    label: str
    begun: float


class Workload:
    """What is planned, done and under way.

    It may be read from another thread than the one that does the work.

    Args:
        name: What it is called.
        pieces: What is planned.
        clock: Tells the time.
    """

    def __init__(self, name: str, pieces: Iterable[Piece], clock: Clock = time.monotonic) -> None:
        self.name = name
        self._planned = Counter(pieces)
        self._clock = clock
        self._timed: dict[Kind, _Timed] = {}
        self._n_done = 0
        self._current: _Current | None = None
        self._lock = threading.RLock()

    @property
    def n_pieces(self) -> int:
        """The number of pieces, done or not."""
        with self._lock:
            return self._n_done + self._planned.total()

    @property
    def n_done(self) -> int:
        """The number of pieces that are done."""
        return self._n_done

    @property
    def label(self) -> str:
        """What is under way, in words; empty if nothing is."""
        current = self._current
        return current.label if current else ""

    @property
    def seconds_under_way(self) -> float:
        """The time since the piece under way was begun."""
        current = self._current
        return self._clock() - current.begun if current else 0.0

    @contextmanager
    def doing(self, piece: Piece, label: str) -> Iterator[None]:
        """Does a piece: it counts as done, and its time is learned from, if the block ends well."""
        with self._lock:
            current = self._current = _Current(piece, label, self._clock())
        try:
            yield
        except BaseException:
            self._current = None
            raise
        with self._lock:
            self._learn(piece, self._clock() - current.begun)
            self.skip(piece)
            self._current = None

    def skip(self, piece: Piece) -> None:
        """Counts a planned piece as done that was done earlier, or never will be."""
        with self._lock:
            if self._planned[piece]:
                self._planned[piece] -= 1
                self._n_done += 1

    def seconds_left(self, current_left: float | None = None) -> float | None:
        """The time that everything still takes; None as long as nothing was timed that tells.

        Args:
            current_left: What the piece under way still takes at least, if it is known.
        """
        with self._lock:
            current = self._current
            known = self._known(current, current_left)
            left = 0.0
            for piece, count in self._planned.items():
                if count and piece.weight:
                    rate = _rate(piece, known)
                    if rate is None and piece.typical:
                        return None
                    left += count * piece.weight * (rate or 0.0)
            if current is not None and self._planned[current.piece]:
                elapsed = self._clock() - current.begun
                expected = current.piece.weight * (_rate(current.piece, known) or 0.0)
                # What takes longer than expected won't end this very moment.
                still = max(expected - elapsed, current_left or OVERTIME * elapsed)
                left += still - expected
            return left

    def _known(self, current: _Current | None, current_left: float | None) -> dict[Kind, _Timed]:
        """The times to go by: of a kind that was never timed, that of the piece under way, as it looks."""
        if current is None or current.piece.kind in self._timed or not current.piece.weight:
            return self._timed
        looks = self._clock() - current.begun + (current_left or 0.0)
        rate = _rate(current.piece, self._timed)
        if current_left is None and (rate is None or looks <= current.piece.weight * rate):
            return self._timed
        known = dict(self._timed)
        for kind in current.piece.prefixes:
            before = known.get(kind, _Timed())
            known[kind] = _Timed(before.seconds + looks, before.weight + current.piece.weight)
        return known

    def _learn(self, piece: Piece, seconds: float) -> None:
        if piece.weight:
            for kind in piece.prefixes:
                timed = self._timed.setdefault(kind, _Timed())
                timed.seconds += seconds
                timed.weight += piece.weight


def _rate(piece: Piece, timed: dict[Kind, _Timed]) -> float | None:
    """Seconds per weight of the most similar pieces that were timed."""
    for kind in piece.prefixes:
        if kind in timed:
            return timed[kind].seconds / timed[kind].weight
    return None
