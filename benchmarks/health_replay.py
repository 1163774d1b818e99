"""What each health preset would have done in a sweep in which no run was stopped.

    python -m benchmarks.health_replay [--curves benchmarks/curves/gan_landscape_digits.parquet]

Every run is replayed tick by tick, with the scores that a search would have taken: one of the
untrained generator, and one at each rung, 25, 50, 75 and 100% of the budget. The runs are those of
one search, one after the other: a rule about pace does not stop a run whose score is in the better
half of those that were at its rung before. A run has failed if
its last score is not finite, over twice its own best, or worse than that of real images that are
blurred beyond recognition. Thresholds were chosen by looking at the configurations below
``CHOSEN_ON``. Those below ``SEEN`` were judged with them before the rules were last changed. Nobody
had looked at the rest.
"""

from __future__ import annotations

import argparse
import math
import statistics
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from benchmarks.curves import CURVES, Curves, read_curves
from benchmarks.publish import RESULTS, ROOT, Report, table
from gantune.config.loss_families import LOSSES
from gantune.health import PRESETS, HealthMonitor, Verdict

__all__ = ["CHOSEN_ON", "RUNGS", "SEEN", "Part", "Replayed", "failure", "main", "replay", "report"]

RUNGS = (0.25, 0.5, 0.75, 1.0)
CHOSEN_ON = 76
"""The thresholds were chosen on configurations below this number."""
SEEN = 228
"""The rules were last changed after a look at configurations below this number."""


def replay(
    run: Curves, preset: str, peers: dict[float, list[float]] | None = None
) -> Verdict | None:
    """The verdict of a preset on a run, from the ticks and scores that a search would have had.

    ``peers``: the scores of the search's earlier runs at each rung, to which this run adds its own.
    A rule about pace does not stop a run in their better half. ``None``: a run outside a search.
    """
    config = run.config
    monitor = HealthMonitor(
        config["loss"],
        preset=preset,
        budget_kimg=config["kimg"],
        label_smoothing=config["label_smoothing"],
        defers_pace=peers is not None,
    )
    due, rung, is_better = [(rung, _at_rung(run, rung)) for rung in RUNGS], 0.0, False
    _observe(monitor, run.scores[0])
    for tick in run.ticks:
        signals = {name: value for name, value in tick.items() if name != "penalties"}
        monitor.observe(**signals)
        if due and tick["kimg"] == due[0][1]["kimg"]:
            rung, score = due.pop(0)
            _observe(monitor, score)
            if peers is not None:
                peers.setdefault(rung, []).append(_value(score))
                is_better = _value(score) <= statistics.median(peers[rung])
        if monitor.verdict is not None or (monitor.doubt and not is_better):
            return monitor.verdict or monitor.doubt
        if monitor.doubt:
            monitor.spare()
    return None


def failure(run: Curves, blurred: float) -> str | None:
    """How a run has failed, if it has."""
    values = [_value(score) for score in run.scores[1:]]
    if not math.isfinite(values[-1]):
        return "not finite"
    if values[-1] > 2 * min(values):
        return "over twice its best"
    return "unreadable" if values[-1] > blurred else None


def reached(run: Curves) -> float:
    """The score of the checkpoint that a search would have selected."""
    return min(_value(_at_rung(run, rung)) for rung in RUNGS)


@dataclass(frozen=True)
class Replayed:
    """One run under one preset."""

    family: str
    failure: str | None
    is_top: bool
    """Whether it is in the best quarter of all runs."""
    is_worst: bool
    """Whether it is in the worst tenth of the runs that have not failed."""
    rule: str | None
    share: float
    """Share of the budget that was spent; 1 if the run was not stopped. A verdict at the very end
    stops nothing."""

    @property
    def is_stopped(self) -> bool:
        """Whether a verdict ended it before its budget did."""
        return self.rule is not None and self.share < 1


@dataclass(frozen=True)
class Part:
    """What one preset did to one part of the sweep."""

    preset: str
    runs: int
    failed: int
    caught: int
    """Stopped, or told at the end."""
    told_at_end: int
    """How many of these had their verdict at the very end, which saves nothing."""
    median_share: float
    """Share of the budget at which failed runs were stopped; 1 if they were not."""
    failed_saved: float
    """Share of the failed runs' budget."""
    others: int
    others_stopped: int
    worst_stopped: int
    """How many of these are among the worst tenth of all others."""
    top: int
    top_stopped: int
    saved: float
    """Share of the whole budget."""

    @classmethod
    def of(cls, preset: str, runs: Sequence[Replayed]) -> Part:
        failed = [run for run in runs if run.failure]
        others = [run for run in runs if not run.failure]
        shares = [run.share for run in failed]
        top = [run for run in runs if run.is_top]
        return cls(
            preset=preset,
            runs=len(runs),
            failed=len(failed),
            caught=sum(run.rule is not None for run in failed),
            told_at_end=sum(run.rule is not None and not run.is_stopped for run in failed),
            median_share=statistics.median(shares),
            failed_saved=1 - statistics.fmean(shares),
            others=len(others),
            others_stopped=_stopped(others),
            worst_stopped=_stopped([run for run in others if run.is_worst]),
            top=len(top),
            top_stopped=_stopped(top),
            saved=1 - statistics.fmean(run.share for run in runs),
        )


def _stopped(runs: Sequence[Replayed]) -> int:
    return sum(run.is_stopped for run in runs)


def _replayed(
    run: Curves, verdict: Verdict | None, blurred: float, top: float, worst: float
) -> Replayed:
    return Replayed(
        family=LOSSES[run.config["loss"]].family,
        failure=failure(run, blurred),
        is_top=reached(run) <= top,
        is_worst=reached(run) >= worst,
        rule=None if verdict is None else verdict.rule,
        share=1.0 if verdict is None else min(1.0, verdict.at / run.config["kimg"]),
    )


def _at_rung(run: Curves, rung: float) -> Any:
    return run.scores[round(rung * (len(run.scores) - 1))]


def _value(score: Any) -> float:
    return math.inf if score["value"] is None else float(score["value"])


def _observe(monitor: HealthMonitor, score: Any) -> None:
    value = _value(score)
    monitor.observe_score(kimg=score["kimg"], score=value, spread=score.get("spread"))


def report(parts: dict[str, list[Part]], rules: Sequence[tuple[str, ...]], facts: Any) -> str:
    """The tables as Markdown."""
    columns = (
        *("preset", ">runs", ">failed", ">caught", ">of these at the end", ">stopped at"),
        ">their budget saved",
        *(">others stopped", ">in their worst tenth", ">best quarter stopped"),
        ">whole budget saved",
    )
    texts = [
        f"**{name}**\n\n{table(columns, [_line(part) for part in found])}"
        for name, found in parts.items()
    ]
    by_rule = table(("rule (default)", "family", ">failed runs stopped", ">others stopped"), rules)
    return (
        "\n\n".join(texts)
        + f"\n\nBy rule, over all runs:\n\n{by_rule}\n\n"
        + f"Digits at 16 pixels, {facts['kimg']:g} kimg a run, batches of 32. A run has failed "
        f"if its last score is over twice its best, over {facts['blurred_score']:,.0f} (real "
        "images blurred with a box of 7 pixels) or not finite. The worst tenth is of the runs that "
        "did not fail, the best quarter of all runs. At the end: a verdict that comes with the "
        "last score and stops nothing. Stopped at: the median share of the budget at "
        f"which failed runs were stopped. Protocol `{facts['protocol']}`. {facts['machine']}; by "
        f"`{facts['script']}`, then `python -m benchmarks.health_replay`."
    )


def _line(part: Part) -> tuple[str, ...]:
    return (
        part.preset,
        f"{part.runs}",
        f"{part.failed}",
        f"{part.caught} ({part.caught / max(1, part.failed):.0%})",
        f"{part.told_at_end}",
        f"{part.median_share:.0%}",
        f"{part.failed_saved:.0%}",
        f"{part.others_stopped} of {part.others} ({part.others_stopped / max(1, part.others):.1%})",
        f"{part.worst_stopped} of {part.others_stopped}",
        f"{part.top_stopped} of {part.top}",
        f"{part.saved:.0%}",
    )


def by_rule(runs: Sequence[Replayed]) -> list[tuple[str, ...]]:
    """How many runs each rule stopped in each family: failed ones, and others."""
    stopped = [run for run in runs if run.is_stopped]
    failed = Counter((run.rule, run.family) for run in stopped if run.failure)
    others = Counter((run.rule, run.family) for run in stopped if not run.failure)
    pairs = sorted({*failed, *others}, key=lambda pair: -failed[pair])
    return [
        (f"{rule}", family, f"{failed[rule, family]}", f"{others[rule, family]}")
        for rule, family in pairs
    ]


def main(arguments: Sequence[str] | None = None) -> None:
    """Prints the tables and writes them to the results and the page."""
    given = _parser().parse_args(arguments)
    facts, curves = read_curves(given.curves)
    runs = list(curves)
    blurred = facts["blurred_score"]
    top = statistics.quantiles(map(reached, runs), n=4)[0]
    worst = statistics.quantiles([reached(r) for r in runs if not failure(r, blurred)], n=10)[-1]
    found: dict[str, list[Replayed]] = {}
    for preset in PRESETS:
        if preset != "off":
            peers: dict[float, list[float]] = {}
            verdicts = [replay(run, preset, peers) for run in runs]
            pairs = zip(runs, verdicts, strict=True)
            found[preset] = [_replayed(run, said, blurred, top, worst) for run, said in pairs]

    def parts(first: int, last: int) -> list[Part]:
        inside = [first <= run.configuration < last for run in runs]
        return [
            Part.of(preset, [run for run, own in zip(all_, inside, strict=True) if own])
            for preset, all_ in found.items()
            if any(inside)
        ]

    count = max(run.configuration for run in runs) + 1
    middle = f"configurations {CHOSEN_ON} to {SEEN - 1}"
    sides = {
        f"Never seen before: configurations from {SEEN} on": parts(SEEN, count),
        f"Seen before the last change of the rules: {middle}": parts(CHOSEN_ON, SEEN),
        f"Used to choose the thresholds: configurations below {CHOSEN_ON}": parts(0, CHOSEN_ON),
    }
    text = report(sides, by_rule(found["default"]), facts)
    tree = {"facts": facts, "parts": {k: [asdict(p) for p in v] for k, v in sides.items()}}
    place = Report("health_replay", torch.device("cpu"), given.results, given.page)
    place.write(tree, "Health on a sweep of our own", text)
    print(text)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--curves", type=Path, default=CURVES / "gan_landscape_digits.parquet")
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--page", type=Path, default=ROOT / "docs" / "health.md")
    return parser


if __name__ == "__main__":
    main()
