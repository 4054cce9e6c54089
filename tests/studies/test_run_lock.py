"""Two processes, one folder: the second is refused, and a process that died keeps none out."""

from __future__ import annotations

import os
import re
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from sequela.core.errors import SequelaError
from sequela.core.locks import HeldElsewhereError
from sequela.results import read_manifest
from sequela.studies import Study, run_study
from sequela.studies.run_lock import LOCK, check_not_running, only_process
from support.programs import process_that_said

OTHER_PROCESS = """
import sys
from pathlib import Path
from sequela.studies.run_lock import only_process
with only_process(Path(sys.argv[1])):
    print("locked", flush=True)
    sys.stdin.read()
"""


def _other_process(folder: Path) -> subprocess.Popen[str]:
    """Starts a process that holds the lock of a folder, and returns when it has it."""
    return process_that_said("locked", OTHER_PROCESS, folder)


def test_another_process_is_named_and_one_that_died_keeps_none_out(tmp_path: Path) -> None:
    with _other_process(tmp_path) as process:
        for check in (check_not_running, lambda folder: only_process(folder).__enter__()):
            with pytest.raises(HeldElsewhereError) as caught:
                check(tmp_path)
            assert caught.value.message.startswith(
                f"Another process (id {process.pid} on {socket.gethostname()}, since 2"
            )
            assert caught.value.message.endswith(f") is running this study in {tmp_path}.")
            assert "--join" in (caught.value.hint or "")
        process.kill()
        process.wait()
    assert (tmp_path / LOCK).is_file()  # the process had no time to remove it
    check_not_running(tmp_path)
    with only_process(tmp_path):
        assert f'"pid": {os.getpid()}' in (tmp_path / LOCK).read_text()
    assert not (tmp_path / LOCK).exists()


def test_one_process_too_holds_a_folder_once_at_a_time(tmp_path: Path) -> None:
    with only_process(tmp_path), pytest.raises(HeldElsewhereError), only_process(tmp_path):
        pass
    with only_process(tmp_path):
        pass


def test_a_check_writes_nothing(tmp_path: Path) -> None:
    check_not_running(tmp_path)
    check_not_running(tmp_path / "new")
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_file_of_the_holder_does_not_hide_the_lock(tmp_path: Path) -> None:
    with only_process(tmp_path):
        (tmp_path / LOCK).write_text("{")
        with pytest.raises(HeldElsewhereError, match=r"^Another process is running this study in "):
            check_not_running(tmp_path)


def test_a_file_system_without_locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(37, "No locks available")

    monkeypatch.setattr("fcntl.flock", refuse)
    with pytest.raises(SequelaError, match="No locks available"), only_process(tmp_path):
        pass


def test_a_second_run_is_refused_before_anything_is_read_or_written(
    make_study: Callable[..., Study], tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    with only_process(folder), pytest.raises(HeldElsewhereError):
        run_study(make_study(models=["/no/model"], edits={"source": "/no/edits.jsonl"}), folder)
    assert list(folder.iterdir()) == []


def test_a_run_holds_the_lock_and_releases_it_at_its_end(
    make_study: Callable[..., Study], finished: Path
) -> None:
    assert read_manifest(finished).ended is not None
    assert not (finished / LOCK).exists()
    check_not_running(finished)


def test_the_reference_page_names_the_files_of_the_lock() -> None:
    page = Path(__file__).parents[2] / "docs" / "reference" / "runs.md"
    assert f"`{LOCK}`" in set(re.findall("`[^`]+`", page.read_text(encoding="utf-8")))
