"""`sequela store`, on real stores."""

from __future__ import annotations

from pathlib import Path

import pytest

from sequela.store import Kind, Store, open_store
from support.commands import Sequela
from support.stores import CONTENT, put, rewrite

SIZE = sum(map(len, CONTENT.values()))


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    """A store with a checkpoint and a network."""
    monkeypatch.setenv("SEQUELA_STORE", str(tmp_path / "store"))
    store = open_store()
    put(store, model="tiny [red]", edits=8)
    put(store, kind=Kind.NETWORK, method="mend")
    return store


def test_objects_are_listed_with_what_they_were_made_from(sequela: Sequela, store: Store) -> None:
    answer = sequela("store", "list")
    assert answer.exit_code == 0
    assert "model: tiny [red]" in answer.stdout
    assert "2 objects, 4.1 KiB, in" in answer.stdout
    listed = sequela("store", "list", "--json").json
    assert [one["kind"] for one in listed] == ["network", "checkpoint"]
    assert listed[1]["about"] == {"edits": 8, "model": "tiny [red]"}
    assert listed[1]["size"] == SIZE
    only = sequela("store", "list", "--json", "--kind", "network").json
    assert only == listed[:1]


def test_an_empty_store_is_listed(sequela: Sequela, tmp_path: Path) -> None:
    answer = sequela("store", "list", "--store", tmp_path / "none")
    assert (answer.exit_code, answer.stdout) == (0, f"0 objects, 0 bytes, in {tmp_path}/none\n")
    assert not (tmp_path / "none").exists()


def test_verification_ends_with_1_if_something_is_damaged(
    sequela: Sequela, store: Store, tmp_path: Path
) -> None:
    answer = sequela("store", "verify")
    assert answer.exit_code == 0
    assert "2 objects verified (4.1 KiB), 0 damaged" in answer.stdout
    (entry,) = store.entries([Kind.NETWORK])
    rewrite(tmp_path / "store" / "objects" / str(entry.address) / "files" / "weights.bin", b"x")
    answer = sequela("store", "verify")
    assert answer.exit_code == 1
    assert f"damaged: {entry.address}: weights.bin should be 2,100 bytes with SHA-256" in answer.stdout
    assert "and is 1 byte with SHA-256" in answer.stdout
    assert sequela("store", "verify", "--kind", "checkpoint").exit_code == 0
    (damaged, intact) = sequela("store", "verify", "--json").json
    assert [one["file"] for one in damaged["damaged"]] == ["weights.bin"]
    assert intact["damaged"] == []
    answer = sequela("store", "verify", "--set-aside")
    assert answer.exit_code == 1
    assert "set aside to" in answer.stdout
    assert sequela("store", "verify").exit_code == 0


def test_pruning_says_what_was_freed(sequela: Sequela, store: Store, tmp_path: Path) -> None:
    (entry,) = store.entries([Kind.NETWORK])
    store.register("run", tmp_path, [entry.address])
    answer = sequela("store", "prune", "--unused", "--dry-run")
    assert answer.exit_code == 0
    assert "would remove checkpoint/" in answer.stdout
    assert "1 object would be removed, 2.1 KiB freed" in answer.stdout
    assert len(list(store.entries())) == 2
    assert "0 objects removed, 0 bytes freed" in sequela("store", "prune", "--older-than", "30d").stdout
    answer = sequela("store", "prune", "--unused")
    assert "1 object removed, 2.1 KiB freed" in answer.stdout
    assert [one.address for one in store.entries()] == [entry.address]
    pruned = sequela("store", "prune", "--older-than", "52w", "--json").json
    assert pruned == {"dry_run": False, "freed": 0, "removed": []}


def test_a_stopped_pruning_says_what_was_freed(
    sequela: Sequela, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    rename = Path.rename
    renames: list[Path] = []

    def interrupted(source: Path, target: Path) -> Path:
        renames.append(source)
        if len(renames) == 2:
            raise KeyboardInterrupt
        return rename(source, target)

    monkeypatch.setattr(Path, "rename", interrupted)
    answer = sequela("store", "prune", "--unused")
    assert answer.exit_code == 130
    assert "1 object removed, 2.1 KiB freed" in answer.stdout
    assert "Stopped." in answer.stderr
    assert len(list(store.entries())) == 1
    assert all(not one.damages for one in store.verify())


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("lst",), "Did you mean 'list'?"),
        (("list", "--kind", "chekpoint"), "Did you mean 'checkpoint'?"),
        (("verify", "--kinds", "network"), "--kind"),
        (("prune",), "Add --older-than 30d, or --unused"),
        (("prune", "--older-than", "30"), "30d"),
        (("prune", "--older-than", "-1d"), "Invalid age"),
        (("prune", "--older-than", "1e9d"), "Invalid age"),
        (("prune", "--older-than", f"{10**30}w"), "Invalid age"),
        (("list", "--store", "sp3://x"), "Did you mean s3://?"),
        (("list", "--store", "/etc/passwd"), "is a file, not a folder"),
    ],
)
def test_wrong_arguments_are_errors_in_words(sequela: Sequela, arguments: tuple[str, ...], said: str) -> None:
    answer = sequela("store", *arguments)
    assert answer.exit_code == 2
    assert said in answer.stderr
    assert "Traceback" not in answer.stderr


@pytest.mark.parametrize("command", ["list", "verify", "prune"])
def test_each_command_has_help(sequela: Sequela, command: str) -> None:
    answer = sequela("store", command, "--help")
    assert answer.exit_code == 0
    assert "--store" in answer.stdout
