"""Weights & Biases: one run for each training, grouped by study."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import wandb

from gantune.tracking.tracker import TrackedRun, Tracker

_PROJECT = "gantune"


class WandbTracker(Tracker):
    """The project is ``gantune``, or what ``WANDB_PROJECT`` says; the group is the study.

    With ``WANDB_MODE=offline`` the runs are in ``wandb/`` in the run folder; ``wandb sync`` sends
    them later.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._runs: dict[str, Any] = {}

    @property
    def place(self) -> str:
        address = next((run.url for run in self._runs.values() if run.url), None)
        return address or f"wandb sync {self.folder / 'wandb'}/offline-run-*"

    def open(self, run: TrackedRun) -> None:
        if run.name in self._runs:
            return
        place = f"{run.folder.resolve()}:{run.study}:{run.name}"
        made = wandb.init(
            project=os.environ.get("WANDB_PROJECT", _PROJECT),
            group=run.study,
            job_type=run.name.partition("/")[0],
            name=f"{run.study}/{run.name}",
            id=hashlib.sha256(place.encode()).hexdigest()[:16],
            config=dict(run.config),
            dir=str(self.folder),
            resume="allow",
            reinit="create_new",
            settings=wandb.Settings(silent=True, console="off", disable_git=True, save_code=False),
        )
        made.define_metric("kimg")
        made.define_metric("*", step_metric="kimg")
        self._runs[run.name] = made

    def log(self, run: TrackedRun, kimg: float, numbers: Mapping[str, float]) -> None:
        self._runs[run.name].log({**numbers, "kimg": kimg})

    def log_image(self, run: TrackedRun, kimg: float, name: str, picture: Path) -> None:
        self._runs[run.name].log({name: wandb.Image(str(picture)), "kimg": kimg})

    def end(self, run: TrackedRun, ending: str, numbers: Mapping[str, float], remark: str) -> None:
        opened = self._runs.pop(run.name)
        opened.summary.update({**numbers, "ending": ending, "remark": remark})
        opened.finish(exit_code=0)

    def close(self) -> None:
        for opened in self._runs.values():
            opened.finish(exit_code=0)
        self._runs.clear()


make = WandbTracker
