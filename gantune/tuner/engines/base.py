"""What all engines share: what a worker is made for, and how failed trials are retried."""

from dataclasses import dataclass
from pathlib import Path

from gantune.config import AnyConfig, DataConfig
from gantune.config.extractor import NO_FURTHER, FurtherScores
from gantune.errors import RunError
from gantune.io.formatting import setting_duration
from gantune.run_folder.trial import TrialFolder
from gantune.scores.evaluator import Protocols
from gantune.trial.records import Outcome

MAX_TRIES = 2
"""How often a trial is started before it counts as crashed."""

START_TIMEOUT = 120.0
"""Seconds without a heartbeat that a starting worker may take, even if ``budget.heartbeat`` is
shorter."""


@dataclass(frozen=True)
class Task:
    """What a worker is made for: the search's data and protocols, and the worker's device."""

    folder: Path
    """The run folder."""
    data: DataConfig | None
    """Resolved: concrete resolution and colour. ``None`` if no samples are scored."""
    protocols: Protocols
    device: str
    threads: int
    warm_up: AnyConfig
    """The first trial's config. gantune's trainer trains it for a step before the first trial, as
    the first network of a process takes a second. For an external trainer it names the trainer."""
    further: FurtherScores = NO_FURTHER
    """The scores that finals get beside the first one."""
    withheld: tuple[str, ...] = ()
    """Environment variables that the worker does not inherit: a trainer may print them all."""
    shares_gpu: bool = False
    """Whether other workers use its GPU too."""


def crashed_outcome(folder: TrialFolder, error: str) -> Outcome:
    """The outcome of a trial that is not retried any more, at the last tick of its last try."""
    try:
        line = folder.last_tick() or {}
    except OSError:  # which may be why it crashed
        line = {}
    kimg, seconds = line.get("kimg", 0.0), line.get("seconds", 0.0)
    return Outcome("crashed", kimg, seconds=seconds, error=error)


def disk_full_error(name: str, where: str = "") -> RunError:
    """The error that ends a search if a worker cannot write to a full disk."""
    return RunError(
        f"disk full while training {name}{where}; free some space and run the same command again: "
        "finished trials are kept"
    )


def retry_message(name: str) -> str:
    """The line that announces the retry of a trial."""
    return f"{name} failed; it is tried once more"


def timeout_reason(seconds: float) -> str:
    """Why a worker was ended after so many seconds without a heartbeat: ``no report for 10m
    (budget.heartbeat)``."""
    return f"no report for {setting_duration(seconds)} (budget.heartbeat)"
