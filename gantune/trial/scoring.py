"""How a run is scored: from extractor and real images to an ``Evaluator``, made here alone."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any, Literal

import torch

from gantune.config import DataConfig
from gantune.config.extractor import FurtherScores
from gantune.data import ImageSet, Progress, load_parts
from gantune.errors import RunError, ScoreError, TrainerError, first_line
from gantune.events import Observer
from gantune.gan.device_support import is_out_of_memory
from gantune.io.files import write_bytes
from gantune.run_folder.run import RunFolder
from gantune.run_folder.trial import TrialFolder
from gantune.scores import RealImages, load_extractor, resolve_extractor
from gantune.scores.evaluator import Evaluator, Protocols, Sample, make_protocols
from gantune.scores.features import Extractor
from gantune.scores.score import FurtherScore, Protocol, Score
from gantune.space import load_space
from gantune.space.settings import Objective
from gantune.trial.trainer_input import seeded

_log = logging.getLogger(__name__)

RUNGS = tuple(step / 10 for step in range(1, 11))
"""Where a training outside a search is scored, as shares of its budget."""

ScoreKind = Literal["value", "images"]
"""The trainer's own number, or samples of which gantune takes the distance."""


def load_real_images(
    config: DataConfig, sizes: Sequence[int] | None = None, progress: Progress | None = None
) -> RealImages:
    """The images that are learned, and those that ``config.held_out`` sets aside for scores.

    Both have one resolution and colour. ``sizes``, ``progress`` and errors as in ``load_images``.
    """
    return RealImages(*load_parts(config, sizes, progress))


def make_study_protocols(extractor: Extractor, real: RealImages, objective: Objective) -> Protocols:
    """The protocols that a space's objective asks for."""
    return make_protocols(
        extractor,
        real,
        rung_samples=objective.rung_samples,
        samples=objective.samples,
        rung_dtype=objective.rung_dtype,
    )


def make_evaluator(
    extractor: Extractor | Path,
    real: RealImages,
    protocols: Protocols,
    device: torch.device | str,
    observer: Observer | None = None,
) -> Evaluator:
    """Scores samples against the real images; caches their features.

    ``extractor``: one that is loaded, or its folder. Raises ``ScoreError`` where it cannot compute
    in the number format of rungs.
    """
    loaded = load_extractor(extractor, device) if isinstance(extractor, Path) else extractor
    show = partial((observer or Observer()).progress, "features of the real images")
    evaluator = Evaluator(loaded, real, protocols, device, show)
    if protocols.rung.dtype != "float32":
        evaluator.try_rung_dtype()
    return evaluator


class Further:
    """Takes the scores beside the first one, by extractors that are loaded at the first use."""

    def __init__(
        self,
        scores: FurtherScores,
        load: Callable[[], Sequence[Extractor]],
        first: Protocol,
        real: RealImages,
        device: torch.device | str,
        observer: Observer | None = None,
    ) -> None:
        """``first``: the protocol of the first score, whose samples these are taken of."""
        self.extrapolates = scores.extrapolates
        self._load, self._first, self._real = load, first, real
        self._device, self._observer = device, observer

    def add_to(
        self,
        score: Score,
        sample: Sample,
        seeded: Callable[[], AbstractContextManager[None]] = nullcontext,
    ) -> Score:
        """The score with the others beside it, of the same samples. Raises ``ScoreError``.

        ``seeded``: within it each is taken, for samples that draw global random numbers.
        """
        found = list(score.also)
        for evaluator in self.evaluators:
            with seeded():
                one = evaluator.score(sample, full=True)
            found.append(FurtherScore(one.name, one.value, one.error, one.protocol))
        return replace(score, also=tuple(found))

    @cached_property
    def evaluators(self) -> list[Evaluator]:
        """One for each extractor."""
        count = self._first.generated
        found = []
        for extractor in self._load():
            if extractor.name == self._first.extractor:
                raise ScoreError(
                    f"also: {extractor.name} is the extractor of the first score; leave it out"
                )
            made = make_protocols(extractor, self._real, rung_samples=count, samples=count)
            full = replace(made.full, latent_seed=self._first.latent_seed)
            protocols = replace(made, full=full)
            found.append(
                make_evaluator(extractor, self._real, protocols, self._device, self._observer)
            )
        return found


def resolve_further(
    scores: FurtherScores, images: ImageSet, folder: Path, device: torch.device | str
) -> list[Extractor]:
    """Selects the extractors of further scores, and saves them in an extractor's folder."""
    return [
        resolve_extractor(choice, images, place, device)
        for choice, place in zip(scores.extractors, _further_folders(scores, folder), strict=True)
    ]


def load_further(
    scores: FurtherScores, folder: Path, device: torch.device | str
) -> list[Extractor]:
    """Loads the extractors that ``resolve_further`` has saved."""
    return [load_extractor(place, device) for place in _further_folders(scores, folder)]


def has_further(scores: FurtherScores, folder: Path) -> bool:
    """Whether ``resolve_further`` has saved them there."""
    return all(place.exists() for place in _further_folders(scores, folder))


def _further_folders(scores: FurtherScores, folder: Path) -> list[Path]:
    return [folder / f"also-{index}" for index in range(len(scores.extractors))]


def with_heartbeat(sample: Sample, heartbeat: Callable[[], None]) -> Sample:
    """The same samples, with a heartbeat at each batch."""

    def sample_batch(count: int, rng: torch.Generator) -> torch.Tensor:
        heartbeat()
        return sample(count, rng)

    return sample_batch


@dataclass(frozen=True)
class ScorePolicy:
    """What a run may be scored by: in a search one of the two, outside what comes first.

    gantune's trainer is scored by images.
    """

    value: Protocol | None
    """Protocol of the trainer's own number."""
    evaluator: Evaluator | None = None
    """Scores images that the trainer draws."""
    real: ImageSet | None = None
    """The real images that these are compared with."""
    further: Further | None = None
    """Takes the scores beside the first one; ``None`` for trials of a search."""
    _starts: dict[str, Score] = field(default_factory=dict)
    """The scores of untrained generators that were taken so far."""

    def score(self, sample: Sample, device: torch.device, *, full: bool = False) -> Score:
        """Takes a score of samples, a full one with those beside it. Raises ``ScoreError``.

        Global random numbers follow the protocol's seed within it, and are restored after it.
        """
        assert self.evaluator is not None
        protocols = self.evaluator.protocols
        seed = (protocols.full if full else protocols.rung).latent_seed or 0
        seeding, further = partial(seeded, seed, device), self.further if full else None
        is_limit = further is not None and further.extrapolates
        with seeding():
            score = self.evaluator.score(sample, full=full, extrapolate=is_limit)
        if further is None:
            return score
        try:
            return further.add_to(score, sample, seeding)
        except Exception as error:  # they never decide what becomes of a run
            if not isinstance(error, ScoreError | OSError) and not is_out_of_memory(error):
                raise
            _log.warning("no score beside the first: %s", first_line(error))
            return score

    def score_start(self, sample: Sample, device: torch.device, generator: str) -> Score:
        """The score of an untrained generator, which ``generator`` tells from others.

        Trials of one network begin with the same weights, so the first of them is sampled for all.
        """
        if generator not in self._starts:
            self._starts[generator] = self.score(sample, device)
        return self._starts[generator]

    def check(self, kind: ScoreKind, before: ScoreKind | None) -> None:
        """Raises ``TrainerError`` for a kind that this run is not scored by.

        ``before``: the kind of the run's earlier scores. Two kinds are never ranked together.
        """
        if kind == "value" and self.value is None:
            raise TrainerError(
                "session.score(value): the runs of this space are ranked by the distance of their "
                "samples; call session.score(images=...), or name the number in the space: "
                "objective: {score: NAME}"
            )
        if kind == "images" and self.evaluator is None:
            if self.value is not None and self.value.score_name != "score":
                raise TrainerError(
                    "session.score(images=...): the runs of this space are ranked by the trainer's "
                    f"own number (objective: {{score: {self.value.score_name}}}); call "
                    "session.score(value), or leave objective.score out"
                )
            raise TrainerError(
                "session.score(images=...): no real images to compare with; name them in trial, "
                "such as data: {source: digits, resolution: 32}"
            )
        if before not in (None, kind):
            raise TrainerError(
                f"session.score: given {kind} now and {before} before; one run is scored in one "
                "way, as two kinds of score are never compared"
            )


@dataclass(frozen=True)
class ScoringSetup:
    """How a training outside a search is scored and judged: as in a search, or by the defaults."""

    objective: Objective
    stability: str | Mapping[str, Any]
    extractor: Path | None
    """The search's extractor; ``None`` where the training has its own."""
    is_of_search: bool = False
    score_name: str | None = None
    """Name of the number that the search's external trainer gives; ``None``: it is scored by
    images."""

    @classmethod
    def of(cls, run: RunFolder) -> ScoringSetup:
        """That of the search in a folder; the defaults, where there is none."""
        if not run.space.exists():
            return cls(Objective(), "default", None)
        space = load_space(run.space)
        extractor = run.extractor if run.extractor.exists() else None
        return cls(space.objective, space.stability, extractor, True, space.score_name)

    def evaluator(
        self, real: RealImages, folder: TrialFolder, device: torch.device, observer: Observer
    ) -> Evaluator:
        """Scores samples; chooses an extractor into the training's folder where there is none."""
        choice, chosen = self.objective.choice(), folder.extractor
        if self.extractor is not None or chosen.exists():
            extractor = load_extractor(self.extractor or chosen, device)
        else:
            extractor = resolve_extractor(choice, real.learned, chosen, device)
        protocols = make_study_protocols(extractor, real, self.objective)
        return make_evaluator(extractor, real, protocols, device, observer)

    def further(
        self,
        evaluator: Evaluator,
        real: RealImages,
        folder: TrialFolder,
        device: torch.device,
        observer: Observer,
    ) -> Further | None:
        """Takes the scores beside the first one; ``None`` where none are asked for."""
        scores = self.objective.further()
        if not scores:
            return None
        home = self.extractor or folder.extractor
        if scores.extractors and not (home / "also-0").exists():
            resolve_further(scores, real.learned, home, device)
        load = partial(load_further, scores, home, device)
        return Further(scores, load, evaluator.protocols.full, real, device, observer)

    def keep_extractor(self, folder: TrialFolder) -> None:
        """Copies the search's extractor beside the training, where ``evaluate`` finds it.

        A training inside the search's folder needs no copy. Raises ``RunError``.
        """
        if self.extractor is None or self.extractor.parent.samefile(folder.path.parent):
            return
        try:
            for file in self.extractor.rglob("extractor.*"):
                place = folder.extractor / file.relative_to(self.extractor)
                write_bytes(place, file.read_bytes())
        except OSError as error:
            raise RunError(f"{folder.extractor}: cannot be written ({error.strerror})") from None
