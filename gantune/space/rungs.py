"""Where the rungs of a space fall in its trials: two that fall together are one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from gantune.config import TrialConfig
from gantune.errors import Problem
from gantune.io.formatting import number
from gantune.space.distributions import is_number
from gantune.space.overrides import Source
from gantune.space.settings import Pruning, percent_text
from gantune.space.tree import Tree


@dataclass(frozen=True)
class Steps:
    """The coarsest steps of any trial of a space: the shortest trial, the largest batch and tick.

    An external trainer's batches and ticks are not known: they count as one image.
    """

    kimg: float
    batch: int
    """Images that the discriminator is shown from one generator step to the next."""
    tick: int
    """Images from one tick to the next; a rung is scored at the tick that reaches it."""

    @classmethod
    def of(cls, config: TrialConfig) -> Steps:
        """Those of one config."""
        batch = config.batch_size * config.discriminator.steps
        return cls(config.kimg, batch, max(1, round(1000 * config.tick_kimg)))

    def have(self, shares: tuple[float, ...]) -> bool:
        """Whether rungs at these shares come neither too early nor together."""
        return not any(_fault(share, later, self) for share, later in _with_next(shares))

    def images(self, share: float) -> int:
        """Images at a rung."""
        return round(1000 * self.kimg * share)

    def scored_at(self, share: float) -> int:
        """Images at which a rung is scored."""
        images = self.images(share)
        at = self._whole_batches(images)
        if at // self.tick == (at - self.batch) // self.tick:  # no tick ends there
            at = self._whole_batches((at // self.tick + 1) * self.tick)
        return min(at, self._whole_batches(self.images(1.0)))

    def _whole_batches(self, images: int) -> int:
        return -(-images // self.batch) * self.batch


def steps_of(tree: Tree) -> Steps | None:
    """The steps of a space's trials; ``None`` where its length is no number."""

    def values(*path: str) -> list[float]:
        found = tree.values_at(path) if not tree.takes_any or tree.at(path) else []
        return [float(value) for value in found if is_number(value)]

    lengths = values("kimg")
    if not lengths:
        return None
    if tree.takes_any:
        return Steps(min(lengths), 1, 1)
    batches = values("batch_size")
    for leaf in tree.at(("discriminator", "steps")):  # with the batches that may go with them
        together = filter(is_number, tree.values_at(("batch_size",), leaf.when))
        steps = filter(is_number, tree.values_of(leaf))
        batches.append(max(together) * max(steps, default=1))
    tick = max(1, round(1000 * max(values("tick_kimg"))))
    return Steps(min(lengths), round(max(batches)), tick)


def check_rungs(pruning: Pruning, tree: Tree, source: Source) -> tuple[Pruning, list[Problem], str]:
    """Checks the rungs at which trials pause against the coarsest steps of any trial.

    A default rung that does not fit moves to the next percent that does, and is left out if there
    is none before the next rung; a sentence tells. Rungs that the user has written are problems.
    """
    steps = steps_of(tree)
    if not pruning.pauses or steps is None:
        return pruning, [], ""
    faults = [_fault(share, later, steps) for share, later in _with_next(pruning.shares)]
    wrong = {place: text for place, text in enumerate(faults) if text}
    if pruning.rungs is not None:
        place = ("pruning", "rungs")
        problems = [
            source.problem((*place, index), f"pruning.rungs: {text}; {_REMEDY}")
            for index, text in wrong.items()
        ]
        return pruning, problems, ""
    if not wrong:
        return pruning, [], ""
    kept = tuple(_fitted(pruning.shares, steps))
    left = ", ".join(map(percent_text, kept)) if kept else "none, so that no trial is paused"
    note = f"pruning.rungs: {next(iter(wrong.values()))}; the rungs are {left}"
    return pruning.model_copy(update={"rungs": kept}), [], note


_REMEDY = "remove it, or train longer"


def _fitted(shares: tuple[float, ...], steps: Steps) -> Iterator[float]:
    """The rungs, each moved to the first whole percent that fits; the last one no further than to
    its double."""
    for share, later in _with_next(shares):
        end = later if later < 1 else min(1.0, 2 * share)
        moved = (percent / 100 for percent in range(round(100 * share), round(100 * end)))
        fitting = (each for each in moved if not _fault(each, later, steps))
        if (found := next(fitting, None)) is not None:
            yield found


def _fault(share: float, later: float, steps: Steps) -> str:
    """Why a rung comes too early or falls together with the next one; empty if it fits."""
    shortest = f"in the shortest trial ({number(steps.kimg)} kimg)"
    here, there = steps.images(share), steps.images(later)
    both = f"{percent_text(share)} and {percent_text(later)}"
    if here < steps.batch:
        least = "no image" if here == 0 else f"{here} images"
        batch = f", less than a batch of {steps.batch}" if steps.batch > 1 else ""
        return f"{percent_text(share)} is {least}{batch} {shortest}"
    if here == there:
        return f"{both} are the same number of images, {here}, {shortest}"
    if -(-here // steps.batch) == -(-there // steps.batch):
        images = f"{here} and {there} images"
        return f"{both} are {images}, in one batch of {steps.batch}, {shortest}"
    if steps.scored_at(share) == steps.scored_at(later):
        tick = f"{number(steps.tick / 1000)} kimg (tick_kimg)"
        return f"{both} fall into one tick of {tick} {shortest}"
    return ""


def _with_next(shares: tuple[float, ...]) -> Iterator[tuple[float, float]]:
    """Each rung with the next one, which is the end for the last."""
    return zip(shares, (*shares[1:], 1.0), strict=False)
