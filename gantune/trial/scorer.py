"""``Scorer``: takes the scores of one run's samples, and draws its pictures.

A rung is scored between two steps of training, or in the background while training goes on.
"""

import logging
import time
from collections.abc import Callable
from concurrent.futures import Future, wait
from contextlib import suppress
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor

from gantune.errors import ScoreError
from gantune.gan.device_support import is_out_of_memory, release_memory
from gantune.gan.sampling import save_grid
from gantune.run_folder.trial import TrialFolder
from gantune.scores.evaluator import Evaluator, Sample
from gantune.scores.score import Score
from gantune.trial.background import in_background
from gantune.trial.clock import Clock
from gantune.trial.pictures import draw_nearest, fixed_samples
from gantune.trial.records import Heartbeat
from gantune.trial.scoring import ScorePolicy, with_heartbeat
from gantune.trial.trainer_input import seeded

_log = logging.getLogger(__name__)


class RungScores(NamedTuple):
    """What was taken of a generator at a rung."""

    score: Score
    full: Score | None = None
    """The score under the full protocol, where it was wanted."""
    samples: Tensor | None = None
    """Of the grid; ``None`` where there are none, or they are not finite."""


class Scorer:
    """Scores one run under its policy. All that it waits for counts as scoring on the clock."""

    def __init__(
        self,
        policy: ScorePolicy,
        folder: TrialFolder,
        device: torch.device,
        heartbeat: Heartbeat,
        clock: Clock,
    ) -> None:
        self._policy, self._folder, self._device = policy, folder, device
        self._heartbeat, self._clock = heartbeat, clock
        self.seconds = 0.0
        """Seconds that the last score of a rung took."""
        self.rungs_beside = 0
        """How many rungs were scored while training went on."""
        self._begun: tuple[Sample, Future[RungScores]] | None = None
        self._fits_beside = True

    @property
    def evaluator(self) -> Evaluator:
        """What scores the run's images."""
        assert self._policy.evaluator is not None
        return self._policy.evaluator

    # ---- Between steps --------------------------------------------------------------------

    def score_start(self, sample: Sample, generator: str) -> Score:
        """The score of the generator before its first step; ``generator`` tells it from others."""
        with self._clock.scores():
            return self._policy.score_start(self._beating(sample), self._device, generator)

    def score_full(self, sample: Sample) -> Score:
        """A score under the full protocol. Raises ``ScoreError``."""
        with self._clock.scores():
            return self._policy.score(self._beating(sample), self._device, full=True)

    def score_rung(
        self, sample: Sample, needs_full: Callable[[Score], bool] = lambda score: False
    ) -> RungScores:
        """The scores at a rung; ``needs_full``: whether, by the first one, a full score is wanted
        too. Raises ``ScoreError``."""
        sample, begun = self._beating(sample), time.perf_counter()
        with self._clock.scores():
            score = self._policy.score(sample, self._device)
            is_wanted = needs_full(score)
            full = self._policy.score(sample, self._device, full=True) if is_wanted else None
            with seeded(0, self._device):
                samples = self._samples(sample)
        self.seconds = time.perf_counter() - begun
        return RungScores(score, full, samples)

    # ---- In the background ----------------------------------------------------------------

    @property
    def can_begin(self) -> bool:
        """Whether a rung can be scored while training goes on. Not by a user's network, which may
        draw random numbers and change settings of the process; nor where memory has ended by it."""
        return self._fits_beside and not self.evaluator.extractor.module.is_users

    def begin_rung(self, frozen: Callable[[], Sample]) -> bool:
        """Begins to score a rung; ``take_rung`` ends it. False where there is no memory for it.

        ``frozen``: makes a sampler that training does not change. Until then training may only
        replay recorded steps.
        """
        try:
            sample = frozen()
        except Exception as error:
            if not is_out_of_memory(error):
                raise
            self._give_up()
            return False
        work = partial(self._score_beside, self._beating(sample))
        self._begun = sample, in_background(work, self._device)
        return True

    def wait(self) -> float:
        """Waits until nothing is scored in the background. Seconds after the end of all that
        training has given a GPU to do: only these are of scoring."""
        if self._begun is None or self._begun[1].done():
            return 0.0
        if self._device.type == "cuda":
            torch.cuda.current_stream(self._device).synchronize()
        begun = time.perf_counter()
        with self._clock.scores():
            wait([self._begun[1]])
        return time.perf_counter() - begun

    def take_rung(self) -> RungScores:
        """The scores that were begun. Raises ``ScoreError``."""
        assert self._begun is not None
        self.wait()
        (sample, future), self._begun = self._begun, None
        error = future.exception()
        if error is None or not is_out_of_memory(error):
            self.rungs_beside += 1
            return future.result()
        del error, future  # they hold what was made until memory ended
        self._give_up()
        return self.score_rung(sample)

    def _give_up(self) -> None:
        _log.warning(
            "%s: there is no memory to score a rung while training goes on; its rungs are scored "
            "between steps",
            self._folder.path,
        )
        self._fits_beside = False
        release_memory(self._device)

    def close(self) -> None:
        """Waits until nothing is scored in the background, and forgets it."""
        try:
            self.wait()
        finally:
            self._begun = None

    def _score_beside(self, sample: Sample) -> RungScores:
        """Leaves the process's random numbers alone: training's replays may draw from them."""
        begun = time.perf_counter()
        score, samples = self.evaluator.score(sample), self._samples(sample)
        self.seconds = time.perf_counter() - begun
        return RungScores(score, None, samples)

    # ---- Pictures -------------------------------------------------------------------------

    def draw(self, taken: RungScores, kimg: float) -> None:
        """Draws what was taken at a rung; of a full score also the nearest training images."""
        samples = taken.samples
        if samples is None:
            return
        with self._clock.scores():
            save_grid(samples, self._folder.grid(kimg))
        if taken.full is not None:
            self.draw_neighbours(lambda *_: samples)

    def draw_neighbours(self, sample: Sample) -> None:
        """Draws samples beside the training images that are nearest to them."""
        with self._clock.scores():
            draw_nearest(sample, self._device, self.evaluator, self._folder.neighbours)

    def _samples(self, sample: Sample) -> Tensor | None:
        with suppress(ScoreError):  # a picture is best effort
            return fixed_samples(sample, self._device)
        return None

    def _beating(self, sample: Sample) -> Sample:
        return with_heartbeat(sample, self._heartbeat)
