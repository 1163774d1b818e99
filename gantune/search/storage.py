"""Where a run's studies are kept: the journal in its folder, or a database."""

from __future__ import annotations

from collections.abc import Callable

import optuna
from optuna.storages import BaseStorage

from gantune.errors import RunError
from gantune.run_folder.run import RunFolder
from gantune.search.address import parse_address
from gantune.search.database import DatabaseStorage, open_database
from gantune.search.journal import open_journal


def choose_storage(folder: RunFolder, given: str | None) -> str | None:
    """The database's URL, or ``None`` for the journal; a run that has begun keeps its own.

    Raises ``RunError`` where another storage is given than the run began with.
    """
    address = None if given is None else parse_address(given)
    if not folder.info.exists():
        return None if address is None else address.whole
    noted: str | None = folder.read_info()["storage"]
    if address is not None and address.shown != noted:
        raise RunError(
            f"{folder.path}: this run's storage is {noted or 'the journal in its folder'}, not "
            f"{address.shown}; leave --storage out, or choose another folder with --out"
        )
    return noted if address is None else address.whole


def shown_storage(url: str | None) -> str | None:
    """A storage as it is kept in the run folder: databases have files of their own for passwords.
    ``None`` stays the journal."""
    return None if url is None else parse_address(url).shown


def open_storage(
    folder: RunFolder, url: str | None, say: Callable[[str], None] = lambda text: None
) -> BaseStorage:
    """The run's journal, or the database at ``url``. Raises ``RunError`` if it cannot be opened.

    ``say`` is told of a database that is away for a while.
    """
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    if url is None:
        return open_journal(folder.journal)
    return open_database(parse_address(url), say)


def close_storage(storage: BaseStorage) -> None:
    """Gives a database its connections back; a journal holds none."""
    if isinstance(storage, DatabaseStorage):
        storage.close()
