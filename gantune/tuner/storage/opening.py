"""Where a run's studies are kept: the journal in its folder, or a database."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import optuna
from optuna.storages import BaseStorage, JournalStorage
from optuna.storages.journal import JournalFileBackend

from gantune.errors import RunError
from gantune.io.processes import held
from gantune.run_folder.run import RunFolder
from gantune.tuner.storage.database import DatabaseStorage, open_database
from gantune.tuner.storage.url import parse_address


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


# The journal in a run's folder, as Optuna keeps it: one operation a line.


def open_journal(path: Path) -> JournalStorage:
    """Reads a journal, or begins one. Raises ``RunError`` for one that is damaged before its end,
    where nothing can be cut off without changing what later lines speak of."""
    try:
        return JournalStorage(_WholeLines(path))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise RunError(
            f"{path}: damaged before its end ({error}); put back a copy of it from before, or "
            "search into another folder with --out"
        ) from None


class _WholeLines(JournalFileBackend):
    """A disk that fills in the midst of a line leaves none of it, so that the next one begins on a
    line of its own. For the journal's only writer."""

    def __init__(self, path: Path) -> None:
        super().__init__(str(path))
        self._path = path

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        size = self._path.stat().st_size
        try:
            with held():
                super().append_logs(logs)
        except OSError:
            with suppress(OSError):
                os.truncate(self._path, size)
            raise
