"""A small server on loopback that speaks the file API of the Hugging Face hub, and can fail in chosen ways.

It serves folders as repositories: `HEAD` and `GET` of `/<repository>/resolve/<revision>/<file>` with `ETag`,
`X-Repo-Commit` and ranges, and `/api/models/<repository>[/revision/<revision>]` with sizes and hashes.
As on the hub, weights are LFS files, whose hash is SHA-256; the hash of others is git's.
"""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

LARGE = (".safetensors", ".bin")
"""The endings of files that are stored with LFS."""


@dataclass(frozen=True)
class Request:
    """A request that the server received.

    Args:
        method: `HEAD` or `GET`.
        path: The path, without the query.
        range: The `Range` header; empty if there is none.
        authorization: The `Authorization` header; empty if there is none.
    """

    method: str
    path: str
    range: str = ""
    authorization: str = ""


@dataclass
class Hub:
    """The repositories that the server has, and the ways in which it fails.

    Args:
        repositories: The revisions of each repository by name, each with its folder.
        gated: The repositories that need the token `allowed`.
        cut: The number of bytes of a file's content after which the connection is closed, by file, once.
        wrong: The files of which every byte is changed on the way.
        busy: The status of the next answers, first to last.
        retry_after: The seconds that busy answers ask to wait.
        hangs: The beginnings of paths that are never answered.
        without_hashes: True if listings have only the names of files.
        requests: All requests, in order.
    """

    repositories: dict[str, dict[str, Path]]
    gated: set[str] = field(default_factory=set)
    cut: dict[str, int] = field(default_factory=dict)
    wrong: set[str] = field(default_factory=set)
    busy: list[int] = field(default_factory=list)
    retry_after: int | None = None
    hangs: tuple[str, ...] = ()
    without_hashes: bool = False
    requests: list[Request] = field(default_factory=list)
    url: str = ""
    closing: threading.Event = field(default_factory=threading.Event)

    def commit(self, repository: str, revision: str) -> str | None:
        """Returns the commit of a revision, which may be one itself; None if there is no such revision."""
        revisions = self.repositories[repository]
        commits = {
            name: hashlib.sha1(f"{repository}{folder}".encode()).hexdigest()
            for name, folder in revisions.items()
        }
        return revision if revision in commits.values() else commits.get(revision)

    def folder(self, repository: str, commit: str) -> Path:
        """Returns the files of a commit."""
        return next(
            folder
            for name, folder in self.repositories[repository].items()
            if self.commit(repository, name) == commit
        )

    def asked(self, method: str, file: str) -> list[Request]:
        """Returns the requests of a kind for a file."""
        return [one for one in self.requests if one.method == method and one.path.endswith(f"/{file}")]


def published(path: Path) -> str:
    """Returns the hash by which the hub stores a file."""
    content = path.read_bytes()
    if path.suffix in LARGE:
        return hashlib.sha256(content).hexdigest()
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


class _Handler(BaseHTTPRequestHandler):
    hub: Hub
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: Any) -> None:
        """Writes nothing."""

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def _answer(self) -> None:
        path = unquote(urlsplit(self.path).path)
        token = self.headers.get("Authorization", "")
        self.hub.requests.append(Request(self.command, path, self.headers.get("Range", ""), token))
        if any(path.startswith(start) for start in self.hub.hangs):
            self.hub.closing.wait(60)
            self.close_connection = True
            return
        if path == "/":
            return self._send(200, b"a hub")
        if self.hub.busy:
            after = {} if self.hub.retry_after is None else {"Retry-After": str(self.hub.retry_after)}
            return self._send(self.hub.busy.pop(0), b"busy", after)
        if path.startswith("/api/models/"):
            repository, _, revision = path.removeprefix("/api/models/").partition("/revision/")
            return self._list(repository, revision or "main")
        repository, _, rest = path[1:].partition("/resolve/")
        return self._file(repository, *self._split(repository, rest), token)

    def _split(self, repository: str, rest: str) -> tuple[str, str]:
        """Returns revision and file; a revision may have slashes."""
        for revision in self.hub.repositories.get(repository, ()):
            if rest.startswith(f"{revision}/"):
                return revision, rest.removeprefix(f"{revision}/")
        revision, _, file = rest.partition("/")
        return revision, file

    def _list(self, repository: str, revision: str) -> None:
        commit = self._commit(repository, revision)
        if commit is None:
            return
        folder = self.hub.folder(repository, commit)
        siblings: list[dict[str, Any]] = []
        for path in sorted(one for one in folder.rglob("*") if one.is_file()):
            entry: dict[str, Any] = {"rfilename": path.relative_to(folder).as_posix()}
            if not self.hub.without_hashes:
                size = path.stat().st_size
                entry |= {"size": size, "blobId": published(path)[:40]}
                if path.suffix in LARGE:
                    entry["lfs"] = {"sha256": published(path), "size": size, "pointerSize": 134}
            siblings.append(entry)
        found = {"id": repository, "modelId": repository, "sha": commit, "siblings": siblings}
        self._send(200, json.dumps(found).encode(), {"Content-Type": "application/json"})

    def _commit(self, repository: str, revision: str) -> str | None:
        if repository not in self.hub.repositories:
            self._send(401, b"", {"X-Error-Code": "RepoNotFound", "X-Error-Message": "Repository not found"})
            return None
        commit = self.hub.commit(repository, revision)
        if commit is None:
            self._send(404, b"", {"X-Error-Code": "RevisionNotFound"})
        return commit

    def _file(self, repository: str, revision: str, file: str, token: str) -> None:
        commit = self._commit(repository, revision)
        if commit is None:
            return
        if repository in self.hub.gated and token != "Bearer allowed":
            return self._send(403 if token else 401, b"", {"X-Error-Code": "GatedRepo"})
        path = self.hub.folder(repository, commit) / file
        if not path.is_file():
            return self._send(404, b"", {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": commit})
        content, etag = path.read_bytes(), f'"{published(path)}"'
        if file in self.hub.wrong:
            content = bytes(byte ^ 1 for byte in content)
        headers = {"ETag": etag, "X-Repo-Commit": commit, "Accept-Ranges": "bytes"}
        status = 200
        if asked := self.headers.get("Range"):
            start = int(asked.removeprefix("bytes=").rstrip("-"))
            headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
            status, content = 206, content[start:]
        self._send(status, content, headers, self.hub.cut.pop(file, None) if self.command == "GET" else None)

    def _send(
        self, status: int, content: bytes, headers: dict[str, str] | None = None, cut: int | None = None
    ) -> None:
        self.send_response(status)
        for name, value in {**(headers or {}), "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content[:cut])
        if cut is not None:
            self.wfile.flush()
            time.sleep(0.01)
            self.close_connection = True


@contextmanager
def serving(hub: Hub) -> Iterator[Hub]:
    """Serves a hub on a free port of 127.0.0.1 within the `with` block; its `url` is the endpoint."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"hub": hub}))
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    hub.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield hub
    finally:
        hub.closing.set()
        server.shutdown()
        server.server_close()
        thread.join()
