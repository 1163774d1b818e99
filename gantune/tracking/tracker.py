"""``Tracker``: a service or a file format that shows the runs of a search."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, get_args

from gantune.errors import RunError
from gantune.space.settings import TrackerName

TRACKERS: tuple[TrackerName, ...] = get_args(TrackerName)
"""The names of all trackers."""

_LIBRARIES = {"tensorboard": "tensorboard", "wandb": "wandb", "mlflow": "mlflow"}


@dataclass(frozen=True)
class TrackedRun:
    """One training, as a tracker sees it."""

    study: str
    """The study, by which the runs of a search are grouped."""
    name: str
    """``trials/0007`` or ``finalists/0000``."""
    config: Mapping[str, Any]
    """Its settings by dotted path, as plain values."""
    folder: Path
    """The folder of its search."""


class Tracker(ABC):
    """Shows the runs of one search. A run may be opened again, also by another process.

    ``kimg`` is the place of what is logged, thousands of real images. Methods may raise anything
    that the tracker's library raises.
    """

    def __init__(self, folder: Path) -> None:
        """``folder``: that of the search."""
        self.folder = folder

    @property
    @abstractmethod
    def place(self) -> str:
        """Where the runs are shown, for a person: a command or an address."""

    @abstractmethod
    def open(self, run: TrackedRun) -> None:
        """Begins a run with its config, or goes on with it."""

    @abstractmethod
    def log(self, run: TrackedRun, kimg: float, numbers: Mapping[str, float]) -> None:
        """Logs numbers by name."""

    @abstractmethod
    def log_image(self, run: TrackedRun, kimg: float, name: str, picture: Path) -> None:
        """Logs a PNG."""

    @abstractmethod
    def end(self, run: TrackedRun, ending: str, numbers: Mapping[str, float], remark: str) -> None:
        """Ends a run. ``numbers``: its final score and others. ``remark``: why it ended so."""

    @abstractmethod
    def close(self) -> None:
        """Sends what is left. Runs that have not ended may be opened again."""


def check_library(name: TrackerName) -> None:
    """Raises ``RunError`` where the library of a tracker is not installed."""
    if find_spec(_LIBRARIES[name]) is None:
        raise RunError(f"{name} needs its library: pip install 'gantune[{name}]'")


def make_tracker(name: TrackerName, folder: Path) -> Tracker:
    """The tracker of this name for the search in a folder. Raises what its library raises."""
    made: Tracker = import_module(f"gantune.tracking.to_{name}").make(folder)
    return made
