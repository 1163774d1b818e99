"""Where a run's studies are kept: the journal in its folder, or a database."""

from __future__ import annotations

import re
from pathlib import Path

import optuna
from optuna.storages import BaseStorage, RDBStorage

from gantune.errors import RunError
from gantune.search.folder import RunFolder
from gantune.search.journal import open_journal

__all__ = ["choose_storage", "open_storage", "repair_journal", "without_password"]

_PASSWORD = re.compile(r"(\w+://[^/@:\s]*):[^@\s]*@")


def choose_storage(folder: RunFolder, given: str | None) -> str | None:
    """The database's URL, or ``None`` for the journal; a run that has begun keeps its own.

    The path of an SQLite file becomes absolute. Raises ``RunError`` where another storage is given
    than the run began with.
    """
    url = _absolute(given) if given is not None else None
    if not folder.info.exists():
        return url
    noted: str | None = folder.read_info()["storage"]
    if url is not None and without_password(url) != noted:
        raise RunError(
            f"{folder.path}: this run's storage is {noted or 'the journal in its folder'}, not "
            f"{without_password(url)}; leave --storage out, or choose another folder with --out"
        )
    return url or noted


def without_password(text: str) -> str:
    """Text in which URLs have lost their password; databases have files of their own for it."""
    return _PASSWORD.sub(r"\1@", text)


def _absolute(url: str) -> str:
    path = url.removeprefix("sqlite:///")
    if path == url or not path or path.startswith((":", "/")):
        return url
    return f"sqlite:///{Path(path).resolve()}"


def open_storage(folder: RunFolder, url: str | None) -> BaseStorage:
    """The run's journal, or the database at ``url``. Raises ``RunError`` if it cannot be opened."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    if url is None:
        return open_journal(folder.journal)
    try:
        return RDBStorage(url)
    except Exception as error:  # SQLAlchemy, its drivers and alembic each raise their own
        reason = without_password(str(error)).splitlines()[0] if str(error) else ""
        raise RunError(
            f"storage: cannot be opened: {type(error).__name__} {reason}; give a URL such as "
            "sqlite:///studies.db, or none for a journal in the run folder"
        ) from None


def repair_journal(path: Path) -> None:
    """Cuts a line torn by a crash off the journal's end, and removes the dead writer's lock.

    To be called by the run's only driver, before it opens the journal.
    """
    path.with_name(path.name + ".lock").unlink(missing_ok=True)
    if not path.exists():
        return
    with path.open("rb+") as file:
        content = file.read()
        file.truncate(content.rfind(b"\n") + 1)
