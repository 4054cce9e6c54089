"""Temporary files of killed processes are removed, those of living ones stay."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pytest

from sequela.core.paths import committing_folder, ensure_writable, replacing
from sequela.core.temporary_files import (
    is_running,
    make_folder,
    remove_strays,
    remove_strays_within,
    scratch_folder,
    temporary_folder,
    temporary_name,
)
from support.programs import process_that_said

WRITER = """
import sys
from pathlib import Path
from sequela.core.paths import committing_folder, replacing
folder = Path(sys.argv[1])
with replacing(folder / "a.json") as file, committing_folder(folder / "b") as building:
    file.write_text("half")
    (building / "c").write_text("half")
    print("writing", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def writer(tmp_path: Path) -> subprocess.Popen[str]:
    """A process that is in the middle of writing a file and a folder."""
    return process_that_said("writing", WRITER, tmp_path)


def test_what_a_killed_process_left_is_removed_and_what_a_living_one_writes_stays(
    tmp_path: Path, writer: subprocess.Popen[str]
) -> None:
    with writer:
        (tmp_path / ".mine.json").write_text("kept")
        with replacing(tmp_path / "other.json") as file:
            file.write_text("1")
        assert len(list(tmp_path.iterdir())) == 4  # the two that are being written are left alone
        writer.send_signal(signal.SIGKILL)
        writer.wait()
    assert len(list(tmp_path.iterdir())) == 4
    with replacing(tmp_path / "other.json") as file:
        file.write_text("2")
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {
        ".mine.json": "kept",
        "other.json": "2",
    }


@pytest.mark.skipif(
    not Path("/proc/self/stat").exists(), reason="needs /proc, which says if a process is a zombie"
)
def test_a_process_that_was_killed_is_dead_before_its_parent_has_asked(
    tmp_path: Path, writer: subprocess.Popen[str]
) -> None:
    with writer:
        assert is_running(writer.pid)
        writer.kill()
        os.waitid(os.P_PID, writer.pid, os.WEXITED | os.WNOWAIT)  # its entry stays
        ensure_writable(tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("change", ["machine", "own", "started later"])
def test_only_what_is_known_to_be_of_a_dead_process_is_a_stray(tmp_path: Path, change: str) -> None:
    name = temporary_name(".parquet")
    first, machine, pid, start, rest = name.split("-")
    parts = {
        "machine": [first, f"{machine}x", "999999999", start, rest],
        "own": [first, machine, pid, start, rest],
        "started later": [first, machine, pid, str(int(start) - 1), rest],
    }
    stray = tmp_path / "-".join(parts[change])
    stray.write_bytes(b"")
    remove_strays(tmp_path)
    known = int(start) > 0  # whether this system says when a process started
    assert stray.exists() == (change != "started later" or not known)


def test_what_a_killed_process_left_is_removed_at_any_depth(tmp_path: Path) -> None:
    first, machine, _, _, rest = temporary_name().split("-")
    dead = "-".join((first, machine, "999999999", "1", rest))
    kept = tmp_path / "a" / "b" / temporary_name()
    kept.mkdir(parents=True)
    for folder in (tmp_path, tmp_path / "a", kept.parent, kept):
        (folder / dead / "c").mkdir(parents=True)
    remove_strays_within(tmp_path)
    assert set(tmp_path.rglob("*")) == {tmp_path / "a", kept.parent, kept}


def test_a_link_is_removed_but_not_followed(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    kept.mkdir()
    (kept / "a").write_text("1")
    first, machine, _, _, rest = temporary_name().split("-")
    (tmp_path / "-".join((first, machine, "999999999", "1", rest))).symlink_to(kept)
    remove_strays(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]
    assert (kept / "a").read_text() == "1"


def test_temporary_folders_go_with_the_block_or_the_object(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with pytest.raises(ZeroDivisionError), temporary_folder(tmp_path) as folder:
        (folder / "a").write_text(f"{1 / 0}")
    scratch = scratch_folder()
    remove_strays(tmp_path)
    assert Path(scratch.name).is_dir()
    scratch.cleanup()
    assert list(tmp_path.iterdir()) == []


def test_new_folders_are_written_through_with_the_folders_that_they_lie_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[Path] = []
    monkeypatch.setattr("sequela.core.temporary_files.sync_folder", synced.append)
    make_folder(tmp_path / "a" / "b")
    assert synced == [tmp_path, tmp_path / "a"]
    make_folder(tmp_path / "a" / "b")
    assert len(synced) == 2


def test_a_folder_takes_its_place_as_a_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "copy"
    for content in ("1", "2"):
        with committing_folder(path) as building:
            (building / content).write_text(content)
        assert [one.name for one in path.iterdir()] == [content]
    with pytest.raises(ZeroDivisionError), committing_folder(path) as building:
        (building / "3").write_text(f"{1 / 0}")
    assert [one.name for one in path.iterdir()] == ["2"]
    assert [one.name for one in tmp_path.iterdir()] == ["copy"]
