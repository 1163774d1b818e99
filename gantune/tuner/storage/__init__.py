"""Where the studies of a run are stored: a journal in the run folder, or a database."""

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import optuna
from optuna.storages import BaseStorage, JournalStorage
from optuna.storages.journal import JournalFileBackend

from gantune.errors import RunError
from gantune.io.processes import defer_signals
from gantune.io.trust import check_database, remember
from gantune.run_folder.run import RunFolder
from gantune.tuner.storage.database import DatabaseStorage, open_database
from gantune.tuner.storage.url import parse_url

__all__ = ["choose_storage", "close_storage", "open_journal", "open_storage"]


def choose_storage(folder: RunFolder, url: str | None) -> str | None:
    """The URL of the run's database, or ``None`` for the journal.

    ``url``: what the user asked for, which is remembered; ``None`` stays with the storage that the
    run started with. Raises ``RunError`` where ``url`` is another storage than that, and
    ``TrustError`` where the run's own is none that the user has ever named.
    """
    database = None if url is None else parse_url(url)
    if database is not None:
        remember(database.without_password)
    if not folder.info.exists():
        return None if database is None else database.with_password
    stored: str | None = folder.read_info().storage
    if database is not None and database.without_password != stored:
        raise RunError(
            f"{folder.path}: this run's storage is {stored or 'the journal in its folder'}, not "
            f"{database.without_password}; leave --storage out, or choose another folder with --out"
        )
    if stored is not None and database is None:
        check_database(stored, str(folder.info))
    return stored if database is None else database.with_password


def open_storage(
    folder: RunFolder,
    url: str | None,
    notify: Callable[[str], None] = lambda text: None,
    *,
    writes: bool = True,
) -> BaseStorage:
    """The run's journal, or the database at ``url``. Raises ``RunError`` if it cannot be opened.

    ``notify`` gets a message when a database is away for a while. ``writes``: whether it may be
    created and written to; else a database is opened read-only.
    """
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    if url is None:
        return open_journal(folder.journal)
    return open_database(parse_url(url), notify, writes=writes)


def close_storage(storage: BaseStorage) -> None:
    """Closes the connections to a database; a journal has none."""
    if isinstance(storage, DatabaseStorage):
        storage.close()


def open_journal(path: Path) -> JournalStorage:
    """Opens Optuna's journal, or creates it.

    Raises ``RunError`` for a journal that is damaged before its end: later lines refer to earlier
    ones, so nothing can be cut out.
    """
    try:
        return JournalStorage(_JournalBackend(path))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise RunError(
            f"{path}: damaged before its end ({error}); put back an earlier copy of it, or search "
            "into another folder with --out"
        ) from None


class _JournalBackend(JournalFileBackend):
    """A journal file with one writer that never holds a torn line before its end.

    Where the disk fills up within a line, the line is removed, so that the next one starts on a
    line of its own.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(str(path))
        self._path = path

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        size = self._path.stat().st_size
        try:
            with defer_signals():
                super().append_logs(logs)
        except OSError:
            with suppress(OSError):
                os.truncate(self._path, size)
            raise
