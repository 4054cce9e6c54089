"""A store in a folder: full and read-only disks, and what other processes left."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from sequela.store import Address, DamagedObjectError, Kind, StoreError, StoreFullError, open_store
from support.disks import BLOCK, mounted
from support.stores import CONTENT, content_of, local_store, put, rewrite


def names(root: Path) -> set[str]:
    return {name for name in content_of(root) if name != "store.json"}


@pytest.mark.slow
def test_a_full_disk_undoes_the_object_and_leaves_nothing(tmp_path: Path) -> None:
    """At every number of free blocks: in the files, in the description, or in the folders around them."""
    with mounted(tmp_path / "disk", 512 * 2**10) as disk:
        store = local_store(disk.folder / "store")
        kept = put(store, edits=0)
        before = names(disk.folder / "store")
        n_full = 0
        for n_free in range(12):
            disk.fill(n_free * BLOCK)
            try:
                address = put(store, {f"{part}.bin": b"x" * 5000 for part in range(3)}, edits=1)
            except StoreFullError:
                n_full += 1
                assert names(disk.folder / "store") == before
            else:
                store.discard(address)
            disk.free()
        assert n_full >= 6
        assert content_of(store.fetch(kept)) == CONTENT
        assert content_of(store.fetch(put(store, edits=2))) == CONTENT


@pytest.mark.slow
def test_a_read_only_disk_is_read_and_named_when_written_to(tmp_path: Path) -> None:
    with mounted(tmp_path / "disk", 512 * 2**10) as disk:
        kept, damaged = (
            put(local_store(disk.folder / "store"), edits=1),
            put(local_store(disk.folder / "store"), edits=2),
        )
        rewrite(disk.folder / "store" / "objects" / str(damaged) / "files" / "weights.bin", b"")
        disk.make_read_only()
        store = open_store(disk.folder / "store")
        assert content_of(store.fetch(kept)) == CONTENT
        with pytest.raises(DamagedObjectError, match="could not be set aside"):
            store.fetch(damaged)
        for write in (
            lambda: put(store, edits=3),
            lambda: store.discard(kept),
            lambda: store.register("run", tmp_path, [kept]),
            lambda: list(store.prune(unused=True)),
            lambda: store.locked(kept, "it").__enter__(),
        ):
            with pytest.raises(StoreError, match=r"Can't write to the store .*: Read-only file system"):
                write()
        assert list(store.prune(unused=True, dry_run=True))


def test_a_folder_that_is_no_object_is_set_aside_by_the_next_write(tmp_path: Path) -> None:
    """Such as one that was copied in part."""
    address = Address.of(Kind.CHECKPOINT, {"edits": 1})
    place = tmp_path / "store" / "objects" / str(address)
    place.mkdir(parents=True)
    (place / "half").write_bytes(b"x")
    store = open_store(tmp_path / "store")
    assert not store.has(address)
    assert not list(store.entries())
    put(store, edits=1)
    assert content_of(store.fetch(address)) == CONTENT
    assert any(name.startswith("damaged/") for name in names(tmp_path / "store"))


def test_folders_that_are_no_addresses_are_ignored(tmp_path: Path) -> None:
    store = open_store(tmp_path / "store")
    address = put(store, edits=1)
    (tmp_path / "store" / "objects" / "checkpoint" / "lost+found").mkdir()
    (tmp_path / "store" / "objects" / "other").mkdir()
    (tmp_path / "store" / "objects" / "network").write_bytes(b"x")
    assert [entry.address for entry in store.entries()] == [address]
    assert [one.name for one in store.prune(unused=True)] == [str(address)]


def test_the_files_of_an_object_are_read_only_and_readable_by_those_who_share_it(tmp_path: Path) -> None:
    before = os.umask(0o002)
    try:
        folder = open_store(tmp_path / "store").fetch(put(open_store(tmp_path / "store"), edits=1))
    finally:
        os.umask(before)
    assert (folder / "weights.bin").stat().st_mode & 0o777 == 0o444
    assert folder.stat().st_mode & 0o777 == 0o775


def test_drafts_of_a_process_that_lives_are_left_alone_and_others_are_removed(tmp_path: Path) -> None:
    store = open_store(tmp_path / "store")
    with store.writing(Address.of(Kind.NETWORK, {}), {}) as folder:
        (folder / "x").write_bytes(b"x")
        dead = folder.parent.with_name("0123456789abcdef")
        (dead / "files").mkdir(parents=True)
        dead.with_name(f"{dead.name}.lock").touch()
        open_store(tmp_path / "store")
        assert not dead.exists()
        assert folder.exists()
    assert not list((tmp_path / "store" / "temporary").iterdir())
    assert store.has(Address.of(Kind.NETWORK, {}))


def test_a_removal_that_is_interrupted_is_completed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = open_store(tmp_path / "store")
    address = put(store, edits=1)
    remove_tree = shutil.rmtree

    def interrupted(path: Path, ignore_errors: bool = False) -> None:
        if not ignore_errors:
            raise KeyboardInterrupt
        remove_tree(path, ignore_errors)

    monkeypatch.setattr(shutil, "rmtree", interrupted)
    with pytest.raises(KeyboardInterrupt):
        store.discard(address)
    assert not store.has(address)
    assert names(tmp_path / "store") == set()
