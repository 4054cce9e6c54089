from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from sequela.core.errors import BadInputError, IntegrityError
from sequela.store import (
    Address,
    Kind,
    NewerStoreError,
    StoreError,
    UnreachableStoreError,
    default_location,
    open_store,
)
from sequela.store.documents import FORMAT, with_digest
from support.stores import CONTENT, content_of, put


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEQUELA_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("SEQUELA_STORE", raising=False)


@pytest.fixture
def memory() -> Iterator[str]:
    """The URL of an empty store in fsspec's memory."""
    yield "memory://shared/store"
    MemoryFileSystem.store.clear()
    MemoryFileSystem.pseudo_dirs[:] = [""]


def test_the_store_is_in_the_cache_unless_a_variable_names_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert open_store().location == str(tmp_path / "cache" / "store") == default_location()
    monkeypatch.setenv("SEQUELA_STORE", str(tmp_path / "elsewhere"))
    assert open_store().location == str(tmp_path / "elsewhere")


def test_opening_creates_nothing(tmp_path: Path) -> None:
    store = open_store(tmp_path / "store")
    assert not store.has(Address(Kind.NETWORK, "0" * 16))
    assert not list(store.entries())
    assert not list(store.prune(unused=True))
    assert not (tmp_path / "store").exists()


@pytest.mark.parametrize("form", ["{}", "file://{}", "FILE://{}", "local://{}"])
def test_a_folder_has_several_forms(tmp_path: Path, form: str) -> None:
    address = put(open_store(tmp_path / "store"), edits=1)
    assert content_of(open_store(form.format(tmp_path / "store")).fetch(address)) == CONTENT


def test_a_relative_folder_stays_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    store = open_store("store")
    (tmp_path / "below").mkdir()
    monkeypatch.chdir(tmp_path / "below")
    assert store.location == str(tmp_path / "store")


def test_a_store_at_a_url_is_shared(memory: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    address = put(open_store(memory), edits=1)
    monkeypatch.setenv("SEQUELA_CACHE", str(tmp_path / "another machine"))
    store = open_store(f"{memory}/")
    assert content_of(store.fetch(address)) == CONTENT
    store.discard(address)
    assert [name for name in MemoryFileSystem().find("/shared") if "objects" in name] == []
    assert [name for name in content_of(tmp_path / "another machine") if "objects" in name] == []


@pytest.mark.parametrize(
    ("location", "said"),
    [
        ("sp3://bucket/x", r"unknown protocol 'sp3'[\s\S]*Did you mean s3://\?"),
        ("qqqq://x", "unknown protocol 'qqqq'"),
        ("s3:/bucket/x", r"neither a folder nor a URL[\s\S]*Write s3://bucket/x"),
        ("memory:x", r"Write memory://x for the URL, or \./memory:x"),
        ("simplecache::s3://bucket", "unknown protocol|neither a folder|characters"),
        ("memory://a*b", "takes for a pattern"),
        ("memory://a[0]", "takes for a pattern"),
        ("a\0b", "NUL character"),
        ("~nobody-of-this-name/x", "no home folder"),
        ("x" * 5000, "can't be used"),
    ],
)
def test_a_wrong_location_is_an_error_in_words(location: str, said: str) -> None:
    with pytest.raises(BadInputError, match=said):
        open_store(location)


@pytest.mark.parametrize("below", ["", "/store", "/a/b/store"])
def test_a_file_is_no_store(tmp_path: Path, below: str) -> None:
    (tmp_path / "file").write_text("x", encoding="utf-8")
    with pytest.raises(BadInputError, match="a file, not a folder"):
        open_store(f"{tmp_path}/file{below}")


@pytest.mark.parametrize(
    ("url", "package"),
    [
        ("s3://b/x", "s3fs"),
        ("gs://b/x", "gcsfs"),
        ("abfs://a/b", "adlfs"),
        ("sftp://u:secret@h/x", "paramiko"),
    ],
)
def test_a_missing_package_is_named_as_pip_knows_it(
    url: str, package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, package, None)
    with pytest.raises(StoreError, match=f"pip install {package}") as caught:
        open_store(url)
    assert "secret" not in str(caught.value)


def test_a_port_at_which_nobody_answers_is_named() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    with pytest.raises(UnreachableStoreError, match=rf"ftp://127.0.0.1:{port}/x .*tried to connect.*refused"):
        open_store(f"ftp://127.0.0.1:{port}/x")


def test_a_server_that_never_answers_is_named() -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        url = f"ftp://127.0.0.1:{silent.getsockname()[1]}/x"
        with pytest.raises(
            UnreachableStoreError, match=r"did not answer within 0\.2 seconds .tried to connect"
        ):
            open_store(url, limit=0.2)


class Broken(MemoryFileSystem):  # type: ignore[misc]
    """A file system whose connection breaks, or hangs, once the class attribute says so."""

    protocol = "broken"
    failing: Exception | threading.Event | None = None

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        return str(super()._strip_protocol(path.removeprefix("broken://")))

    def _check(self) -> None:
        if isinstance(self.failing, threading.Event):
            self.failing.wait()
        elif self.failing is not None:
            raise self.failing

    def info(self, path: str, **options: object) -> object:
        self._check()
        return super().info(path, **options)

    def cat_file(self, path: str, *arguments: object, **options: object) -> object:
        self._check()
        return super().cat_file(path, *arguments, **options)

    def ls(self, path: str, detail: bool = True, **options: object) -> object:
        self._check()
        return super().ls(path, detail=detail, **options)

    def pipe_file(self, path: str, value: bytes, mode: str = "overwrite", **options: object) -> object:
        self._check()
        return super().pipe_file(path, value, mode, **options)

    def put_file(self, *arguments: object, **options: object) -> object:
        self._check()
        return super().put_file(*arguments, **options)


@pytest.fixture
def broken(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Broken]]:
    fsspec.register_implementation("broken", Broken, clobber=True)
    yield Broken
    Broken.failing = None
    MemoryFileSystem.store.clear()
    MemoryFileSystem.pseudo_dirs[:] = [""]


@pytest.mark.parametrize(
    ("failing", "said"),
    [
        (
            ConnectionResetError("Connection reset by peer"),
            "can't be used .tried to .*Connection reset by peer",
        ),
        (RuntimeError("EndpointConnectionError: could not connect"), "could not connect"),
        (PermissionError("Access Denied"), "refuses this user .tried to .*Access Denied"),
    ],
    ids=["reset", "library", "denied"],
)
def test_a_connection_that_breaks_is_never_an_empty_store(
    broken: type[Broken], failing: Exception, said: str
) -> None:
    store = open_store("broken://x", limit=5)
    address = put(store, edits=1)
    broken.failing = failing
    for use in (
        lambda: store.has(address),
        lambda: store.fetch(address),
        lambda: list(store.entries()),
        lambda: put(store, edits=2),
        lambda: list(store.prune(unused=True)),
        lambda: open_store("broken://x", limit=5),
    ):
        with pytest.raises(StoreError, match=said):
            use()
    broken.failing = None
    assert content_of(store.fetch(address)) == CONTENT
    assert len(list(store.entries())) == 1


def test_a_connection_that_hangs_is_named(broken: type[Broken]) -> None:
    store = open_store("broken://x", limit=0.2)
    broken.failing = threading.Event()
    with pytest.raises(UnreachableStoreError, match=r"did not answer within 0\.2 seconds .tried to look for"):
        store.has(Address(Kind.NETWORK, "0" * 16))
    broken.failing.set()


def test_a_full_remote_disk_is_named(broken: type[Broken], tmp_path: Path) -> None:
    store = open_store("broken://x", limit=5)
    put(store, edits=1)
    broken.failing = OSError(28, "No space left on device")
    with pytest.raises(StoreError, match="is full"):
        put(store, edits=2)
    broken.failing = None
    assert len(list(store.entries())) == 1


@pytest.mark.parametrize("where", ["folder", "url"])
def test_a_store_of_a_newer_version_is_refused(tmp_path: Path, memory: str, where: str) -> None:
    location = str(tmp_path / "store") if where == "folder" else memory
    put(open_store(location), edits=1)
    document = with_digest({"content": "objects of Sequela", "version": FORMAT + 1})
    if where == "folder":
        (tmp_path / "store" / "store.json").write_bytes(document)
    else:
        MemoryFileSystem().pipe_file("/shared/store/store.json", document)
    with pytest.raises(NewerStoreError, match=r"store\.json has the format version 2"):
        open_store(location)


def test_a_damaged_store_document_is_named(tmp_path: Path) -> None:
    put(open_store(tmp_path / "store"), edits=1)
    (tmp_path / "store" / "store.json").write_bytes(b"{}")
    with pytest.raises(IntegrityError, match=r"store\.json is damaged"):
        open_store(tmp_path / "store")


@pytest.fixture
def published(tmp_path: Path) -> Iterator[str]:
    """The URL of a web server on this machine that publishes a folder."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(tmp_path / "public")))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_a_store_that_is_published_on_the_web_can_be_read(tmp_path: Path, published: str) -> None:
    address = put(open_store(tmp_path / "public" / "store"), edits=1)
    store = open_store(f"{published}/store")
    assert store.has(address)
    assert content_of(store.fetch(address)) == CONTENT
    assert not store.has(Address(Kind.NETWORK, "0" * 16))
    assert [entry.address for entry in store.entries()] == [address]
    with pytest.raises(StoreError, match=f"{published}/store"):
        put(store, edits=2)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_permission_is_named(tmp_path: Path) -> None:
    address = put(open_store(tmp_path / "store"), edits=1)
    for folder in sorted((tmp_path / "store").rglob("*"), reverse=True):
        if folder.is_dir():
            folder.chmod(0o555)
    (tmp_path / "store").chmod(0o555)
    store = open_store(tmp_path / "store")
    assert content_of(store.fetch(address)) == CONTENT
    with pytest.raises(StoreError, match=r"Can't write to the store .*Permission denied"):
        put(store, edits=2)
    for folder in sorted((tmp_path / "store").rglob("*")):
        if folder.is_dir():
            folder.chmod(0o755)
    (tmp_path / "store").chmod(0o755)
