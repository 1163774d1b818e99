"""A study's database: opening it, and holding a study in it for one driver."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from optuna.storages import BaseStorage

from gantune.errors import RunError
from gantune.search.address import Address
from gantune.search.database_errors import meaning, refusal, words
from gantune.search.lease import PACE, Lease, Pace, beating, this_process
from gantune.search.note_cell import NoteCell
from gantune.search.patience import Away, Patience, Terms
from gantune.search.patient_storage import PatientStorage

if TYPE_CHECKING:
    from optuna.storages import RDBStorage
    from sqlalchemy.engine import ExceptionContext
    from sqlalchemy.pool import Pool

__all__ = ["DatabaseStorage", "open_database", "sole_driver"]

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

    def __init__(self, rdb: RDBStorage, address: Address, patience: Patience) -> None:
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

    opening = Patience(address.shown, _OPENING, say)
    rdb = opening.keep_trying(lambda _: _connect(address))
    event.listen(rdb.engine, "handle_error", handle)
    return DatabaseStorage(rdb, address, Patience(address.shown, _RUNNING, say))


@contextmanager
def sole_driver(
    storage: BaseStorage,
    study: str,
    folder: Path,
    say: Callable[[str], None],
    pace: Pace = PACE,
) -> Iterator[None]:
    """Holds a study of a database for this process, which alone writes it meanwhile.

    Raises ``RunError`` where a driver that is alive holds it, here and, should another have taken
    it over, at the next use of ``storage``. A journal is its folder's, which is locked already.
    """
    if not isinstance(storage, DatabaseStorage):
        yield
        return
    cell = NoteCell(storage.engine, storage.get_study_id_from_name(study), "driver")
    lease = Lease(cell, this_process(folder), f"study {study!r} in {storage.shown}", pace)
    storage.patience.keep_trying(lambda _: lease.claim(say))
    with beating(lease, pace.beat), storage.guarded_by(lease.check):
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
        return Away("another process is making its tables")
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
