"""What trainings outside a search share: their folder, and how they are scored and judged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch

from gantune.config import DataConfig
from gantune.data import ImageSet, Progress, load_held_out, load_images
from gantune.errors import RunError
from gantune.events import Observer
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

RUNGS = tuple(step / 10 for step in range(1, 11))
"""Where a training outside a search is scored, as shares of its budget."""


@dataclass(frozen=True)
class ScoringSetup:
    """How a training is scored and judged: as in a search, or by the defaults."""

    objective: Objective
    stability: str | Mapping[str, Any]
    extractor: Path | None
    is_of_search: bool = False
    score_name: str | None = None
    """Of the number that a search's own trainer gives; ``None`` where samples are scored."""

    def evaluator(
        self, real: RealImages, folder: TrialFolder, device: torch.device, observer: Observer
    ) -> Evaluator:
        """Scores of samples; makes the extractor in the training's folder where there is none."""
        own = folder.extractor
        if self.extractor is not None or own.exists():
            extractor = load_extractor(self.extractor or own, device)
        else:
            extractor = resolve_extractor(self.objective.choice(), real.learned, own, device)
        samples, rung_samples = self.objective.samples, self.objective.rung_samples
        protocols = make_protocols(extractor, real, rung_samples=rung_samples, samples=samples)
        show = partial(observer.progress, "features of the real images")
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


def search_yardstick(run: RunFolder) -> ScoringSetup:
    """That of the search in a folder; the defaults, where none lies there."""
    if not run.space.exists():
        return ScoringSetup(Objective(), "default", None)
    space = load_space(run.space)
    extractor = run.extractor if run.extractor.exists() else None
    return ScoringSetup(space.objective, space.stability, extractor, True, space.score_name)


# The real images of one run: those that are learned, and those that only scores look at.


_SHOWN = 64  # images of the picture


_SHOWN_POINTS = 2000


def load_real_images(
    config: DataConfig, sizes: Sequence[int] | None = None, progress: Progress | None = None
) -> RealImages:
    """What ``load_images`` gives, and the images that ``config.held_out`` keeps out of it.

    Both have one resolution and colour. ``sizes``, ``progress`` and errors as in ``load_images``.
    """
    from gantune.scores import RealImages

    learned = load_images(config, sizes, progress)
    form = {"resolution": learned.resolution, "colour": learned.colour}
    return RealImages(learned, load_held_out(config.model_copy(update=form), progress))


def draw_real_images(images: ImageSet, path: Path) -> None:
    """Writes a picture of images from all over the set, where there is none yet."""
    if path.exists():
        return
    import numpy as np
    import torch

    from gantune.gan.sampling import save_grid

    most = _SHOWN_POINTS if images.is_points else _SHOWN
    places = np.linspace(0, len(images) - 1, min(most, len(images))).round().astype(int)
    save_grid(torch.from_numpy(np.ascontiguousarray(images.array[places])), path)
