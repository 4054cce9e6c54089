"""The promises of a store, in a folder and on a remote file system."""

from __future__ import annotations

import errno
import hashlib
import json
import logging
import pickle
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sequela.core.errors import BadInputError, IntegrityError
from sequela.store import (
    Address,
    DamagedObjectError,
    Kind,
    MissingObjectError,
    NewerStoreError,
    Store,
    StoreFullError,
    open_store,
)
from sequela.store.documents import FORMAT, with_digest
from support.stores import CONTENT, content_of, fill, local_store, put, remote_store, rewrite

NAMES = st.from_regex(r"[a-z0-9 ._\-äß'\"&;$]{1,20}", fullmatch=True).filter(
    lambda name: set(name) - set(".")
)


def files_of(store: Store, address: Address, root: Path) -> Path:
    """Returns the folder in the store that has the files of an object."""
    return root / "store" / "objects" / str(address) / store.describe(address).folder


def test_an_object_is_read_back_and_described(store: Store) -> None:
    assert not store.has(Address.of(Kind.CHECKPOINT, {"edits": 3, "method": "rome"}))
    address = put(store, edits=3, method="rome")
    assert store.has(address)
    assert content_of(store.fetch(address)) == CONTENT
    description = store.describe(address)
    assert description.address == address
    assert description.about == {"edits": 3, "method": "rome"}
    assert [file.name for file in description.files] == sorted(CONTENT)
    assert description.size == sum(map(len, CONTENT.values()))


@pytest.mark.parametrize("kind", ["local", "remote"])
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    content=st.dictionaries(st.tuples(NAMES, NAMES).map("/".join) | NAMES, st.binary(max_size=99), max_size=4)
)
def test_files_of_any_name_and_content_are_read_back(
    tmp_path_factory: pytest.TempPathFactory, kind: str, content: dict[str, bytes]
) -> None:
    names = set(content)
    if any(f"{name}/" in f"{other}/" and name != other for name in names for other in names):
        return  # a file can't be a folder too
    folder = tmp_path_factory.mktemp("store")
    store = (
        local_store(folder) if kind == "local" else remote_store(folder, tmp_path_factory.mktemp("copies"))
    )
    address = put(store, content, numbers=sorted(map(len, content)))
    assert content_of(store.fetch(address)) == content
    fresh = (
        remote_store(folder, tmp_path_factory.mktemp("copies")) if kind == "remote" else local_store(folder)
    )
    assert content_of(fresh.fetch(address)) == content


def write_and_fail(store: Store, address: Address, error: BaseException) -> None:
    """Raises an error after the files of an object were written."""
    with store.writing(address, {}) as folder:
        fill(folder, CONTENT)
        raise error


def test_a_missing_object_is_named(store: Store) -> None:
    address = Address(Kind.NETWORK, "0123456789abcdef")
    with pytest.raises(MissingObjectError, match="has no object network/0123456789abcdef"):
        store.fetch(address)
    with pytest.raises(MissingObjectError):
        store.describe(address)
    store.discard(address)


def test_after_an_exception_nothing_is_left(store: Store, tmp_path: Path) -> None:
    address = Address(Kind.NETWORK, "0123456789abcdef")
    for error in (ValueError, KeyboardInterrupt):
        with pytest.raises(error):
            write_and_fail(store, address, error())
    assert not store.has(address)
    assert not list(store.entries())
    assert set(content_of(tmp_path)) <= {"store/store.json", "copies/store.json"}


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "No space left on device"),
        OSError(errno.EDQUOT, "Disk quota exceeded"),
        RuntimeError("Error while serializing: I/O error: No space left on device (os error 28)"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_a_full_disk_undoes_the_object(store: Store, tmp_path: Path, error: Exception) -> None:
    address = Address(Kind.NETWORK, "0123456789abcdef")
    with pytest.raises(StoreFullError, match=r"is full; the object .* is undone"):
        write_and_fail(store, address, error)
    assert not store.has(address)
    assert set(content_of(tmp_path)) <= {"store/store.json", "copies/store.json"}


def test_another_full_disk_is_not_blamed_on_the_store(store: Store) -> None:
    error = OSError(errno.ENOSPC, "No space left on device", "/elsewhere/x")
    with pytest.raises(OSError, match="elsewhere"), store.writing(Address(Kind.NETWORK, "0" * 16), {}):
        raise error


def test_the_first_object_of_an_address_stays(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    address = put(store, edits=1)
    with caplog.at_level(logging.WARNING, "sequela.store"):
        put(store, edits=1)
        assert not caplog.messages  # the same content
        put(store, {"other.bin": b"x"}, edits=1)
    assert "made twice, with different content" in caplog.text
    assert content_of(store.fetch(address)) == CONTENT
    assert len(list(store.entries())) == 1


def test_an_object_that_is_made_while_another_writes_it_stays(store: Store) -> None:
    address = Address.of(Kind.CHECKPOINT, {"edits": 1})
    with store.writing(address, {"edits": 1}) as folder:
        fill(folder, {"late.bin": b"late"})
        put(store, edits=1)
    assert content_of(store.fetch(address)) == CONTENT


def test_a_discarded_object_can_be_made_again(store: Store) -> None:
    address = put(store, edits=1)
    store.discard(address)
    assert not store.has(address)
    with pytest.raises(MissingObjectError):
        store.fetch(address)
    put(store, {"other.bin": b"x"}, edits=1)
    assert content_of(store.fetch(address)) == {"other.bin": b"x"}


@pytest.mark.parametrize("name", sorted(CONTENT))
def test_a_damaged_file_is_named_and_set_aside(store: Store, tmp_path: Path, name: str) -> None:
    address = put(store, edits=1)
    path = files_of(store, address, tmp_path) / name
    rewrite(path, path.read_bytes()[:-1] + b"?")
    store = fresh_copies(store, tmp_path)
    with pytest.raises(DamagedObjectError) as caught:
        store.fetch(address)
    (damage,) = caught.value.damages
    digest = hashlib.sha256(CONTENT[name]).hexdigest()
    assert damage.file == name
    assert damage.expected == f"{len(CONTENT[name]):,} bytes with SHA-256 {digest}"
    assert damage.found != damage.expected
    assert "set aside to" in str(caught.value)
    assert not store.has(address)
    put(store, edits=1)
    assert content_of(store.fetch(address)) == CONTENT


def fresh_copies(store: Store, root: Path) -> Store:
    """Returns the same store; a remote one as a machine sees it that has no local copies yet."""
    return store if store.location == str(root / "store") else remote_store(root / "store", root / "other")


def test_a_missing_file_is_named(store: Store, tmp_path: Path) -> None:
    address = put(store, edits=1)
    (files_of(store, address, tmp_path) / "weights.bin").unlink()
    with pytest.raises(DamagedObjectError, match=r"weights\.bin should be 2,100 bytes .* and is missing"):
        fresh_copies(store, tmp_path).fetch(address)
    assert not store.has(address)


def test_a_damaged_description_is_named_and_set_aside(store: Store, tmp_path: Path) -> None:
    address = put(store, edits=1)
    path = tmp_path / "store" / "objects" / str(address) / "object.json"
    rewrite(path, path.read_bytes().replace(b'"edits": 1', b'"edits": 2'))
    with pytest.raises(IntegrityError, match=r"object\.json is damaged: its digest"):
        store.describe(address)
    with pytest.raises(DamagedObjectError, match=r"object\.json should be an intact description"):
        store.fetch(address)
    assert not store.has(address)


def test_the_description_of_another_object_is_damage(store: Store, tmp_path: Path) -> None:
    address, other = put(store, edits=1), put(store, edits=2)
    objects = tmp_path / "store" / "objects"
    rewrite(objects / str(address) / "object.json", (objects / str(other) / "object.json").read_bytes())
    with pytest.raises(DamagedObjectError, match="describes another object"):
        store.fetch(address)


def test_names_that_lead_out_of_the_object_are_refused(store: Store, tmp_path: Path) -> None:
    """A description with a right digest may still come from elsewhere."""
    address = put(store, edits=1)
    path = tmp_path / "store" / "objects" / str(address) / "object.json"
    (tmp_path / "outside").write_bytes(b"secret")
    for name in ("../../../../outside", "/etc/passwd", "a/../../x", "a\\b", ""):
        content = json.loads(path.read_bytes())
        del content["digest"]
        content["files"][0]["name"] = name
        rewrite(path, with_digest(content))
        with pytest.raises(IntegrityError, match="is not the name of a file within a folder"):
            store.describe(address)
    content["files"][0]["name"], content["folder"] = "empty", "../../.."
    rewrite(path, with_digest(content))
    with pytest.raises(IntegrityError, match="folder"):
        store.describe(address)


def test_an_object_of_a_newer_version_is_left_alone(store: Store, tmp_path: Path) -> None:
    address = put(store, edits=1)
    path = tmp_path / "store" / "objects" / str(address) / "object.json"
    content = json.loads(path.read_bytes())
    del content["digest"]
    rewrite(path, with_digest({**content, "version": FORMAT + 1, "more": 1}))
    with pytest.raises(NewerStoreError, match=r"format version 2; this version of Sequela reads up to 1"):
        store.fetch(address)
    assert store.has(address)
    (entry,) = store.entries()
    assert entry.is_newer
    (result,) = store.verify(set_aside=True)
    assert not result.damages
    assert "format version 2" in result.newer
    assert store.has(address)
    assert not list(store.prune(unused=True))


def test_an_object_is_only_of_plain_files(store: Store, tmp_path: Path) -> None:
    with (
        pytest.raises(BadInputError, match="'link' can't be part of an object"),
        store.writing(Address(Kind.NETWORK, "0" * 16), {}) as folder,
    ):
        (folder / "link").symlink_to(tmp_path)


def test_what_is_not_json_can_not_describe_an_object(store: Store) -> None:
    with (
        pytest.raises(BadInputError, match="is not JSON"),
        store.writing(Address(Kind.NETWORK, "0" * 16), {"x": {1}}),
    ):
        pass


def test_objects_are_listed_by_kind_and_key(store: Store) -> None:
    made = [
        put(store, kind=kind, number=number) for number in (1, 2) for kind in (Kind.NETWORK, Kind.EVALUATION)
    ]
    assert [entry.address for entry in store.entries()] == sorted(
        made, key=lambda one: (list(Kind).index(one.kind), one)
    )
    assert {entry.address.kind for entry in store.entries([Kind.NETWORK])} == {Kind.NETWORK}
    assert all(entry.size == sum(map(len, CONTENT.values())) for entry in store.entries())


def test_verification_names_what_is_damaged_and_sets_it_aside_if_asked(store: Store, tmp_path: Path) -> None:
    intact, damaged = put(store, edits=1), put(store, edits=2)
    rewrite(files_of(store, damaged, tmp_path) / "weights.bin", b"")
    results = {one.address: one for one in store.verify()}
    assert not results[intact].damages
    assert [damage.file for damage in results[damaged].damages] == ["weights.bin"]
    assert store.has(damaged)
    assert [one.aside is not None for one in store.verify(set_aside=True)].count(True) == 1
    assert not store.has(damaged)
    assert all(not one.damages for one in store.verify())


def test_a_store_can_be_sent_to_another_process(tmp_path: Path) -> None:
    store = open_store(tmp_path / "store")
    address = put(store, edits=1)
    again: Store = pickle.loads(pickle.dumps(store))  # noqa: S301 - our own
    assert content_of(again.fetch(address)) == CONTENT
