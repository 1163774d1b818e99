"""A run's state from its files and its study, whether it is running, stopped or ended."""

from __future__ import annotations

import time

from gantune.errors import RunError, ScoreError
from gantune.run_folder.run import RunFolder
from gantune.run_folder.stored_scores import read_protocol
from gantune.search.state import RunState, Spent, make_state
from gantune.search.storage import close_storage, open_storage
from gantune.search.study import Study
from gantune.space import load_space

__all__ = ["RunReader", "read_run"]


class RunReader:
    """A run that is read again and again: its storage stays open, and what was read is kept.

    A context manager. ``storage_url``: the run's storage with the password, if known. Raises
    ``RunError`` where there is no run or another version wrote it.
    """

    def __init__(self, folder: RunFolder, storage_url: str | None = None) -> None:
        self.folder = folder
        self.info = folder.read_info()
        read_protocol(folder)
        self.space = load_space(folder.space)
        if self.info["storage"] is None and not folder.journal.exists():
            raise RunError(f"{folder.path}: has not begun; run its search first")
        self.storage = open_storage(folder, storage_url or self.info["storage"])
        self._trials: Study | None = None
        self._finals: Study | None = None

    def __enter__(self) -> RunReader:
        return self

    def __exit__(self, *_: object) -> None:
        close_storage(self.storage)

    def state(self) -> RunState:
        """The run as it stands now; of what has ended since the last time alone anything is read
        from a journal. Writes nothing.

        Raises ``ScoreError`` where its trials were scored under two protocols.
        """
        name = self.space.study
        self._trials = self._trials or Study.read(self.storage, name, "trial")
        self._finals = self._finals or Study.read(self.storage, f"{name}.finalists", "finalist")
        trials = self._trials.records() if self._trials else []
        finalists = self._finals.records() if self._finals else []
        try:
            return make_state(self.space, self.folder, trials, finalists, self._spent())
        except ScoreError as error:
            raise ScoreError(f"{self.folder.path}: {error}") from None

    def _spent(self) -> Spent:
        info, noted = self.info, self._trials.attributes if self._trials else {}
        seconds = float(noted.get("seconds", 0.0))
        if self.folder.is_running and info["begun"] >= self.folder.locked_since:
            seconds = info["seconds_before"] + time.time() - info["begun"]
        readying = float(noted.get("readying_seconds", 0.0))
        return Spent(seconds, info["preparing_seconds"], len(info["devices"]), readying)


def read_run(folder: RunFolder, storage_url: str | None = None) -> RunState:
    """A run as it stands now, read once. Raises as ``RunReader`` and its ``state`` do."""
    with RunReader(folder, storage_url) as reader:
        return reader.state()
