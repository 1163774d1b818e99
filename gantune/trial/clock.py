"""``Clock``: how long a run has trained, and how long it was scored."""

import time
from collections.abc import Iterator
from contextlib import contextmanager


class Clock:
    """Counts seconds of training and of scoring apart."""

    def __init__(self) -> None:
        self.scoring = 0.0
        """Seconds of scoring, checkpoints and pictures included."""
        self._begun = time.perf_counter()  # later by all that is not of training

    @property
    def training(self) -> float:
        """Seconds of training."""
        return time.perf_counter() - self._begun

    def resume_from(self, training: float) -> None:
        """Continues from the seconds that a run had trained before it was resumed."""
        self._begun = time.perf_counter() - training

    def left(self, share: float) -> float:
        """Seconds until the end, at the pace of the run so far, scores included. ``share``: of the
        run that is done, more than 0."""
        return (self.training + self.scoring) * (1 - share) / share

    @contextmanager
    def scores(self) -> Iterator[None]:
        """Counts the time within it as scoring, not as training."""
        begun = time.perf_counter()
        yield
        seconds = time.perf_counter() - begun
        self.scoring += seconds
        self._begun += seconds
