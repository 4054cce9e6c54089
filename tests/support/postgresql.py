"""A PostgreSQL server for tests: on loopback, in a temporary folder, without waiting for the disk."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

PASSWORD = "correct horse"
NEW_FILES = ["fsync=off", "synchronous_commit=off", "full_page_writes=off"]


class NoServerError(Exception):
    """There is no PostgreSQL to start; the message is the reason."""


@dataclass(frozen=True)
class Server:
    """A running server.

    Args:
        port: Its port on 127.0.0.1.
        folder: The folder of its socket.
    """

    port: int
    folder: Path

    def address(self, database: str, password: str | None = PASSWORD, host: str = "127.0.0.1") -> str:
        """Returns the address of a database, as in SEQUELA_DATABASE."""
        secret = "" if password is None else f":{password.replace(' ', '%20')}"
        return f"postgresql+psycopg://sequela{secret}@{host}:{self.port}/{database}"

    def new_database(self) -> str:
        """Creates an empty database and returns its name."""
        import psycopg

        name = f"sequela_{uuid.uuid4().hex[:12]}"
        parameters = {"host": "127.0.0.1", "port": self.port, "user": "sequela", "password": PASSWORD}
        with psycopg.connect(**parameters, dbname="postgres", autocommit=True) as connection:  # type: ignore[arg-type]
            connection.execute(f'CREATE DATABASE "{name}"'.encode())
        return name


@contextmanager
def running_server() -> Iterator[Server]:
    """Starts a server and stops it at the end.

    Raises:
        NoServerError: PostgreSQL or its driver isn't installed, or it can't be started.
    """
    try:
        import psycopg  # noqa: F401
    except ImportError as error:
        raise NoServerError(f"psycopg can't be imported: {error}") from error
    programs = _programs()
    # Not the folder of the test: a socket's path has at most 107 characters, and another user must get there.
    folder = Path(tempfile.mkdtemp(prefix="sequela-pg-", dir="/tmp"))
    try:
        as_user = _user(folder)
        (folder / "password").write_text(PASSWORD)
        (folder / "password").chmod(0o644)
        data = folder / "data"
        _run(
            [
                programs / "initdb", "-D", data, "-U", "sequela", "-A", "scram-sha-256", "--no-sync",
                "-E", "UTF8", "--locale=C", f"--pwfile={folder / 'password'}",
            ],
            as_user,
        )  # fmt: skip
        port = _free_port()
        options = f"-p {port} -k {folder} -c listen_addresses=127.0.0.1 "
        options += " ".join(f"-c {one}" for one in NEW_FILES)
        log = folder / "log"
        _run([programs / "pg_ctl", "-D", data, "-l", log, "-o", options, "-w", "-t", "60", "start"], as_user)
        try:
            yield Server(port, folder)
        finally:
            _run([programs / "pg_ctl", "-D", data, "-m", "immediate", "-w", "stop"], as_user)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _programs() -> Path:
    """Returns the folder with initdb and pg_ctl, which Debian doesn't put into the search path."""
    found = shutil.which("initdb")
    folders = [Path(found).parent] if found else sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    if not folders or not (folders[-1] / "pg_ctl").is_file():
        raise NoServerError("PostgreSQL's server is not installed (Debian: apt-get install postgresql)")
    return folders[-1]


def _user(folder: Path) -> dict[str, int]:
    """Returns the user who runs the server, as arguments of `subprocess.run`; it refuses to run as root."""
    if os.geteuid() != 0:
        return {}
    try:
        user = pwd.getpwnam("postgres")
    except KeyError as error:
        raise NoServerError("PostgreSQL doesn't run as root, and there is no user postgres") from error
    os.chown(folder, user.pw_uid, user.pw_gid)
    return {"user": user.pw_uid, "group": user.pw_gid}


def _run(command: list[object], as_user: dict[str, int]) -> None:
    try:
        done = subprocess.run(
            [str(part) for part in command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            cwd="/",
            timeout=120,
            **as_user,  # type: ignore[call-overload]
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise NoServerError(f"PostgreSQL can't be started: {error}") from error
    if done.returncode:
        raise NoServerError(f"PostgreSQL can't be started: {done.stderr.decode(errors='replace')[-500:]}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
