"""What trainings outside a search share: their folder, and how they are scored and judged."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch

from gantune.errors import RunError
from gantune.events import Watcher
from gantune.io.files import write_bytes
from gantune.run_folder.run import RunFolder
from gantune.run_folder.trial import TrialFolder
from gantune.scores import (
    Evaluator,
    RealImages,
    load_extractor,
    make_protocols,
    resolve_extractor,
)
from gantune.space import Objective, load_space

__all__ = ["RUNGS", "Yardstick", "check_free", "make_folder", "search_yardstick"]

RUNGS = tuple(step / 10 for step in range(1, 11))
"""Where a training outside a search is scored, as shares of its budget."""


@dataclass(frozen=True)
class Yardstick:
    """How a training is scored and judged: as in a search, or by the defaults."""

    objective: Objective
    stability: str | Mapping[str, Any]
    extractor: Path | None
    is_of_search: bool = False
    score_name: str | None = None
    """Of the number that a search's own trainer gives; ``None`` where samples are scored."""

    def evaluator(
        self, real: RealImages, folder: TrialFolder, device: torch.device, watcher: Watcher
    ) -> Evaluator:
        """Scores of samples; makes the extractor in the training's folder where there is none."""
        own = folder.extractor
        if self.extractor is not None or own.exists():
            extractor = load_extractor(self.extractor or own, device)
        else:
            extractor = resolve_extractor(self.objective.choice(), real.learned, own, device)
        samples, rung_samples = self.objective.samples, self.objective.rung_samples
        protocols = make_protocols(extractor, real, rung_samples=rung_samples, samples=samples)
        show = partial(watcher.progress, "features of the real images")
        return Evaluator(extractor, real, protocols, device, show)

    def keep(self, folder: TrialFolder) -> None:
        """Copies a search's extractor beside the training, so that ``evaluate`` finds it there.

        A training that lies in the search's folder needs none. Raises ``RunError``.
        """
        if self.extractor is None or self.extractor.parent.samefile(folder.path.parent):
            return
        try:
            for file in self.extractor.glob("extractor.*"):
                write_bytes(folder.extractor / file.name, file.read_bytes())
        except OSError as error:
            raise RunError(f"{folder.extractor}: cannot be written ({error.strerror})") from None


def search_yardstick(run: RunFolder) -> Yardstick:
    """That of the search in a folder; the defaults, where none lies there."""
    if not run.space.exists():
        return Yardstick(Objective(), "default", None)
    space = load_space(run.space)
    extractor = run.extractor if run.extractor.exists() else None
    return Yardstick(space.objective, space.stability, extractor, True, space.score_name)


def check_free(folder: TrialFolder, *, holds_training: bool) -> None:
    """Raises ``RunError`` for a folder in which no training may begin: of another, or a trial's."""
    if holds_training:
        raise RunError(
            f"{folder.path}: holds a training; go on with --resume, or choose another with --out"
        )
    if any(line["rung"] != 0 for line in folder.scores()):
        raise RunError(f"{folder.path}: holds a trial; choose another folder with --out")


def make_folder(folder: TrialFolder) -> None:
    """Makes a training's folder. Raises ``RunError`` where that cannot be."""
    try:
        folder.path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunError(f"{folder.path}: cannot be written ({error.strerror})") from None
