"""A search on disk with pictures, played by the driver in a second; nothing is trained."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from PIL import Image

from gantune.config import TrialConfig
from gantune.io.files import write_text
from gantune.io.trust import remember
from gantune.run_folder.run import RunFolder
from gantune.trial.records import RungReport
from gantune.tuner.driver import Driver
from tests.canned import run_info
from tests.tuner.factory import SPACE, make_driver, play, toy_space

__all__ = ["Drawing", "played_run", "write_start"]


class Drawing:
    """A driver whose runs leave a sample grid at every rung, as trainings do."""

    def __init__(self, driver: Driver) -> None:
        self.driver = driver

    def __getattr__(self, name: str) -> Any:
        return getattr(self.driver, name)

    def report(self, name: str, report: RungReport) -> bool:
        path = self.driver.folder.trial(name).grid(report.kimg)
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (16, 16), 100).save(path)
        return self.driver.report(name, report)


def curve(config: TrialConfig) -> float | str:
    """The second trial of a batch size breaks; the others score by their learning rate."""
    return "diverged" if config.generator.lr > 3e-3 else 1e3 * config.generator.lr + 1


def write_start(folder: RunFolder, **changes: Any) -> None:
    """What a search writes before its first trial."""
    folder.path.mkdir(parents=True, exist_ok=True)
    write_text(folder.space, SPACE)  # atomically, as another process may read it
    write_text(folder.info, json.dumps(run_info(**changes)))


def played_run(path: Path, *, stop_after: int | None = None, **changes: Any) -> RunFolder:
    """The run ``path/run``, whole or stopped after so many trainings; ``changes`` of run.json."""
    if changes.get("storage"):
        remember(changes["storage"])
    driver = make_driver(path, toy_space(path), changes.get("storage"))
    write_start(driver.folder, **changes)
    play(Drawing(driver), curve, stop_after=stop_after)  # type: ignore[arg-type]
    return driver.folder
