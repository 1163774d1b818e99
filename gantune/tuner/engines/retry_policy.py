"""What every engine does with a trial whose worker or code crashes."""

from __future__ import annotations

from gantune.errors import RunError
from gantune.io.formatting import setting_duration
from gantune.run_folder.trial import TrialFolder
from gantune.trial.records import Outcome

TRIES = 2
"""How often a trial is begun before it counts as crashed."""


START = 120.0
"""Seconds without a word that a worker may take to start, however short a heartbeat."""


def crashed_outcome(folder: TrialFolder, error: str) -> Outcome:
    """The outcome of a trial that is given up, as far as its last try had come."""
    try:
        line = folder.last_line() or {}
    except OSError:  # which may be why it crashed
        line = {}
    kimg, seconds = line.get("kimg", 0.0), line.get("seconds", 0.0)
    return Outcome("crashed", kimg, seconds=seconds, error=error)


def disk_full(name: str, where: str = "") -> RunError:
    """What ends a search when a worker has no room to write."""
    return RunError(
        f"disk full while training {name}{where}; free some space and run the same command again: "
        "finished trials are kept"
    )


def trying_again(name: str) -> str:
    """The line that tells of a retry."""
    return f"{name} broke off; it is tried once more"


def silence_words(limit: float) -> str:
    """Why a worker was ended that was silent for so many seconds."""
    return f"no report for {setting_duration(limit)} (budget.heartbeat)"
