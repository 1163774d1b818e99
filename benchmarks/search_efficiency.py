"""How much training each way of searching needs until one of the best settings is trained.

    python -m benchmarks.search_efficiency [--orders 50] [--processes 2]

A recorded sweep (``benchmarks/curves.py``) takes the place of training: a strategy proposes a
setting, gets the nearest one in the table that was not proposed before, and sees its recorded
scores as far as it trains it. A strategy ends once it has trained one of the best 1% of all
settings to its end. What it has trained by then is compared with random search, whose settings are
all trained to their ends. Health stops nothing here.

The rungs and the factor of ``halving`` were chosen on this table, so its figures are of a search
that was tuned on the settings that it is judged by.
"""

from __future__ import annotations

import argparse
import math
import statistics
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import torch
from optuna.pruners import HyperbandPruner, MedianPruner
from optuna.samplers import TPESampler
from optuna.storages import InMemoryStorage

from benchmarks.curves import CURVES, Curves, read_curves
from benchmarks.health_sweep import space_of
from benchmarks.publish import RESULTS, ROOT, Report, describe_machine, table
from gantune.config import TrialConfig
from gantune.run_folder.run import RunFolder
from gantune.scores import Score
from gantune.scores.score import Protocol
from gantune.space import SearchSpace, load_space
from gantune.space.distributions import Range
from gantune.trial.records import Assignment, Outcome, RungReport
from gantune.tuner.driver import Driver, SearchContext
from gantune.tuner.study import make_sampler

__all__ = ["STRATEGIES", "Replay", "main", "measure", "report", "spent_until_best"]

BEST = 0.01
"""The share of settings that count as the best."""
_PAGE = ROOT / "docs" / "search.md"
_HYPERBAND_STEP = 5  # percent; how often the plain script with Hyperband reports
_UNKNOWN = 1e9  # the score of a setting whose images were not finite


class Replay:
    """A table of settings with their recorded scores, and what a strategy has trained so far."""

    def __init__(self, runs: Sequence[Curves], params: Sequence[dict[str, Any]], kimg: float):
        self._runs, self._params, self.kimg = runs, params, kimg
        ranked = sorted(range(len(runs)), key=lambda number: self.score(number, 100)[0])
        self.best = set(ranked[: max(1, round(BEST * len(runs)))])
        self._free = set(range(len(runs)))
        self.spent = 0.0
        """Kimg trained so far."""
        self.has_best = False
        """Whether one of the best settings was trained to its end."""

    def nearest(self, params: dict[str, Any]) -> int | None:
        """The nearest setting that was not taken before; ``None`` where all were."""
        if not self._free:
            return None
        found = min(
            self._free, key=lambda number: (_distance(params, self._params[number]), number)
        )
        self._free.remove(found)
        return found

    def train(self, number: int, before: int, percent: int) -> tuple[float, float]:
        """Trains a setting from one percentage of its length to another: score and error there."""
        self.spent += self.kimg * (percent - before) / 100
        self.has_best |= percent == 100 and number in self.best
        return self.score(number, percent)

    def score(self, number: int, percent: int) -> tuple[float, float]:
        """A recorded score and its standard error."""
        scores = self._runs[number].scores
        line = scores[round(percent / 100 * (len(scores) - 1))]
        value, error = line["value"], line.get("error")
        if value is None or not math.isfinite(value):
            return _UNKNOWN, 0.0
        return value, error or 0.0


def _distance(first: dict[str, Any], second: dict[str, Any]) -> float:
    """Squared, over parameters on [0, 1]: a choice that differs or is missing counts as 1."""
    total = 0.0
    for name in first.keys() | second.keys():
        if name not in first or name not in second:
            total += 1
        elif isinstance(first[name], float) and isinstance(second[name], float):
            total += (first[name] - second[name]) ** 2
        else:
            total += first[name] != second[name]
    return total


def _scaled(space: SearchSpace, params: dict[str, Any]) -> dict[str, Any]:
    """Ranges as numbers in [0, 1] on their own scale; choices as they are."""
    scaled: dict[str, Any] = {}
    for name, distribution in space.parameters().items():
        if name not in params:
            continue
        value = params[name]
        if not isinstance(distribution, Range):
            scaled[name] = str(value)
            continue
        ends = distribution.low, value, distribution.high
        low, at, high = (math.log(one) if distribution.log else float(one) for one in ends)
        scaled[name] = (at - low) / (high - low)
    return scaled


@cache
def _table() -> tuple[list[Curves], list[dict[str, Any]], float]:
    facts, runs = read_curves(CURVES / "gan_landscape_digits.parquet")
    first = [run for run in runs if run.seed == 0]
    space, params = space_of(facts["kimg"]), []
    for run in first:  # as the sweep drew them
        trial = optuna.create_study(sampler=make_sampler(space.sampler, run.configuration)).ask()
        space.sample_config(trial)
        params.append(_scaled(space, trial.params))
    return first, params, facts["kimg"]


# ---- Strategies ----------------------------------------------------------------------------------


def _gantune(*overrides: str, prior: float | None = None) -> Callable[[Replay, int], None]:
    """A search by gantune's own driver.

    ``prior``: starts from the best three settings of an earlier search that has tried a third of
    the table on other data: the logarithms of its scores differ by noise of so many standard
    deviations.
    """

    def run(replay: Replay, seed: int) -> None:
        runs, _, kimg = _table()
        texts = [f"kimg={kimg}", f"sampler.seed={seed}", f"budget.trials={len(runs)}"]
        texts += ["finalists.top=0", "start=[]", "network.name=dcgan", "data.resolution=16"]
        space = load_space("gan_landscape", [*texts, "batch_size=32", *overrides])
        if prior is not None:
            space = space.model_copy(update={"points": _best_of_earlier(replay, prior, seed)})
        with tempfile.TemporaryDirectory() as folder:
            context = SearchContext(resolve=lambda config: config, protocol="replay")
            driver = Driver(space, RunFolder(Path(folder)), InMemoryStorage(), context)
            numbers: dict[str, int] = {}
            while not replay.has_best and isinstance(work := driver.next_assignment(), Assignment):
                _train(driver, work, space, replay, numbers)

    return run


def _best_of_earlier(replay: Replay, noise: float, seed: int) -> tuple[dict[str, Any], ...]:
    runs, _, kimg = _table()
    rng, space = np.random.default_rng(seed), space_of(kimg)
    tried = rng.choice(len(runs), len(runs) // 3, replace=False)
    scores = np.log([replay.score(number, 100)[0] for number in range(len(runs))])
    scores += noise * np.std(scores[scores < math.log(_UNKNOWN)]) * rng.normal(size=len(runs))
    points = []
    for number in sorted(tried, key=lambda number: scores[number])[:3]:
        trial = optuna.create_study(
            sampler=make_sampler(space.sampler, runs[number].configuration)
        ).ask()
        space.sample_config(trial)
        points.append(dict(trial.params))
    return tuple(points)


def _train(
    driver: Driver, work: Assignment, space: SearchSpace, replay: Replay, numbers: dict[str, int]
) -> None:
    record, before = driver.trials()[work.number], 0
    if work.name not in numbers:
        found = replay.nearest(_scaled(space, dict(record.params)))
        assert found is not None
        numbers[work.name] = found
    for percent in (round(100 * share) for share in work.rungs):
        if percent in record.rungs:
            before = percent
            continue
        value, error = replay.train(numbers[work.name], before, percent)
        score, before = _score(value, error), percent
        report = RungReport(percent / 100, replay.kimg * percent / 100, score)
        if not driver.report(work.name, report):
            driver.finish(work.name, Outcome("pruned", report.kimg))
            return
    driver.finish(work.name, Outcome("completed", replay.kimg, score=score))


def _score(value: float, error: float) -> Score:
    return replace(Score.external(value, Protocol.external("fid", "replay")), error=error)


def _optuna(pruner: Callable[[], Any], steps: Sequence[int]) -> Callable[[Replay, int], None]:
    """A plain script: Optuna's TPE with its defaults and one of its pruners."""

    def run(replay: Replay, seed: int) -> None:
        space = space_of(replay.kimg)
        study = optuna.create_study(sampler=TPESampler(seed=seed), pruner=pruner())

        def objective(trial: optuna.Trial) -> float:
            config = space.sample_config(trial)
            assert isinstance(config, TrialConfig)
            number = replay.nearest(_scaled(space, trial.params))
            if number is None:
                study.stop()
                raise optuna.TrialPruned
            before = 0
            for percent in (*steps, 100):
                value, _ = replay.train(number, before, percent)
                before = percent
                if percent < 100:
                    trial.report(value, percent)
                    if trial.should_prune():
                        raise optuna.TrialPruned
            if replay.has_best:
                study.stop()
            return value

        study.optimize(objective)

    return run


STRATEGIES: dict[str, Callable[[Replay, int], None]] = {
    "random": _gantune("sampler.name=random", "pruning.rule=none"),
    "Optuna: TPE, median pruner": _optuna(MedianPruner, (25, 50, 75)),
    "Optuna: TPE, Hyperband pruner": _optuna(
        lambda: HyperbandPruner(min_resource=_HYPERBAND_STEP, max_resource=100),
        range(_HYPERBAND_STEP, 100, _HYPERBAND_STEP),
    ),
    "gantune: TPE, median": _gantune("sampler.name=tpe", "pruning.rule=median"),
    "gantune: random, halving": _gantune("sampler.name=random", "pruning={rule: halving}"),
    "gantune: TPE, halving of 4 at 5, 15, 45%": _gantune(
        "sampler.name=tpe", "pruning={rule: halving, rungs: [5%, 15%, 45%], factor: 4}"
    ),
    "gantune: TPE, hyperband": _gantune("sampler.name=tpe", "pruning={rule: hyperband}"),
    "gantune: TPE, halving (default)": _gantune("sampler.name=tpe", "pruning={rule: halving}"),
    "the same from an earlier search": _gantune(
        "sampler.name=tpe", "pruning={rule: halving}", prior=0.5
    ),
    "the same from an earlier search whose scores are chance": _gantune(
        "sampler.name=tpe", "pruning={rule: halving}", prior=1e6
    ),
}
"""Each way of searching by name: it trains on a replay until the replay has one of the best."""


# ---- Measuring -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Row:
    """One strategy."""

    strategy: str
    ratio: float
    """Of its mean training and that of random search."""
    low: float
    high: float
    """Ends of a 95% interval of the ratio, by resampling orders."""
    median: float
    """Kimg until one of the best, median over orders."""
    missed: int = 0
    """Searches that ended without one of the best."""


def spent_until_best(strategy: str, seed: int) -> float:
    """Kimg that one search trains until it has trained one of the best settings to its end;
    infinite if it ends before, with none of them."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    runs, params, kimg = _table()
    replay = Replay(runs, params, kimg)
    STRATEGIES[strategy](replay, seed)
    return replay.spent if replay.has_best else math.inf


def measure(strategies: Sequence[str], orders: int, processes: int) -> list[Row]:
    """All strategies on the same seeds."""
    jobs = [(strategy, seed) for strategy in strategies for seed in range(orders)]
    spent = run_all(jobs, processes)
    by = {s: np.array(spent[k * orders : (k + 1) * orders]) for k, s in enumerate(strategies)}
    return [intervals(strategy, by[strategy], by["random"]) for strategy in strategies]


def run_all(jobs: Sequence[tuple[str, int]], processes: int) -> list[float]:
    """What each search of a strategy with a seed spends, several at a time."""
    with ProcessPoolExecutor(processes) as pool:
        return list(pool.map(spent_until_best, *zip(*jobs, strict=True), chunksize=2))


def intervals(strategy: str, spent: np.ndarray, random: np.ndarray) -> Row:
    """The ratio of two samples' means with its interval. A search that has not found one of the
    best is charged for training all settings to their ends."""
    missed, whole = int(np.isinf(spent).sum()), _whole_table()
    spent, random = (np.where(np.isinf(one), whole, one) for one in (spent, random))
    rng = np.random.default_rng(0)
    drawn = [
        rng.choice(spent, len(spent)).mean() / rng.choice(random, len(random)).mean()
        for _ in range(2000)
    ]
    low, high = (float(np.quantile(drawn, share)) for share in (0.025, 0.975))
    ratio, median = float(spent.mean() / random.mean()), statistics.median(spent.tolist())
    return Row(strategy, ratio, low, high, median, missed)


def _whole_table() -> float:
    runs, _, kimg = _table()
    return len(runs) * kimg


def report(rows: Sequence[Row], orders: int, machine: str) -> str:
    """The figures as Markdown."""
    cells = [
        (
            row.strategy,
            f"{row.ratio:.3f}",
            f"{row.low:.2f} to {row.high:.2f}",
            f"{row.median:,.0f}",
            f"{row.missed}",
        )
        for row in rows
    ]
    runs, _, kimg = _table()
    columns = ["strategy", ">training, of random's", "95% interval", ">median, kimg", ">missed"]
    return (
        f"{len(runs)} settings of {kimg:g} kimg each, the digits at 16 pixels; training until one "
        f"of the best {max(1, round(BEST * len(runs)))} was trained to its end; {orders} seeds. "
        "Missed: searches that ended without one of them, which are charged for training all "
        f"settings. {machine}; by `python -m benchmarks.search_efficiency --orders {orders}`.\n\n"
        f"{table(columns, cells)}"
    )


def main(
    arguments: Sequence[str] | None = None, folder: Path = RESULTS, page: Path = _PAGE
) -> None:
    """Measures, prints and writes the results."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--orders", type=int, default=50)
    parser.add_argument("--processes", type=int, default=2)
    given = parser.parse_args(arguments)
    rows = measure(list(STRATEGIES), given.orders, given.processes)
    device = torch.device("cpu")
    text = report(rows, given.orders, describe_machine(device, given.processes))
    print(text)
    place = Report("search_efficiency", device, folder, page)
    place.write({"rows": [vars(row) for row in rows]}, "Training until one of the best", text)


if __name__ == "__main__":
    main()
