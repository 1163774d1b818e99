"""The journal in a run's folder, as Optuna keeps it: one operation a line."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import Any

from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from gantune.errors import RunError
from gantune.io.processes import held

__all__ = ["open_journal"]


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
