"""What the local engine and its workers send to each other."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from gantune.config import AnyConfig, DataConfig
from gantune.scores.evaluator import Protocols
from gantune.trial.records import Outcome, RungReport


@dataclass(frozen=True)
class Task:
    """What a worker is made for; the first message to it."""

    folder: Path
    data: DataConfig | None
    """Resolved: concrete resolution and colour. ``None`` where no samples are scored."""
    protocols: Protocols
    device: str
    threads: int
    warm_up: AnyConfig
    """The first trial's config. Of gantune's trainer it is built once before the first trial, as a
    process's first network takes a second; of one of the user's own it names the trainer."""
    withheld: tuple[str, ...] = ()
    """Variables of the environment that it does not inherit: a trainer may print them all."""


@dataclass(frozen=True)
class Ready:
    """From a worker: it waits for an assignment."""

    scoring_seconds: float
    """What it took to read the extractor and the real images' features, and to warm up scores."""


@dataclass(frozen=True)
class Heartbeat:
    """From a worker: it is alive, whether it makes itself ready or trains."""


@dataclass(frozen=True)
class Message:
    """From a worker: a line for the user, such as that a checkpoint was refused."""

    text: str


@dataclass(frozen=True)
class Rung:
    """From a worker: a rung's score. The answer is a bool: go on?"""

    name: str
    report: RungReport


@dataclass(frozen=True)
class Ended:
    """From a worker: a trial's outcome."""

    name: str
    outcome: Outcome


@dataclass(frozen=True)
class Crashed:
    """From a worker: a trial's traceback. ``kind`` tells an error from a full disk."""

    name: str
    kind: Literal["error", "disk"]
    traceback: str
