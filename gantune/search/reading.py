"""A run's state from its files and its study, whether it is running, stopped or ended."""

from __future__ import annotations

import time

from gantune.errors import RunError, ScoreError
from gantune.search.folder import RunFolder
from gantune.search.same_protocol import read_protocol
from gantune.search.state import RunState, Spent, make_state
from gantune.search.storage import close_storage, open_storage
from gantune.search.study import Study
from gantune.space import load_space

__all__ = ["read_run"]


def read_run(folder: RunFolder, storage_url: str | None = None) -> RunState:
    """Reads a run and writes nothing. ``storage_url``: its storage with the password, if known.

    Raises ``RunError`` where there is none or another version wrote it, and ``ScoreError`` where
    its trials were scored under two protocols.
    """
    info = folder.read_info()
    read_protocol(folder)
    space = load_space(folder.space)
    if info["storage"] is None and not folder.journal.exists():
        raise RunError(f"{folder.path}: has not begun; run its search first")
    storage = open_storage(folder, storage_url or info["storage"])
    try:
        trials_study = Study.read(storage, space.study, "trial")
        finals_study = Study.read(storage, f"{space.study}.finalists", "finalist")
        trials = trials_study.records() if trials_study else []
        finalists = finals_study.records() if finals_study else []
        noted = trials_study.attributes if trials_study else {}
    finally:
        close_storage(storage)
    seconds = float(noted.get("seconds", 0.0))
    if folder.is_running and info["begun"] >= folder.locked_since:
        seconds = info["seconds_before"] + time.time() - info["begun"]
    readying = float(noted.get("readying_seconds", 0.0))
    spent = Spent(seconds, info["preparing_seconds"], len(info["devices"]), readying)
    try:
        return make_state(space, folder, trials, finalists, spent)
    except ScoreError as error:
        raise ScoreError(f"{folder.path}: {error}") from None
