"""Progress: bars on a terminal, plain lines elsewhere."""

from __future__ import annotations

import io
import logging
import re
import threading

import pytest
from rich.console import Console

from sequela.cli.progress import BarProgress, LineProgress, shown_progress
from sequela.cli.running import in_words
from sequela.core.progress import counted, tracked, watched
from sequela.core.workload import Piece, Workload

PIECE = Piece(("evaluate", "perplexity"), 1000)
OTHER = Piece(("evaluate", "quiz"), 4000)


class Clock:
    """A clock that is set by hand."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def terminal() -> tuple[Console, io.StringIO]:
    written = io.StringIO()
    return Console(file=written, force_terminal=True, width=120, color_system=None), written


def plain() -> tuple[Console, io.StringIO]:
    written = io.StringIO()
    return Console(file=written, force_terminal=False, width=40), written


def lines(seconds: float = 30) -> tuple[LineProgress, Clock, io.StringIO]:
    console, written = plain()
    clock = Clock()
    return LineProgress(console, seconds, clock), clock, written


class TestBars:
    def test_a_terminal_gets_bars_with_what_is_running_and_what_is_left(self) -> None:
        console, written = terminal()
        with shown_progress(console) as progress:
            assert isinstance(progress, BarProgress)
            progress.say("edit 1 [of 3]")
            for _ in tracked(range(3), progress, "scoring [items]", 3):
                progress.bars.refresh()
        text = written.getvalue()
        assert "scoring [items]" in text
        assert "2/3" in text
        assert "left" in text
        assert "edit 1 [of 3]" in text

    def test_the_whole_has_a_bar_with_what_is_under_way_and_its_own_estimate(self) -> None:
        console, written = terminal()
        clock = Clock()
        progress = BarProgress(console, clock)
        workload = Workload("study [demo]", [PIECE, PIECE, OTHER], clock)
        with progress.bars, watched(progress, workload):
            with workload.doing(PIECE, "unedited model, perplexity"):
                clock.now += 60
            with (
                workload.doing(PIECE, "memit, 1 edit, perplexity"),
                counted(progress, "scoring requests", 8) as advance,
            ):
                advance(2)
                progress.bars.refresh()
        text = written.getvalue()
        assert "study [demo]: memit, 1 edit, perplexity" in text
        assert "1/3" in text
        assert "5 min left" in text
        assert "2/8" in text

    def test_a_bar_of_unknown_length_has_no_count(self) -> None:
        console, written = terminal()
        progress = BarProgress(console)
        with progress.bars, counted(progress, "fetching", None):
            progress.bars.refresh()
        assert "fetching" in written.getvalue()
        assert not re.search(r"\d/", written.getvalue())


class TestLines:
    def test_they_have_no_markup_and_no_codes(self) -> None:
        console, written = plain()
        with shown_progress(console) as progress:
            progress.say("a long line [of text] that must not be broken at forty columns")
            for _ in tracked(range(3), progress, "scoring", 3):
                pass
        assert written.getvalue() == "a long line [of text] that must not be broken at forty columns\n"

    def test_a_long_task_gives_signs_of_life(self) -> None:
        progress, clock, written = lines()
        for _ in tracked(range(4), progress, "scoring [items]", 4):
            clock.now += 25
        assert written.getvalue().splitlines() == [
            "scoring [items]: 2 of 4, about 50 s left",
            "scoring [items]: 4 of 4, about 5 s left",
        ]

    def test_one_unit_that_lasts_gives_them_too(self) -> None:
        progress, clock, written = lines()
        with counted(progress, "reading", 1):
            for _ in range(90):
                clock.now += 1
                progress.beat()
        assert written.getvalue().splitlines() == ["reading: 0 of 1"] * 3 + ["reading: ended after 90 s"]

    def test_tasks_inside_tasks_are_parts_of_a_unit(self) -> None:
        progress, clock, written = lines()
        outer = progress.start("settings of rome", 4)
        progress.advance(outer)
        inner = progress.start("targets, steps", 50)
        clock.now += 60
        progress.advance(inner, 25)
        progress.finish(inner)
        progress.finish(outer)
        progress.finish(outer)
        first, *_ = written.getvalue().splitlines()
        assert first == "settings of rome: 1 of 4, targets, steps: 25 of 50, about 100 s left"

    def test_the_workload_is_shown_with_the_running_task(self) -> None:
        progress, clock, written = lines()
        workload = Workload("study", [PIECE, PIECE, OTHER], clock)
        with watched(progress, workload):
            with workload.doing(PIECE, "unedited model, perplexity"):
                clock.now += 29
                progress.beat()
            with workload.doing(PIECE, "memit, 10 edits, perplexity"):
                clock.now += 9
                with counted(progress, "scoring requests", 88) as advance:
                    advance(37)
        assert written.getvalue().splitlines() == [
            "memit, 10 edits, perplexity, scoring requests: 37 of 88; 1 of 3 steps in total, about 2 min left"
        ]

    def test_a_piece_without_tasks_shows_its_running_time(self) -> None:
        progress, clock, written = lines()
        workload = Workload("study", [PIECE], clock)
        with watched(progress, workload), workload.doing(PIECE, "loading m"):
            clock.now += 40
            progress.beat()
        assert written.getvalue() == "loading m, running for 40 s; 0 of 1 steps in total\n"

    def test_the_end_of_a_shown_task_is_printed(self) -> None:
        progress, clock, written = lines()
        with counted(progress, "dequantizing", 2) as advance:
            advance(1)
            clock.now += 31
            progress.beat()
            clock.now += 10
        clock.now += 1800
        progress.beat()
        assert written.getvalue().splitlines() == [
            "dequantizing: 1 of 2, about 30 s left",
            "dequantizing: ended after 40 s",
        ]

    def test_a_task_that_was_never_shown_ends_silently(self) -> None:
        progress, _, written = lines()
        with counted(progress, "dequantizing", 2):
            pass
        assert written.getvalue() == ""

    def test_a_thread_prints_lines_during_long_calls(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """One unit lasts until the line about it is printed: without the thread this would never end."""
        monkeypatch.setattr("sequela.cli.progress.SECONDS_BETWEEN_LINES", 0.0)
        monkeypatch.setattr("sequela.cli.progress.BEAT", 0.001)
        reported = threading.Event()

        class Written(io.StringIO):
            def write(self, text: str) -> int:
                reported.set()
                return super().write(text)

        written = Written()
        console = Console(file=written, force_terminal=False)
        before = threading.active_count()
        with shown_progress(console) as progress, counted(progress, "one long step", 1):
            assert reported.wait(60)
        assert written.getvalue().startswith("one long step: 0 of 1\n")
        assert threading.active_count() == before


def test_warnings_are_printed_as_lines_and_not_in_the_bars() -> None:
    for console, written in (terminal(), plain()):
        with shown_progress(console):
            logging.getLogger("sequela.inference").warning("%d requests are too long", 3)
            logging.getLogger("sequela.inference").info("not told")
        assert "warning: 3 requests are too long" in " ".join(written.getvalue().split())
        assert "not told" not in written.getvalue()
    before = written.getvalue()
    logging.getLogger("sequela.inference").warning("nobody listens any more")
    assert written.getvalue() == before


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "5 s"),
        (14, "15 s"),
        (88, "90 s"),
        (115, "115 s"),
        (130, "2 min"),
        (3600, "60 min"),
        (9000, "2.5 h"),
    ],
)
def test_durations_have_suitable_units(seconds: float, words: str) -> None:
    assert in_words(seconds) == words
