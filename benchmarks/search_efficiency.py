"""How much training each way of searching needs until one of the best settings is trained.

    python -m benchmarks.search_efficiency [--orders 50] [--processes 2]

A recorded sweep takes the place of training (``benchmarks/replay.py``). A strategy ends once it has
trained one of the best settings to its end. What it has trained by then is compared with random
search, whose settings are all trained to their ends. Health stops nothing here.

The rungs and the factor of ``halving`` were chosen on the table ``digits``, so its figures there
are of a search that was tuned on the settings that it is judged by.
"""

from __future__ import annotations

import argparse
import math
import statistics
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import torch
from optuna.pruners import HyperbandPruner, MedianPruner
from optuna.samplers import TPESampler
from optuna.storages import InMemoryStorage

from benchmarks.publish import RESULTS, ROOT, Report, describe_machine, table
from benchmarks.replay import UNKNOWN, Replay, recorded
from benchmarks.sweep import TABLES
from gantune.run_folder.run import RunFolder
from gantune.scores import Score
from gantune.scores.score import Protocol
from gantune.trial.records import Assignment, Outcome, RungReport
from gantune.tuner.driver import Driver, SearchContext

__all__ = ["STRATEGIES", "main", "measure", "report", "spent_until_best"]

_PAGE = ROOT / "docs" / "search.md"
_HYPERBAND_STEP = 5  # percent; how often the plain script with Hyperband reports


# ---- Strategies ----------------------------------------------------------------------------------


def _gantune(*overrides: str, prior: float | None = None) -> Callable[[Replay, int], None]:
    """A search by gantune's own driver.

    ``prior``: starts from the best three settings of an earlier search that has tried a third of
    the table on other data: the logarithms of its scores differ by noise of so many standard
    deviations.
    """

    def run(replay: Replay, seed: int) -> None:
        trials = len(replay.table.runs)
        texts = (f"sampler.seed={seed}", f"budget.trials={trials}", "finalists.top=0", "start=[]")
        space = TABLES[replay.table.name].space(*texts, *overrides)
        if prior is not None:
            space = space.model_copy(update={"points": _best_of_earlier(replay, prior, seed)})
        with tempfile.TemporaryDirectory() as folder:
            context = SearchContext(resolve=lambda config: config, protocol="replay")
            driver = Driver(space, RunFolder(Path(folder)), InMemoryStorage(), context)
            numbers: dict[str, int] = {}
            while not replay.has_best and isinstance(work := driver.next_assignment(), Assignment):
                _train(driver, work, replay, numbers)

    return run


def _best_of_earlier(replay: Replay, noise: float, seed: int) -> tuple[dict[str, Any], ...]:
    runs, rng = replay.table.runs, np.random.default_rng(seed)
    tried = rng.choice(len(runs), len(runs) // 3, replace=False)
    scores = np.log([replay.score(number, 100)[0] for number in range(len(runs))])
    scores += noise * np.std(scores[scores < math.log(UNKNOWN)]) * rng.normal(size=len(runs))
    ranked = sorted(tried, key=lambda number: scores[number])
    return tuple(dict(runs[number].params) for number in ranked[:3])


def _train(driver: Driver, work: Assignment, replay: Replay, numbers: dict[str, int]) -> None:
    record, before = driver.trials()[work.number], 0
    if work.name not in numbers:
        found = replay.nearest(dict(record.params))
        assert found is not None
        numbers[work.name] = found
    for percent in (round(100 * share) for share in work.rungs):
        if percent in record.rungs:
            before = percent
            continue
        value, error = replay.train(numbers[work.name], before, percent)
        score, before = _score(value, error), percent
        report = RungReport(percent / 100, replay.table.kimg * percent / 100, score)
        if not driver.report(work.name, report):
            driver.finish(work.name, Outcome("pruned", report.kimg))
            return
    driver.finish(work.name, Outcome("completed", replay.table.kimg, score=score))


def _score(value: float, error: float) -> Score:
    return replace(Score.external(value, Protocol.external("fid", "replay")), error=error)


def _optuna(pruner: Callable[[], Any], steps: Sequence[int]) -> Callable[[Replay, int], None]:
    """A plain script: Optuna's TPE with its defaults and one of its pruners."""

    def run(replay: Replay, seed: int) -> None:
        space = replay.table.space
        study = optuna.create_study(sampler=TPESampler(seed=seed), pruner=pruner())

        def objective(trial: optuna.Trial) -> float:
            space.sample_config(trial)
            number = replay.nearest(dict(trial.params))
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


def spent_until_best(table: str, strategy: str, seed: int) -> float:
    """Kimg that one search trains until it has trained one of the best settings to its end;
    infinite if it ends before, with none of them."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    replay = Replay(recorded(table))
    STRATEGIES[strategy](replay, seed)
    return replay.spent if replay.has_best else math.inf


def measure(name: str, strategies: Sequence[str], orders: int, processes: int) -> list[Row]:
    """All strategies on the same table and seeds."""
    jobs = [(name, strategy, seed) for strategy in strategies for seed in range(orders)]
    spent = run_all(jobs, processes)
    by = {s: np.array(spent[k * orders : (k + 1) * orders]) for k, s in enumerate(strategies)}
    found = recorded(name)
    whole = len(found.runs) * found.kimg
    return [intervals(strategy, by[strategy], by["random"], whole) for strategy in strategies]


def run_all(jobs: Sequence[tuple[str, str, int]], processes: int) -> list[float]:
    """What each search of a table by a strategy with a seed spends, several at a time."""
    with ProcessPoolExecutor(processes) as pool:
        return list(pool.map(spent_until_best, *zip(*jobs, strict=True), chunksize=2))


def intervals(strategy: str, spent: np.ndarray, random: np.ndarray, whole: float) -> Row:
    """The ratio of two samples' means with its interval. A search that has not found one of the
    best is charged ``whole``: the kimg of training all settings to their ends."""
    missed = int(np.isinf(spent).sum())
    spent, random = (np.where(np.isinf(one), whole, one) for one in (spent, random))
    rng = np.random.default_rng(0)
    drawn = [
        rng.choice(spent, len(spent)).mean() / rng.choice(random, len(random)).mean()
        for _ in range(2000)
    ]
    low, high = (float(np.quantile(drawn, share)) for share in (0.025, 0.975))
    ratio, median = float(spent.mean() / random.mean()), statistics.median(spent.tolist())
    return Row(strategy, ratio, low, high, median, missed)


def report(name: str, rows: Sequence[Row], orders: int, machine: str) -> str:
    """The figures of one table as Markdown."""
    found = recorded(name)
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
    columns = ["strategy", ">training, of random's", "95% interval", ">median, kimg", ">missed"]
    return (
        f"Table `{name}`: {len(found.runs)} settings of {found.kimg:g} kimg each; training until "
        f"one of the best {found.best} was trained to its end; {orders} seeds. "
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
    device, texts, tree = torch.device("cpu"), [], {}
    for name in (name for name, sweep in TABLES.items() if sweep.path.exists()):
        rows = measure(name, list(STRATEGIES), given.orders, given.processes)
        machine = describe_machine(device, given.processes)
        texts.append(report(name, rows, given.orders, machine))
        tree[name] = [vars(row) for row in rows]
        print(texts[-1])
    place = Report("search_efficiency", device, folder, page)
    place.write(tree, "Training until one of the best", "\n\n".join(texts))


if __name__ == "__main__":
    main()
