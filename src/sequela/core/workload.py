"""The pieces of a long computation, and an estimate of its remaining time.

Pieces differ by orders of magnitude, so the mean time of finished pieces is no estimate for the others. Each
piece has a weight, its expected size relative to the others, and a kind, from general to specific. The time
of a piece is estimated from its weight and the rate of the most similar timed pieces: the same suite on the
same model, else the same suite, else any evaluation, else any piece.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

Clock = Callable[[], float]
"""A function that returns the seconds since a fixed moment."""

Kind = tuple[str, ...]

OVERTIME = 0.1
"""The remaining time of a piece that takes longer than expected, as a share of the time taken so far."""


@dataclass(frozen=True)
class Piece:
    """A piece of a workload.

    Args:
        kind: Its kind, from general to specific: `("evaluate", "perplexity", "smollm2")`.
        weight: Its size relative to other pieces: the approximate number of tokens run.
        typical: True if its time is an indication for other kinds of pieces; that of a download isn't.
    """

    kind: Kind
    weight: float
    typical: bool = True

    @property
    def prefixes(self) -> list[Kind]:
        """The kinds that it belongs to, the most specific first."""
        last = 0 if self.typical else 1
        return [self.kind[:length] for length in range(len(self.kind), last - 1, -1)]


@dataclass
class _Timed:
    seconds: float = 0.0
    weight: float = 0.0


@dataclass(frozen=True, eq=False)
class Current:
    """A piece that is being done.

    Args:
        piece: The piece.
        label: Its description.
        begun: The time at which it was begun.
    """

    piece: Piece
    label: str
    begun: float


class Workload:
    """The planned, finished and current pieces of a computation.

    It may be read from another thread than the one that does the work.

    Args:
        name: The name of the workload.
        pieces: The planned pieces.
        clock: Returns the time.
        n_workers: The number of pieces that are done at a time.
    """

    def __init__(
        self, name: str, pieces: Iterable[Piece], clock: Clock = time.monotonic, n_workers: int = 1
    ) -> None:
        self.name = name
        self._planned = Counter(pieces)
        self._clock = clock
        self._n_workers = n_workers
        self._timed: dict[Kind, _Timed] = {}
        self._n_done = 0
        self._current: list[Current] = []
        self._lock = threading.RLock()

    @property
    def n_pieces(self) -> int:
        """The number of all pieces."""
        with self._lock:
            return self._n_done + self._planned.total()

    @property
    def n_done(self) -> int:
        """The number of finished pieces."""
        return self._n_done

    @property
    def label(self) -> str:
        """A description of the current piece; empty if there is none."""
        current = self._shown
        return current.label if current else ""

    @property
    def seconds_under_way(self) -> float:
        """The seconds since the current piece was started."""
        current = self._shown
        return self._clock() - current.begun if current else 0.0

    @contextmanager
    def doing(self, piece: Piece, label: str) -> Iterator[None]:
        """Marks a piece as current; if the `with` block succeeds, it counts as done and is timed."""
        current = self.begin(piece, label)
        try:
            yield
        except BaseException:
            self.abandon(current)
            raise
        self.complete(current)

    def begin(self, piece: Piece, label: str) -> Current:
        """Marks a piece as current; several may be at a time, of which the last is shown."""
        with self._lock:
            current = Current(piece, label, self._clock())
            self._current.append(current)
            return current

    def complete(self, current: Current) -> None:
        """Counts a current piece as done, and times it."""
        with self._lock:
            self._current.remove(current)
            self._learn(current.piece, self._clock() - current.begun)
            self.skip(current.piece)

    def abandon(self, current: Current) -> None:
        """Marks a piece as no longer current, without counting it as done."""
        with self._lock:
            self._current.remove(current)

    def skip(self, piece: Piece) -> None:
        """Counts a planned piece as done without running it."""
        with self._lock:
            if self._planned[piece]:
                self._planned[piece] -= 1
                self._n_done += 1

    def seconds_left(self, current_left: float | None = None) -> float | None:
        """Returns the remaining seconds of all pieces; None while there is no basis for an estimate.

        Args:
            current_left: The minimum remaining seconds of the current piece, if known.
        """
        with self._lock:
            current = self._shown
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
                # A piece that takes longer than expected won't end right now.
                still = max(expected - elapsed, current_left or OVERTIME * elapsed)
                left += still - expected
            return left / self._n_workers

    @property
    def _shown(self) -> Current | None:
        with self._lock:
            return self._current[-1] if self._current else None

    def _known(self, current: Current | None, current_left: float | None) -> dict[Kind, _Timed]:
        """Returns the measured times; a kind without any gets the expected time of the current piece."""
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
