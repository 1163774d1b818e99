"""A study's database: opening it, and holding a study in it for one driver."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from optuna.storages import BaseStorage

from gantune.errors import RunError
from gantune.tuner.storage.lease import PACE, Lease, LeaseTiming, beating, this_process
from gantune.tuner.storage.retry import PatientStorage, Retrier, Terms, TransientError
from gantune.tuner.storage.url import Address

if TYPE_CHECKING:
    from optuna.storages import RDBStorage
    from sqlalchemy import Engine, Executable
    from sqlalchemy.engine import ExceptionContext
    from sqlalchemy.pool import Pool


_OPENING = Terms(
    30.0,
    "check host and port, that the server runs, and that it lets this machine in (firewall, "
    "pg_hba.conf)",
)


_RUNNING = Terms(
    300.0,
    "once it is back, run the same command again: finished trials are kept, the others go on from "
    "their last checkpoint",
)


_LIBPQ = {
    "application_name": "gantune",
    "connect_timeout": 10,  # seconds; it would be minutes
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,  # milliseconds until a cut cable is noticed
}


_PACKAGES = {"psycopg": "'gantune[postgres]'", "MySQLdb": "mysqlclient"}
"""What to install for a module, where their names differ."""


class DatabaseStorage(PatientStorage):
    """Optuna's storage in a database."""

    def __init__(self, rdb: RDBStorage, address: Address, patience: Retrier) -> None:
        from optuna.storages import get_storage

        super().__init__(get_storage(rdb), patience)
        self.engine, self.shown = rdb.engine, address.shown

    def close(self) -> None:
        """Gives its connections back to the server; it is used no more after that."""
        self.engine.dispose()


def open_database(address: Address, say: Callable[[str], None]) -> DatabaseStorage:
    """Optuna's storage in the database at ``address``, its tables made where they are not.

    A server that does not answer is tried for half a minute here, and for five minutes once it is
    open, while ``say`` is told. Raises ``RunError`` where it refuses.
    """
    from sqlalchemy import event

    def handle(context: ExceptionContext) -> None:
        """Before Optuna makes an error of its own of it, and tries what may have been done."""
        found = meaning(context.original_exception, address, context.is_disconnect)
        if found is not None and not context.is_pre_ping:
            raise found

    opening = Retrier(address.shown, _OPENING, say)
    rdb = opening.call(lambda _: _connect(address))
    event.listen(rdb.engine, "handle_error", handle)
    return DatabaseStorage(rdb, address, Retrier(address.shown, _RUNNING, say))


@contextmanager
def exclusive_driver(
    storage: BaseStorage,
    study: str,
    folder: Path,
    say: Callable[[str], None],
    pace: LeaseTiming = PACE,
) -> Iterator[None]:
    """Holds a study of a database for this process, which alone writes it meanwhile.

    Raises ``RunError`` where a driver that is alive holds it, here and, should another have taken
    it over, at the next use of ``storage``. A journal is its folder's, which is locked already.
    """
    if not isinstance(storage, DatabaseStorage):
        yield
        return
    cell = StudyAttribute(storage.engine, storage.get_study_id_from_name(study), "driver")
    lease = Lease(cell, this_process(folder), f"study {study!r} in {storage.shown}", pace)
    storage.patience.call(lambda _: lease.claim(say))
    with beating(lease, pace.beat), storage.with_guard(lease.check):
        yield


def _connect(address: Address) -> RDBStorage:
    from optuna.storages import RDBStorage

    whole = address.whole.replace("{", "{{").replace("}", "}}")  # Optuna fills in templates
    options, pools = _engine_options(address)
    try:
        return RDBStorage(whole, engine_kwargs=options)
    except Exception as error:  # alembic, drivers and Optuna each raise their own
        for pool in pools:
            pool.dispose()
        raise _why(error, address) from None


def _engine_options(address: Address) -> tuple[dict[str, Any], list[Pool]]:
    """For a server; and where its connections are found, should opening a storage fail."""
    from sqlalchemy.pool import QueuePool

    pools: list[Pool] = []
    if address.is_file:
        return {}, pools

    class Found(QueuePool):
        def __init__(self, *arguments: Any, **options: Any) -> None:
            super().__init__(*arguments, **options)
            pools.append(self)

    options: dict[str, Any] = {"pool_pre_ping": True, "hide_parameters": True, "poolclass": Found}
    if address.url.drivername in ("postgresql+psycopg", "postgresql+psycopg2"):
        given = address.url.query
        options["connect_args"] = {k: value for k, value in _LIBPQ.items() if k not in given}
    return options, pools


def _why(error: Exception, address: Address) -> Exception:
    """What it means that a storage could not be opened."""
    from optuna.exceptions import StorageInternalError
    from sqlalchemy.exc import DBAPIError, IntegrityError, NoSuchModuleError

    if isinstance(error, ImportError | NoSuchModuleError):
        return _missing(error, address)
    cause = error.__cause__ if isinstance(error, StorageInternalError) else error
    if isinstance(cause, IntegrityError) or "already exists" in str(cause):
        return TransientError("another process is making its tables")
    if isinstance(cause, DBAPIError) and cause.orig is not None:
        found = meaning(cause.orig, address, cause.connection_invalidated)
        return found or refusal(address, words(cause, address))
    return _unusable(error, address)


def _missing(error: Exception, address: Address) -> RunError:
    if not isinstance(error, ImportError):
        return refusal(
            address,
            "no such kind of database is known; give a URL such as "
            "postgresql://USER@HOST/DATABASE or sqlite:///studies.db",
        )
    module = getattr(error.__cause__ or error, "name", None) or address.url.get_driver_name()
    package = _PACKAGES.get(module, module)
    return refusal(address, f"its driver {module} is not installed; pip install {package}")


def _unusable(error: Exception, address: Address) -> RunError:
    said = words(error, address)
    if "optuna storage upgrade" in said:
        said = (
            "it holds the tables of an older Optuna; back it up, then run once: optuna storage "
            f"upgrade --storage {address.shown}"
        )
    elif "pip install -U optuna" in said:
        said = "it holds the tables of a newer Optuna; pip install -U optuna"
    else:
        said = f"{type(error).__name__}: {said}"
    return refusal(address, said)


# What the errors of a database and its driver mean to a user, in words without a password.


_REMEDIES = (
    (
        "no password supplied",
        "no password was given, and a run keeps none: write one into ~/.pgpass "
        "(HOST:PORT:DATABASE:USER:PASSWORD, chmod 600), or set PGPASSWORD",
    ),
    (
        "password authentication failed|SQLSTATE 28P01|Access denied",
        "check user and password; what is special in one is written as its code in the URL (@ is "
        "%40), and ~/.pgpass or PGPASSWORD serve where the URL has none",
    ),
    (
        'database ".*" does not exist|SQLSTATE 3D000|Unknown database',
        "make it first, on the server that the URL names: CREATE DATABASE {database}",
    ),
    (
        r'role ".*" does not exist|pg_hba\.conf|SQLSTATE 28000|permission denied for database',
        "its administrator has to let this user in from this machine",
    ),
    (
        "permission denied|SQLSTATE 42501",
        "its owner has to allow it: GRANT CREATE ON SCHEMA public TO {user}, and the rights to "
        "read and write on Optuna's tables",
    ),
    ("read-only transaction|SQLSTATE 25006", "name the server that takes writes, not its standby"),
    (
        "disk is full|SQLSTATE 53100|No space left",
        "make room there and run the same command again, finished trials are kept",
    ),
    (
        "invalid connection option|invalid .* value",
        "check what stands behind the question mark of the URL",
    ),
    (
        "unable to open database|readonly database|not a database",
        "check the path, and who may read and write there",
    ),
)
"""What is looked for in the words of an error or its SQLSTATE, and what helps."""


def meaning(error: BaseException, address: Address, is_cut: bool) -> Exception | None:
    """``TransientError`` or ``RunError`` for an error of the driver; ``None`` for the statement's.

    ``is_cut``: whether the connection was lost by it.
    """
    kinds = {kind.__name__ for kind in type(error).__mro__}
    if kinds & {"IntegrityError", "DataError"}:
        return None
    said = words(error, address)
    text = f"{said} SQLSTATE {getattr(error, 'sqlstate', None)}"
    for pattern, remedy in _REMEDIES:
        if re.search(pattern, text):
            url = address.url
            names = {"user": url.username or "the user", "database": url.database}
            return refusal(address, f"{said}; {remedy.format(**names)}")
    if address.is_file:
        return TransientError(said) if re.search("locked|busy", said) else None
    return (
        TransientError(said) if is_cut or kinds & {"OperationalError", "InterfaceError"} else None
    )


def refusal(address: Address, reason: str) -> RunError:
    """An error that trying again does not mend."""
    return RunError(f"storage: {address.shown} cannot be used: {reason}")


def words(error: BaseException, address: Address) -> str:
    """An error's own words in one line."""
    lines = [line.strip(" \t-") for line in str(error).splitlines() if line.strip()]
    if not lines:
        return type(error).__name__
    is_many = lines[0].startswith("Multiple connection attempts failed")
    line = re.sub("^connection (failed|is bad): ", "", lines[-1] if is_many else lines[0])
    return address.redact(line)


# A note of a study in a database, as a text that is compared and swapped in one statement.


class StudyAttribute:
    """One key of Optuna's table of study attributes."""

    def __init__(self, engine: Engine, study_id: int, key: str) -> None:
        from sqlalchemy import column, table

        self._engine, self._place = engine, {"study_id": study_id, "key": key}
        self._table = table(
            "study_user_attributes", column("study_id"), column("key"), column("value_json")
        )
        columns = self._table.c
        self._is_here = (columns.study_id == study_id) & (columns.key == key)

    def read(self) -> str | None:
        """What stands there; ``None``: nothing."""
        query = self._table.select().where(self._is_here)
        with self._engine.connect() as connection:
            row = connection.execute(query).one_or_none()
        return None if row is None else str(row.value_json)

    def swap(self, old: str | None, new: str | None) -> bool:
        """Puts ``new`` where ``old`` stands; false, and nothing is done, where it does not."""
        from sqlalchemy.exc import IntegrityError

        still = self._is_here & (self._table.c.value_json == old)
        statement: Executable
        if old is None:
            statement = self._table.insert().values(**self._place, value_json=new)
        elif new is None:
            statement = self._table.delete().where(still)
        else:
            statement = self._table.update().where(still).values(value_json=new)
        try:
            with self._engine.begin() as connection:
                return bool(connection.execute(statement).rowcount == 1)
        except IntegrityError:
            return False
