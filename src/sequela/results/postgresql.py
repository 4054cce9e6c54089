"""The results database of many runs, on a server: PostgreSQL."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

from sqlalchemy import URL, Connection, Engine, create_engine, inspect, make_url, select, text
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError

from sequela.core.damaged_files import first_line
from sequela.core.errors import BadInputError, SequelaError
from sequela.results.database import version_error
from sequela.results.schema import METADATA, SCHEMA_VERSION, STORE

DRIVER = "postgresql+psycopg"
EXAMPLE = f"{DRIVER}://user@host/database"

CONNECT_TIMEOUT = 5
"""The time for one address of a server, in seconds; a name may have several."""

DEADLINE = 12
"""The time after which a server counts as unreachable, in seconds, whatever holds up the connection."""

OLDEST = 7
"""The first schema version that was kept on a server."""

SECRETS = frozenset({"password", "sslpassword"})
"""The parameters of an address that are not stored or shown."""

_UPGRADING = 7_367_175_829
"""The number of the lock that a process holds while it creates or upgrades the tables."""

T = TypeVar("T")


def read_address(address: str, source: str) -> URL:
    """Returns the parsed address of a database.

    Args:
        address: The address, as users write it.
        source: Where it stands, for messages.

    Raises:
        BadInputError: It is not an address of a PostgreSQL database. The message doesn't repeat it, since it
            may have a password in it.
    """
    try:
        url = make_url(address)
    except (ArgumentError, ValueError) as error:
        raise BadInputError(
            f"{source} is not the address of a database.", hint=f"Write {EXAMPLE}."
        ) from error
    if url.drivername in ("postgresql", "postgres"):
        url = url.set(drivername=DRIVER)
    if url.drivername != DRIVER:
        raise BadInputError(
            f"{source} names a database of the kind {url.drivername!r}; results are kept in PostgreSQL, or, "
            "without an address, in the folder of the run.",
            hint=f"Write {EXAMPLE}.",
        )
    if not url.database:
        raise BadInputError(f"{source} names no database.", hint=f"Write {EXAMPLE}.")
    return url


def without_secrets(url: URL) -> URL:
    """Returns an address without its passwords."""
    public = URL.create(url.drivername, url.username, None, url.host, url.port, url.database)
    return public.set(query={name: value for name, value in url.query.items() if name not in SECRETS})


def with_secrets_of(url: URL, other: URL) -> URL:
    """Returns an address with the passwords of another one, if both name the same database and user."""
    public, same = without_secrets(url), without_secrets(other)
    names = ("username", "host", "port", "database")
    return other if all(getattr(public, name) == getattr(same, name) for name in names) else url


def connect(url: URL) -> Engine:
    """Connects to a server.

    Raises:
        SequelaError: The driver isn't installed, the server can't be reached within `DEADLINE`, or it
            refuses; the message names the address.
    """
    name = str(without_secrets(url))
    given = {"connect_timeout": CONNECT_TIMEOUT, "application_name": "sequela", "tcp_user_timeout": 15_000}
    defaults = {key: value for key, value in given.items() if key not in url.query}
    try:
        engine = create_engine(url, connect_args=defaults, pool_pre_ping=True)
    except ImportError as error:
        raise SequelaError(
            f"The results are in the database {name}, and the package psycopg, which connects to it, is not "
            "installed.",
            hint='Install it: pip install "sequela[postgres]"',
        ) from error

    def check() -> None:
        engine.connect().close()

    try:
        _within(DEADLINE, check)
    except TimeoutError as error:
        raise _unreachable(name, f"no answer within {DEADLINE} seconds") from error
    except (SQLAlchemyError, OSError, ValueError) as error:
        raise _refused(name, url, error) from error
    return engine


def prepare_tables(engine: Engine, name: str, create: bool) -> None:
    """Checks the tables of a database; creates or upgrades them in one transaction if that is allowed.

    Args:
        engine: The connection.
        name: What messages call the database.
        create: Whether tables may be created or upgraded.

    Raises:
        SequelaError: The tables are missing, or those of another version or another program.
    """
    try:
        with engine.begin() as connection:
            version = _version(connection, name)
            if version == SCHEMA_VERSION:
                return
        if create:
            with engine.begin() as connection:
                # Of several processes that begin at once, one creates the tables.
                connection.execute(text(f"SELECT pg_advisory_xact_lock({_UPGRADING})"))
                _prepare(connection, name)
            return
    except SQLAlchemyError as error:
        raise SequelaError(
            f"The tables of the database {name} can't be used: {first_line(getattr(error, 'orig', error))}.",
            hint="Use a database of its own, and a user who may create tables in it.",
        ) from error
    if version is None:
        raise SequelaError(
            f"There are no results in the database {name}: it has no tables of sequela.",
            hint="Check the address of the database.",
        )
    raise SequelaError(
        f"The tables of the database {name} have schema version {version}, an earlier one.",
        hint="They are upgraded when a study is run or resumed with this version of sequela.",
    )


def _version(connection: Connection, name: str) -> int | None:
    """Returns the schema version; None if there are no tables."""
    if not inspect(connection).has_table(STORE.name):
        return None
    version = connection.execute(select(STORE.c.schema_version)).scalar()
    if version is None or not OLDEST <= version <= SCHEMA_VERSION:
        raise version_error(f"The database {name}", version, OLDEST, SCHEMA_VERSION)
    return int(version)


def _prepare(connection: Connection, name: str) -> None:
    version = _version(connection, name)
    if version is None:
        METADATA.create_all(connection, checkfirst=False)  # tables of another program are not used
        connection.execute(STORE.insert(), [{"id": 1, "schema_version": SCHEMA_VERSION}])
    elif version < SCHEMA_VERSION:
        from sequela.results.migrations import migrate  # Alembic is needed for few of all databases

        migrate(connection, version, SCHEMA_VERSION)


def _within(seconds: float, act: Callable[[], T]) -> T:
    """Returns the result of a function that must end within a time.

    The look-up of a name can't be interrupted, so it goes on in a thread that ends with the program.

    Raises:
        TimeoutError: The function didn't end.
    """
    results: list[T] = []
    errors: list[BaseException] = []

    def work() -> None:
        try:
            results.append(act())
        except BaseException as error:  # noqa: BLE001 - it is raised again below
            errors.append(error)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(seconds)
    if errors:
        raise errors[0]
    if not results:
        raise TimeoutError
    return results[0]


def _unreachable(name: str, reason: str) -> SequelaError:
    return SequelaError(
        f"The results database {name} can't be reached: {reason}.",
        hint="Check the address, that the server runs, and that this machine may connect to it.",
    )


def _refused(name: str, url: URL, error: Exception) -> SequelaError:
    """Returns the error of a failed connection, with the advice that its reason calls for."""
    reason = _without_passwords(first_line(error.orig if isinstance(error, DBAPIError) else error), url)
    if f'database "{url.database}" does not exist' in reason:
        return SequelaError(
            f"The server of {name} has no database {url.database!r}.",
            hint=f"Create it (createdb {url.database}), or correct the address.",
        )
    if "password" in reason or "authentication" in reason:
        return SequelaError(
            f"The results database {name} refuses the user: {reason}.",
            hint="Give the password in SEQUELA_DATABASE, in PGPASSWORD or in ~/.pgpass.",
        )
    return _unreachable(name, reason)


def _without_passwords(reason: str, url: URL) -> str:
    secrets = [url.password, *(url.query.get(name) for name in SECRETS)]
    for secret in secrets:
        if isinstance(secret, str) and secret:
            reason = reason.replace(secret, "***")
    return reason
