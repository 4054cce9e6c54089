"""Progress: bars on a terminal, plain lines elsewhere."""

from __future__ import annotations

import io
import logging

from rich.console import Console

from sequela.cli.progress import BarProgress, LineProgress, shown_progress
from sequela.core.progress import tracked


def terminal() -> tuple[Console, io.StringIO]:
    written = io.StringIO()
    return Console(file=written, force_terminal=True, width=100, color_system=None), written


def plain() -> tuple[Console, io.StringIO]:
    written = io.StringIO()
    return Console(file=written, force_terminal=False, width=40), written


def test_a_terminal_gets_bars_with_what_is_running_and_what_is_left() -> None:
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


def test_elsewhere_there_are_lines_without_markup_or_codes() -> None:
    console, written = plain()
    with shown_progress(console) as progress:
        progress.say("a long line [of text] that must not be broken at forty columns")
        for _ in tracked(range(3), progress, "scoring", 3):
            pass
    assert written.getvalue() == "a long line [of text] that must not be broken at forty columns\n"


def test_a_long_task_gives_signs_of_life() -> None:
    console, written = plain()
    for _ in tracked(range(3), LineProgress(console, seconds=0), "scoring", 3):
        pass
    lines = written.getvalue().splitlines()
    assert lines[0].startswith("scoring: 1 of 3, about ")
    assert lines[0].endswith(" left")
    assert lines[-1] == "scoring: 3 of 3"


def test_tasks_inside_tasks_are_counted_apart() -> None:
    console, written = plain()
    progress = LineProgress(console, seconds=0)
    outer = progress.start("study", 10)
    inner = progress.start("scoring", 4)
    progress.advance(inner, 4)
    progress.advance(outer, 5)
    progress.finish(inner)
    progress.finish(outer)
    progress.finish(outer)
    assert [line.split(",")[0] for line in written.getvalue().splitlines()] == [
        "scoring: 4 of 4",
        "study: 5 of 10",
    ]


def test_warnings_stand_among_the_lines_and_not_in_the_bars() -> None:
    for console, written in (terminal(), plain()):
        with shown_progress(console):
            logging.getLogger("sequela.inference").warning("%d requests are too long", 3)
            logging.getLogger("sequela.inference").info("not told")
        assert "warning: 3 requests are too long" in " ".join(written.getvalue().split())
        assert "not told" not in written.getvalue()
    before = written.getvalue()
    logging.getLogger("sequela.inference").warning("nobody listens any more")
    assert written.getvalue() == before
