"""From where on each rule can act in a run, and which never can: a short run hides much."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from gantune.config.loss_families import Family
from gantune.health.course import Course
from gantune.health.rules import Rule
from gantune.io.formatting import figure

END = 1 - 1e-6
"""Share of the budget that counts as its end: the sum of many rounded steps is slightly below 1."""

_LATE = 0.5  # share of the run from which on it is worth a word that a rule acts only then


@dataclass(frozen=True)
class Reach:
    """From where on a rule can act in one run."""

    rule: str
    at: float | None
    """The first place at which it may give a verdict; ``None``: nowhere in this run."""
    needs: str
    """What it waits for, or what the run does not have."""

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {"rule": self.rule, "from": self.at, "needs": self.needs}


def reaches(rules: Iterable[Rule], course: Course) -> list[Reach]:
    """The reach of each rule that judges the losses of this run."""
    end = END * (course.budget or math.inf)
    found = []
    for rule in rules:
        if not rule.families & course.families:
            continue
        need = rule.need(course)
        last = math.inf if rule.judges_end or rule.is_instant else end
        found.append(Reach(rule.name, need.at if need.at < last else None, need.text))
    return found


def reach_sentences(
    rules: Iterable[Rule],
    *,
    kimg: float,
    tick_kimg: float | None,
    scores: Sequence[float],
    families: Iterable[Family],
) -> list[str]:
    """What a planned run hides from the rules: which can never act, and which only late.

    ``tick_kimg``: ``None`` where it is not known, as of a user's trainer. ``scores``: in kimg.
    """
    course = Course.planned(kimg, tick_kimg or kimg / 1000, scores, families)
    found = reaches(rules, course)
    ticks = "" if tick_kimg is None else f" in ticks of {figure(tick_kimg)} kimg"
    run = f"in a run of {figure(kimg)} kimg{ticks}"
    never = [f"{one.rule} (needs {one.needs})" for one in found if one.at is None]
    late = [
        f"{one.rule} from {figure(one.at)} kimg"
        for one in found
        if one.at is not None and one.at > _LATE * kimg
    ]
    sentences = []
    if never:
        sentences.append(f"health: {run} these rules cannot act: {', '.join(never)}")
    if late:
        sentences.append(f"health: {run} these rules act late: {', '.join(late)}")
    return sentences
