"""What health says of other people's logs, and how well it does on logs that it was not tuned on.

    python -m benchmarks.health_logs --logs PATH [--presets default,strict,lenient]

``--logs``: a folder of ``RUN.csv`` (``step,d_loss,g_loss,fid``) with a ``runs.csv`` that says each
run's loss, whether its D loss contains other terms, its best step and a label. *collapsed* and
*stillborn* runs should be stopped, *healthy* runs should not; *degraded* runs are in between.

Apart from the presets there is leave-one-out: each run is judged with thresholds that were chosen
only on the other runs. Each threshold has a coarse list of values. Among those that stop no healthy
run and catch the most of the rest, the middle one is chosen.
"""

from __future__ import annotations

import argparse
import csv
import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from benchmarks.publish import RESULTS, ROOT, Report, table
from gantune.config.loss_families import LOSSES
from gantune.health import HealthMonitor, Verdict
from gantune.health.loss_guess import FIRST, guess_loss

__all__ = ["FREE", "Log", "judge", "left_out", "main", "read_logs", "report"]

DEAD = ("collapsed", "stillborn")

FREE: dict[tuple[str, str], tuple[float, ...]] = {
    ("discriminator_won", "loss"): (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5),
    ("critic_dead", "loss"): (1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 0.1, 0.5),
    ("worsened", "lasting"): (1.02, 1.05, 1.1, 1.2, 1.3, 1.5, 1.7, 1.9),
    ("stillborn", "fid"): (20.0, 30.0, 50.0, 70.0, 100.0, 125.0, 150.0, 175.0),
}
"""The thresholds that matter for these logs, each with the values that leave-one-out chooses from,
ordered by how many runs they stop."""


@dataclass(frozen=True)
class Log:
    """One published training."""

    name: str
    loss: str
    is_auxiliary: bool
    """Whether the logged D loss contains other terms than the adversarial one."""
    label: str
    best_step: float
    rows: tuple[Mapping[str, float], ...]

    @property
    def last_step(self) -> float:
        """Where the log ends."""
        return self.rows[-1]["step"]

    @property
    def collapse(self) -> float:
        """The first step past the best one at which the FID is over twice it; else the best."""
        best = min(row["fid"] for row in self.rows if "fid" in row)
        later = (row for row in self.rows if row["step"] > self.best_step and "fid" in row)
        return next((row["step"] for row in later if row["fid"] > 2 * best), self.best_step)

    def saved(self, verdict: Verdict) -> float:
        """Share of the budget after the collapse that is saved by stopping there."""
        stop = max(verdict.at, self.collapse)
        return (self.last_step - stop) / (self.last_step - self.collapse)


def read_logs(folder: Path) -> list[Log]:
    """All logs that ``runs.csv`` names."""
    with (folder / "runs.csv").open(encoding="utf-8", newline="") as file:
        return [_read(folder / f"{run['run']}.csv", run) for run in csv.DictReader(file)]


def _read(path: Path, run: Mapping[str, str]) -> Log:
    with path.open(encoding="utf-8", newline="") as file:
        rows = tuple(
            {name: float(cell) for name, cell in row.items() if cell}
            for row in csv.DictReader(file)
        )
    is_auxiliary = run["auxiliary_terms_in_d_loss"] == "yes"
    best = float(run["best_fid_step"])
    return Log(run["run"], run["loss"], is_auxiliary, run["label"], best, rows)


def judge(log: Log, preset: str | Mapping[str, Any], with_fid: bool) -> Verdict | None:
    """The verdict on a log, read from its beginning."""
    monitor = HealthMonitor(log.loss, preset=preset, auxiliary=log.is_auxiliary)
    for row in log.rows:
        signals = row if with_fid else {key: row[key] for key in row if key != "fid"}
        if monitor.observe(**signals) is not None:
            return monitor.verdict
    return None


def left_out(logs: Sequence[Log], with_fid: bool) -> list[tuple[Log, bool]]:
    """Each log, and whether thresholds that were chosen on the other logs stop it."""
    stops = {
        threshold: [[_alone(log, threshold, value, with_fid) for log in logs] for value in values]
        for threshold, values in FREE.items()
    }
    found = []
    for place, log in enumerate(logs):
        others = [k for k in range(len(logs)) if k != place]
        chosen = [_chosen(table_, logs, others) for table_ in stops.values()]
        found.append((log, any(row[place] for row in chosen)))
    return found


def _alone(log: Log, threshold: tuple[str, str], value: float, with_fid: bool) -> bool:
    """Whether one rule with one changed threshold stops a log."""
    rule, name = threshold
    changed: dict[str, Any] = {name: value}
    if name == "lasting":
        changed["highest"] = value + 0.5
    preset = {"preset": "off", rule: changed}
    return judge(log, preset, with_fid) is not None


def _chosen(
    rows: Sequence[Sequence[bool]], logs: Sequence[Log], others: Sequence[int]
) -> Sequence[bool]:
    """The row of the middle value among those that do best on the other runs."""
    safe = [row for row in rows if not any(row[k] for k in others if logs[k].label == "healthy")]
    caught = [sum(row[k] for k in others if logs[k].label in DEAD) for row in safe]
    best = [row for row, count in zip(safe, caught, strict=True) if count == max(caught)]
    return best[len(best) // 2]


def _line(name: str, stopped: Sequence[tuple[Log, bool]], saved: Sequence[float]) -> list[str]:
    count = Counter(log.label for log, is_stopped in stopped if is_stopped)
    total = Counter(log.label for log, _ in stopped)
    labels = (*DEAD, "healthy", "degraded")
    share = f"{statistics.median(saved):.0%}" if saved else ""
    return [name, *(f"{count[label]} of {total[label]}" for label in labels), share]


def summary(logs: Sequence[Log], presets: Sequence[str], with_fid: bool) -> list[list[str]]:
    """A row for each preset, and one for leave-one-out."""
    lines = []
    for preset in presets:
        verdicts = [judge(log, preset, with_fid) for log in logs]
        pairs = list(zip(logs, verdicts, strict=True))
        saved = [log.saved(v) if v else 0.0 for log, v in pairs if log.label == "collapsed"]
        lines.append(_line(preset, [(log, v is not None) for log, v in pairs], saved))
    return [*lines, _line("leave-one-out", left_out(logs, with_fid), [])]


def by_rule(logs: Sequence[Log]) -> list[list[str]]:
    """Runs that each rule of ``default`` stops on its own, by its inputs and by family."""
    lines = []
    for with_fid in (True, False):
        for rule in (
            "non_finite",
            "exploding",
            *dict.fromkeys(rule for rule, _ in FREE),
            "cycling",
        ):
            preset = {"preset": "off", rule: "default"}
            stopped = [log for log in logs if judge(log, preset, with_fid) is not None]
            for family in sorted({LOSSES[log.loss].family for log in stopped}):
                own = [log for log in stopped if LOSSES[log.loss].family == family]
                dead = sum(log.label in DEAD for log in own)
                given = "losses and FID" if with_fid else "only losses"
                healthy = sum(log.label == "healthy" for log in own)
                lines.append([given, rule, family, f"{dead}", f"{healthy}"])
    return lines


def guesses(logs: Sequence[Log]) -> str:
    """How often the loss is guessed right from the first records."""
    guessed = [(log.loss, guess_loss(log.rows[:FIRST])) for log in logs]
    found = [(loss, guess and guess.loss) for loss, guess in guessed]
    right = sum(loss == guess for loss, guess in found)
    none = sum(guess is None for _, guess in found)
    wrong = Counter(f"{loss} as {guess}" for loss, guess in found if guess not in (loss, None))
    which = ", ".join(f"{count} {what}" for what, count in wrong.items())
    return (
        f"Where no loss is named, it is guessed from the first {FIRST} records: right in {right} "
        f"logs, wrong in {len(logs) - right - none} ({which or 'none'}), and left open in {none}."
    )


def report(logs: Sequence[Log], presets: Sequence[str]) -> str:
    """The tables as Markdown."""
    columns = (
        *("thresholds", ">collapsed caught", ">stillborn caught", ">healthy stopped"),
        *(">degraded stopped", ">saved after the collapse"),
    )
    texts = [
        f"**{name}**\n\n{table(columns, summary(logs, presets, with_fid))}"
        for name, with_fid in (("Losses and FID", True), ("Only losses", False))
    ]
    rules = table(
        ("input", "single rule", "family", ">failed caught", ">healthy stopped"), by_rule(logs)
    )
    counts = Counter(log.label for log in logs)
    labels = ", ".join(f"{counts[label]} {label}" for label in (*DEAD, "healthy", "degraded"))
    return (
        "\n\n".join(texts)
        + f"\n\n{rules}\n\n{guesses(logs)}\n\n"
        + f"{len(logs)} runs on CIFAR-10, published by PyTorch-StudioGAN: {labels}. Saved: the "
        "median share of the steps after the first FID over twice the best, 0 for a run that was "
        "not caught. By `python -m benchmarks.health_logs`."
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Prints the tables and writes them to the results and the page."""
    given = _parser().parse_args(arguments)
    logs = read_logs(given.logs)
    text = report(logs, given.presets.split(","))
    verdicts = [judge(log, "default", with_fid=True) for log in logs]
    tree = {
        log.name: None if verdict is None else [verdict.rule, verdict.at, verdict.sentence]
        for log, verdict in zip(logs, verdicts, strict=True)
    }
    place = Report("health_logs", torch.device("cpu"), given.results, given.page)
    place.write(tree, "Health on published logs", text)
    print(text)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--logs", type=Path, required=True, help="folder with runs.csv")
    parser.add_argument("--presets", default="default,strict,lenient", help="separated by commas")
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--page", type=Path, default=ROOT / "docs" / "health.md")
    return parser


if __name__ == "__main__":
    main()
