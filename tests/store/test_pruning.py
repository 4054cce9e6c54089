from __future__ import annotations

import json
import socket
from collections.abc import Callable
from datetime import datetime, timedelta, timezone, tzinfo
from pathlib import Path

import pytest

from sequela.core.errors import BadInputError, IntegrityError
from sequela.store import Address, Kind, Store, run_id_of
from sequela.store.documents import with_digest
from sequela.store.pruning import prune
from support.stores import CONTENT, content_of, local_store, put, remote_store, rewrite

SIZE = sum(map(len, CONTENT.values()))


def run_folder(root: Path, name: str = "run") -> Path:
    (root / name).mkdir()
    return root / name


def removed(
    store: Store,
    days: float = 0,
    older_than: timedelta | None = None,
    unused: bool = False,
    dry_run: bool = False,
) -> set[str]:
    """Returns what `prune` removes in a number of days from now."""
    now = datetime.now(timezone.utc) + timedelta(days=days)
    return {one.name for one in prune(store._storage, older_than, unused, dry_run, now)}


def on_another_host(root: Path, run_id: str) -> None:
    """Makes a registration one of another machine."""
    path = root / "store" / "runs" / f"{run_id}.json"
    content = json.loads(path.read_bytes())
    del content["digest"]
    path.write_bytes(with_digest({**content, "host": f"not-{socket.gethostname()}", "folder": "/nowhere"}))


def test_what_a_run_uses_is_kept(store: Store, tmp_path: Path) -> None:
    used, unused = put(store, edits=1), put(store, edits=2)
    store.register("run", run_folder(tmp_path), [used])
    assert removed(store, unused=True, dry_run=True) == {str(unused)}
    assert store.has(unused)
    assert [(one.name, one.size, one.reason) for one in store.prune(unused=True)] == [
        (str(unused), SIZE, "unused")
    ]
    assert store.has(used)
    assert not store.has(unused)
    assert removed(store, unused=True) == set()


def test_registrations_of_a_run_add_up(store: Store, tmp_path: Path) -> None:
    """Two workers of one run register what each of them uses; an object need not be there yet."""
    first, second = put(store, edits=1), Address.of(Kind.CHECKPOINT, {"edits": 2})
    folder = run_folder(tmp_path)
    store.register("run", folder, [first])
    store.register("run", folder, [second])
    put(store, edits=2)
    assert removed(store, unused=True) == set()
    (registration,) = store.registrations()
    assert registration.addresses == {first, second}
    assert (registration.host, registration.folder) == (socket.gethostname(), str(folder))
    store.unregister("run")
    assert removed(store, unused=True) == {str(first), str(second)}


def test_a_run_whose_folder_is_gone_no_longer_counts(store: Store, tmp_path: Path) -> None:
    address = put(store, edits=1)
    folder = run_folder(tmp_path)
    store.register(run_id_of(folder), folder, [address])
    folder.rmdir()
    assert removed(store, unused=True, dry_run=True) == {str(address), f"run {run_id_of(folder)}"}
    assert list(store.registrations())
    assert removed(store, unused=True) == {str(address), f"run {run_id_of(folder)}"}
    assert not list(store.registrations())


def test_runs_of_other_machines_count_unless_they_are_old(store: Store, tmp_path: Path) -> None:
    address = put(store, edits=1)
    store.register("theirs", run_folder(tmp_path), [address])
    on_another_host(tmp_path, "theirs")
    assert removed(store, days=1000, unused=True) == set()
    month = timedelta(days=30)
    assert removed(store, days=29, unused=True, older_than=month) == set()
    assert removed(store, days=31, unused=True, older_than=month) == {str(address)}


def test_age_counts_from_when_an_object_was_last_needed(store: Store, tmp_path: Path) -> None:
    address = put(store, edits=1)
    month = timedelta(days=30)
    assert removed(store, days=29, older_than=month) == set()
    store.register("run", run_folder(tmp_path), [address])
    path = tmp_path / "store" / "runs" / "run.json"
    content = json.loads(path.read_bytes())
    del content["digest"]
    later = datetime.now(timezone.utc) + timedelta(days=20)
    path.write_bytes(with_digest({**content, "registered": later.isoformat()}))
    assert removed(store, days=31, older_than=month) == set()
    assert removed(store, days=51, older_than=month, unused=True) == set()
    assert removed(store, days=51, older_than=month) == {str(address)}


@pytest.mark.parametrize("make_store", [local_store, lambda folder: remote_store(folder, folder / "copies")])
@pytest.mark.parametrize("years", [-20, 20])
def test_a_wrong_clock_removes_nothing_too_early(
    make_store: Callable[[Path], Store], years: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Wrong(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> Wrong:
            found = datetime.now(tz) + timedelta(days=365 * years)
            return cls.fromtimestamp(found.timestamp(), tz)

    store, month = make_store(tmp_path / "store"), timedelta(days=30)
    with monkeypatch.context() as patch:
        patch.setattr("sequela.store.description.datetime", Wrong)
        patch.setattr("sequela.store.registrations.datetime", Wrong)
        made, used = put(store, edits=1), put(store, edits=2)
        store.register("theirs", run_folder(tmp_path), [used])
        on_another_host(tmp_path, "theirs")
    description = next(one.description for one in store.entries() if one.address == made)
    assert description is not None
    assert abs((description.created - datetime.now(timezone.utc)).days) > 7000
    assert not set(store.prune(older_than=month))
    with monkeypatch.context() as patch:  # the clock of the machine that prunes is wrong
        patch.setattr("sequela.store.local.datetime", Wrong)
        patch.setattr("sequela.store.remote.datetime", Wrong)
        assert not set(store.prune(older_than=month, unused=True))


@pytest.mark.parametrize("days", [0, 10**6])
def test_any_age_is_fine(store: Store, days: int) -> None:
    address = put(store, edits=1)
    assert removed(store, days=0.01, older_than=timedelta(days=days)) == (
        {str(address)} if days == 0 else set()
    )


def test_it_must_be_stated_what_to_remove(store: Store) -> None:
    with pytest.raises(BadInputError, match="It isn't stated what to remove"):
        store.prune()
    with pytest.raises(BadInputError, match="negative"):
        store.prune(older_than=timedelta(days=-1))


def test_a_damaged_registration_is_named_and_nothing_is_removed(store: Store, tmp_path: Path) -> None:
    address = put(store, edits=1)
    store.register("run", run_folder(tmp_path), [address])
    path = tmp_path / "store" / "runs" / "run.json"
    path.write_bytes(path.read_bytes().replace(b"checkpoint/", b"checkpoinu/"))
    with pytest.raises(IntegrityError, match=r"runs/run\.json is damaged[\s\S]*Remove runs/run\.json"):
        list(store.prune(unused=True))
    assert store.has(address)


@pytest.mark.parametrize("run_id", ["", "../x", "a/b", ".hidden", "x" * 129, "a b", "a\n"])
def test_the_name_of_a_run_stays_in_its_folder(store: Store, tmp_path: Path, run_id: str) -> None:
    with pytest.raises(BadInputError, match="can't be the name of a run"):
        store.register(run_id, tmp_path, [])


def test_what_damaged_objects_left_is_removed_too(store: Store, tmp_path: Path) -> None:
    kept, damaged = put(store, edits=1), put(store, edits=2)
    store.register("run", run_folder(tmp_path), [kept])
    rewrite(tmp_path / "store" / "objects" / str(damaged) / "object.json", b"{}")
    assert [one.aside is not None for one in store.verify(set_aside=True)].count(True) == 1
    assert removed(store, unused=True)
    left = [name for name in content_of(tmp_path) if damaged.key in name]
    assert left == []
    assert content_of(store.fetch(kept)) == CONTENT


def test_a_prune_that_is_stopped_keeps_the_rest(store: Store) -> None:
    addresses = [put(store, edits=number) for number in range(4)]
    steps = iter(store.prune(unused=True))
    next(steps)
    next(steps)
    steps.close()  # type: ignore[attr-defined]
    assert sum(map(store.has, addresses)) == 2
    assert all(not one.damages for one in store.verify())


def test_an_upload_that_goes_on_is_left_alone(store: Store) -> None:
    address = Address.of(Kind.CHECKPOINT, {"edits": 1})
    with store.writing(address, {"edits": 1}) as folder:
        (folder / "x").write_bytes(b"x")
        assert removed(store, unused=True) == set()
    assert content_of(store.fetch(address)) == {"x": b"x"}
