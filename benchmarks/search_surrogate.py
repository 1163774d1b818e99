"""What long searches find: a surrogate in the place of a table.

    python -m benchmarks.search_surrogate [--tables digits,fashion] [--seeds 32]

A recorded sweep has a few hundred settings. A search that trains more than a few dozen whole runs
has had the best of them, and what it would find beyond cannot be seen. So trees (extremely
randomised ones, Geurts et al. 2006) are fitted here to a table's curves: the logarithm of the score
at each share of a run, from the parameters. A search may train any setting. Its scores are those of
the trees with noise: of a seed, 10% at the end of a run, and of each score, 3%. They tell a
standard error of 2%, since a told error does not hold all that varies.

Compared is the last score, without noise, of the setting whose last score with noise is the best,
after as much training as 8, 16 and 32 whole runs. The figure is the geometric mean over seeds,
beside that of a plain script with Optuna's defaults on the same seeds. Finals are left out.

The trees never predict a better score than was recorded, so real searches may differ more.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import torch
from sklearn.ensemble import ExtraTreesRegressor
from sklearn.model_selection import cross_val_predict

from benchmarks.curves import read_curves
from benchmarks.publish import RESULTS, ROOT, Report, describe_machine, table
from benchmarks.replay import Recorded, Replay, Strategy, recorded
from benchmarks.searches import DEFAULT, STRATEGIES, gantune_search
from benchmarks.sweep import TABLES
from gantune.space.distributions import Range

__all__ = ["COMPARED", "MARKS", "PLAIN", "Surrogate", "main", "report"]

MARKS = (8, 16, 32)
"""Training after which searches are compared, in whole runs."""
_TPE = "sampler.name=tpe"
PLAIN = "Optuna: TPE, median pruner"
"""The search that the others are compared with."""
COMPARED: dict[str, Strategy] = {
    name: STRATEGIES[name]
    for name in (PLAIN, "gantune: TPE, median", DEFAULT, "the same, random settings")
} | {
    "the same, without ties": STRATEGIES["the same, without ties"],
    "the same, factor 4": gantune_search(_TPE, "pruning={rule: halving, factor: 4}"),
    "the same, hyperband": STRATEGIES["the same, hyperband"],
}
"""The strategies that are measured here; "the same" is gantune's default but for what follows."""
_PAGE = ROOT / "docs" / "search.md"
_SEED, _SCORE = 0.1, 0.03  # standard deviations of the logarithm
_ERROR = 0.02  # the told standard error of a score, as a share of it
_WORST = 2000.0  # stands for a score that is not finite


class Surrogate(Replay):
    """A replay whose settings are any, with scores that trees predict.

    ``has_best`` says whether the training is used up.
    """

    def __init__(self, table: Recorded, seed: int) -> None:
        super().__init__(replace(table, runs=tuple(table.runs) * 10))  # no search begins as many
        self._rng = np.random.default_rng(seed)
        self._curves: list[np.ndarray] = []
        self._luck: list[float] = []
        self._ends: dict[int, float] = {}
        self.found: list[float] = []
        """The winner's last score without noise, at each of ``MARKS``."""

    def nearest(self, params: dict[str, Any]) -> int | None:
        """A new setting."""
        known = self.table.scale(params)
        self._curves.append(_forest(self.table.name).predict([_features(self.table, known)])[0])
        self._luck.append(self._rng.normal(0, _SEED))
        return len(self._curves) - 1

    def train(self, number: int, before: int, percent: int) -> tuple[float, float]:
        """As in a replay; any share can be trained to."""
        share, curve = percent / 100, self._curves[number]
        self.spent += self.table.kimg * (percent - before) / 100
        expected = np.interp(share, np.linspace(0, 1, len(curve)), curve)
        noise = share * self._luck[number] + self._rng.normal(0, _SCORE)
        value = math.exp(expected + noise)
        if percent == 100:
            self._ends[number] = value
        passed = sum(self.spent >= mark * self.table.kimg for mark in MARKS)
        self.found += [self._winner()] * (passed - len(self.found))
        self.has_best = len(self.found) == len(MARKS)
        return value, _ERROR * value

    def _winner(self) -> float:
        if not self._ends:
            return _WORST
        best = min(self._ends, key=lambda number: self._ends[number])
        return math.exp(self._curves[best][-1])


@cache
def _forest(name: str) -> ExtraTreesRegressor:
    return _new_forest().fit(*_known(name))


def _new_forest() -> ExtraTreesRegressor:
    return ExtraTreesRegressor(80, max_features=0.7, random_state=0)


def _known(name: str) -> tuple[np.ndarray, np.ndarray]:
    """The parameters of all recorded runs, and the logarithms of their scores."""
    found, rows, curves = recorded(name), [], []
    for run in read_curves(TABLES[name].path)[1]:
        values = [line["value"] for line in run.scores]
        known = [_WORST if v is None or not math.isfinite(v) else min(v, _WORST) for v in values]
        rows.append(_features(found, found.scale(dict(run.params))))
        curves.append(np.log(known))
    return np.array(rows), np.array(curves)


def _features(found: Recorded, scaled: dict[str, Any]) -> list[float]:
    """Parameters as numbers: a range as its place in [0, 1], a choice as one number a value; -1 and
    zeros where a parameter does not matter."""
    row: list[float] = []
    for name, distribution in sorted(found.space.parameters().items()):
        if isinstance(distribution, Range):
            row.append(scaled.get(name, -1.0))
        else:
            row += [float(scaled.get(name) == str(value)) for value in distribution.values]
    return row


def fit_quality(name: str) -> float:
    """R2 of the last scores' logarithms, predicted by trees that have not seen them."""
    rows, curves = _known(name)
    guessed = cross_val_predict(_new_forest(), rows, curves, cv=10)[:, -1]
    ends = curves[:, -1]
    return float(1 - np.square(guessed - ends).mean() / ends.var())


def search(name: str, strategy: str, seed: int) -> list[float]:
    """One search: what it has found at each of ``MARKS``."""
    surrogate = Surrogate(recorded(name), seed)
    COMPARED[strategy](surrogate, seed)
    return surrogate.found


def measure(name: str, seeds: int, processes: int) -> dict[str, Any]:
    """The figures of one table."""
    with ProcessPoolExecutor(processes, initializer=_ready) as pool:
        runs = {
            strategy: [pool.submit(search, name, strategy, seed) for seed in range(seeds)]
            for strategy in COMPARED
        }
        found = {strategy: [one.result() for one in many] for strategy, many in runs.items()}
    machine = describe_machine(torch.device("cpu"), processes)
    return {"fit": fit_quality(name), "seeds": seeds, "machine": machine, "found": found}


def _ready() -> None:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    torch.set_num_threads(1)


def report(tree: dict[str, Any]) -> str:
    """The figures of all tables as Markdown."""
    parts = []
    for name, one in tree.items():
        plain = np.log(one["found"][PLAIN])
        rows = []
        for strategy, found in one["found"].items():
            apart = np.log(found) - plain
            error = apart.std(axis=0, ddof=1) / math.sqrt(len(apart))
            ratios = [
                f"{math.exp(mean):.2f} ({math.exp(mean - 1.96 * e):.2f} to "
                f"{math.exp(mean + 1.96 * e):.2f})"
                for mean, e in zip(apart.mean(axis=0), error, strict=True)
            ]
            rows.append((strategy, *ratios, f"{np.exp(np.log(found)[:, -1].mean()):.1f}"))
        columns = ["strategy", *(f">{mark} runs" for mark in MARKS), f">score at {MARKS[-1]}"]
        parts.append(
            f"**Surrogate of `{name}`**: the winner's score beside that of the plain script, after "
            f"as much training as so many whole runs; 95% intervals over {one['seeds']} seeds. "
            f"The trees explain {one['fit']:.0%} of the variance of last scores that they have not "
            f"seen. {one['machine']}; by `python -m benchmarks.search_surrogate`.\n\n"
            + table(columns, rows)
        )
    return "\n\n".join(parts)


def main(
    arguments: Sequence[str] | None = None, folder: Path = RESULTS, page: Path = _PAGE
) -> None:
    """Measures, prints and writes the results."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--tables", default="digits,fashion", help="comma-separated")
    parser.add_argument("--seeds", type=int, default=32)
    parser.add_argument("--processes", type=int, default=2)
    given = parser.parse_args(arguments)
    place = Report("search_surrogate", torch.device("cpu"), folder, page)
    tree = place.read()
    for name in given.tables.split(","):
        tree[name] = measure(name, given.seeds, given.processes)
        place.write(tree, "What long searches find", report(tree))
    print(report(tree))


if __name__ == "__main__":
    main()
