"""A study's database: opening it, and its errors as messages with a remedy."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gantune.errors import RunError
from gantune.tuner.storage.retry import Retrier, RetryingStorage, TransientError
from gantune.tuner.storage.url import DatabaseURL

if TYPE_CHECKING:
    from optuna.storages import RDBStorage
    from sqlalchemy.engine import ExceptionContext

_OPENING = partial(
    Retrier,
    seconds=30.0,
    remedy="check host and port, that the server runs, and that it lets this machine in (firewall, "
    "pg_hba.conf)",
)
_RUNNING = partial(
    Retrier,
    seconds=300.0,
    remedy="once it is back, run the same command again: finished trials are kept, the others "
    "resume from their last checkpoint",
)
_LIBPQ = {
    "application_name": "gantune",
    "connect_timeout": 10,  # seconds; the default is minutes
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,  # milliseconds until a cut connection is noticed
}
_PACKAGES = {"psycopg": "'gantune[postgres]'", "MySQLdb": "mysqlclient"}
"""What to install for a module, where their names differ."""
_REMEDIES = (
    (
        "no password supplied",
        "no password was given, and a run stores none: write one into ~/.pgpass "
        "(HOST:PORT:DATABASE:USER:PASSWORD, chmod 600), or set PGPASSWORD",
    ),
    (
        "password authentication failed|SQLSTATE 28P01|Access denied",
        "check user and password; special characters are percent-encoded in the URL (@ is %40), "
        "and ~/.pgpass or PGPASSWORD are read where the URL has no password",
    ),
    (
        'database ".*" does not exist|SQLSTATE 3D000|Unknown database',
        "create it first, on the server that the URL names: CREATE DATABASE {database}",
    ),
    (
        r'role ".*" does not exist|pg_hba\.conf|SQLSTATE 28000|permission denied for database',
        "its administrator has to let this user in from this machine",
    ),
    (
        "permission denied|SQLSTATE 42501",
        "its owner has to allow it: GRANT CREATE ON SCHEMA public TO {user}, and the rights to "
        "read and write Optuna's tables",
    ),
    ("read-only transaction|SQLSTATE 25006", "name the server that takes writes, not its standby"),
    (
        "disk is full|SQLSTATE 53100|No space left",
        "free some room there and run the same command again, finished trials are kept",
    ),
    (
        "invalid connection option|invalid .* value",
        "check the options behind the question mark of the URL",
    ),
    (
        "no such table|SQLSTATE 42P01",
        "it holds no studies yet; run the search first, or check the name",
    ),
    (
        "unable to open database|readonly database|not a database",
        "check the path, and who may read and write there",
    ),
)
"""Patterns in the message or SQLSTATE of an error, each with its remedy."""


class DatabaseStorage(RetryingStorage):
    """Optuna's storage in a database."""

    def __init__(self, rdb: RDBStorage, url: DatabaseURL, retrier: Retrier) -> None:
        from optuna.storages import get_storage

        super().__init__(get_storage(rdb), retrier)
        self.engine, self.name = rdb.engine, url.without_password

    def close(self) -> None:
        """Closes its connections; it cannot be used after that."""
        self.engine.dispose()


def open_database(
    url: DatabaseURL, notify: Callable[[str], None], *, writes: bool = True
) -> DatabaseStorage:
    """Optuna's storage in the database at ``url``; missing tables are created.

    Without ``writes`` nothing is created, and the database itself refuses to write. A server that
    does not answer is retried for half a minute here, and for five minutes once the
    storage is open; ``notify`` gets a message. Raises ``RunError`` where the server refuses.
    """
    from sqlalchemy import event

    def handle(context: ExceptionContext) -> None:
        """Runs before Optuna wraps the error and repeats what may have been done already."""
        error = classify(context.original_exception, url, context.is_disconnect)
        if error is not None and not context.is_pre_ping:
            raise error

    name = url.without_password
    rdb = _OPENING(name, notify).call(lambda _: _connect(url, writes))
    event.listen(rdb.engine, "handle_error", handle)
    return DatabaseStorage(rdb, url, _RUNNING(name, notify))


def _connect(url: DatabaseURL, writes: bool) -> RDBStorage:
    """Optuna's storage; where it cannot be opened, its connections are closed."""
    from optuna.storages import RDBStorage
    from sqlalchemy.pool import Pool, QueuePool

    pools: list[Pool] = []

    class RecordedPool(QueuePool):
        def __init__(self, *arguments: Any, **options: Any) -> None:
            super().__init__(*arguments, **options)
            pools.append(self)

    options: dict[str, Any] = {}
    if not url.is_file:
        options = {"pool_pre_ping": True, "hide_parameters": True, "poolclass": RecordedPool}
    if url.url.drivername in ("postgresql+psycopg", "postgresql+psycopg2"):
        given = url.url.query
        options["connect_args"] = {k: value for k, value in _LIBPQ.items() if k not in given}
        if not writes:
            options["execution_options"] = {"postgresql_readonly": True}
    if not writes and url.is_file:
        options["creator"] = partial(_open_file, url)
    text = url.with_password.replace("{", "{{").replace("}", "}}")  # Optuna fills in templates
    try:
        return RDBStorage(text, engine_kwargs=options, skip_table_creation=not writes)
    except Exception as error:  # alembic, drivers and Optuna each raise their own
        for pool in pools:
            pool.dispose()
        if isinstance(error, RunError):
            raise
        raise _opening_error(error, url) from None


def _open_file(url: DatabaseURL) -> sqlite3.Connection:
    """A connection to an SQLite file that exists, which can only be read from.

    The file itself is opened for writing where that is allowed: what a killed search has left of a
    transaction has to be rolled back before anything is read.
    """
    path = Path(url.url.database or "")
    if not path.is_file():
        raise _refuse(url, "there is no such file; bring it back, or its search creates a new one")
    place = f"{path.absolute().as_uri()}?mode=rw"
    connection = sqlite3.connect(place, uri=True, check_same_thread=False)
    connection.execute("PRAGMA query_only = ON")
    return connection


def _opening_error(error: Exception, url: DatabaseURL) -> Exception:
    """``TransientError`` or ``RunError`` for a storage that could not be opened."""
    from optuna.exceptions import StorageInternalError
    from sqlalchemy.exc import DBAPIError, IntegrityError, NoSuchModuleError

    if isinstance(error, ImportError):
        module = getattr(error.__cause__ or error, "name", None) or url.url.get_driver_name()
        package = _PACKAGES.get(module, module)
        return _refuse(url, f"its driver {module} is not installed; pip install {package}")
    if isinstance(error, NoSuchModuleError):
        return _refuse(
            url,
            "no such kind of database is known; give a URL such as "
            "postgresql://USER@HOST/DATABASE or sqlite:///studies.db",
        )
    cause = error.__cause__ if isinstance(error, StorageInternalError) else error
    if isinstance(cause, IntegrityError) or "already exists" in str(cause):
        return TransientError("another process is creating its tables")
    if isinstance(cause, DBAPIError) and cause.orig is not None:
        found = classify(cause.orig, url, cause.connection_invalidated)
        return found or _refuse(url, _first_line(cause, url))
    line = _first_line(error, url)
    if "optuna storage upgrade" in line:
        return _refuse(
            url,
            "it holds the tables of an older Optuna; back it up, then run once: optuna storage "
            f"upgrade --storage {url.without_password}",
        )
    if "pip install -U optuna" in line:
        return _refuse(url, "it holds the tables of a newer Optuna; pip install -U optuna")
    return _refuse(url, f"{type(error).__name__}: {line}")


def classify(error: BaseException, url: DatabaseURL, is_disconnect: bool) -> Exception | None:
    """``TransientError`` or ``RunError`` for a driver's error; ``None`` for one of the statement's.

    ``is_disconnect``: whether the error ended the connection.
    """
    kinds = {kind.__name__ for kind in type(error).__mro__}
    if kinds & {"IntegrityError", "DataError"}:
        return None
    line = _first_line(error, url)
    text = f"{line} SQLSTATE {getattr(error, 'sqlstate', None)}"
    for pattern, remedy in _REMEDIES:
        if re.search(pattern, text):
            names = {"user": url.url.username or "the user", "database": url.url.database}
            return _refuse(url, f"{line}; {remedy.format(**names)}")
    if url.is_file:
        return TransientError(line) if re.search("locked|busy", line) else None
    is_transient = is_disconnect or kinds & {"OperationalError", "InterfaceError"}
    return TransientError(line) if is_transient else None


def _refuse(url: DatabaseURL, reason: str) -> RunError:
    """An error that a retry does not help against."""
    return RunError(f"storage: {url.without_password} cannot be used: {reason}")


def _first_line(error: BaseException, url: DatabaseURL) -> str:
    """The line of an error's message that says what happened, without passwords."""
    lines = [line.strip(" \t-") for line in str(error).splitlines() if line.strip()]
    if not lines:
        return type(error).__name__
    is_many = lines[0].startswith("Multiple connection attempts failed")
    line = re.sub("^connection (failed|is bad): ", "", lines[-1] if is_many else lines[0])
    return url.redact(line)
