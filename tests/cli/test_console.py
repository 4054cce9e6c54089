"""The output of commands: nothing in a text steers the terminal."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from rich.console import Console

from sequela.cli.console import print_entries, print_json, print_json_line, print_line, print_table
from sequela.cli.progress import shown_progress

STEERING = "a\x1b[2J\x9b31m\0\u202eb\ud83d[bold]"
SHOWN = r"a\x1b[2J\x9b31m\x00\u202eb\ud83d[bold]"


def test_texts_are_shown_as_they_are_written(capsys: pytest.CaptureFixture[str]) -> None:
    print_line(STEERING)
    print_table(STEERING, [STEERING], [[STEERING]])
    print_entries(STEERING, [(STEERING, STEERING, [STEERING])])
    with shown_progress(Console()) as progress:
        progress.say(STEERING)
    printed = capsys.readouterr().out
    assert printed.count(SHOWN) == 9
    assert not set(printed) & set("\x1b\x9b\0\u202e\ud83d")


@pytest.mark.parametrize("write", [print_json, print_json_line])
def test_json_has_the_same_value(write: Callable[[Any], None], capsys: pytest.CaptureFixture[str]) -> None:
    write({"text": STEERING, "nan": float("nan")})
    printed = capsys.readouterr().out
    assert json.loads(printed) == {"text": STEERING, "nan": None}
    assert not set(printed) & set("\x1b\x9b\0\u202e\ud83d")
