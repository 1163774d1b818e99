"""How much training each way of searching needs until one of the best settings is trained.

    python -m benchmarks.search_efficiency [--tables digits,fashion,cifar] [--orders 50] [--json]

A recorded sweep takes the place of training (``benchmarks/replay.py``), and the strategies are
those of ``benchmarks/searches.py``. A strategy ends once it has trained one of the best settings to
its end. What it has trained by then is compared with random search, whose settings are all trained
to their ends. Then whole searches with a budget and finals are replayed: how often is the setting
that they print as their winner one of the best? Health stops nothing here.

The rungs and the factor of ``halving`` were chosen on the table ``digits``, and that scores tie
within the noise of a seed on all tables. So the figures are of a search that was tuned on the
settings that it is judged by.

Tables that are not measured now keep their earlier figures. Other libraries' searches are measured
by ``python -m benchmarks.peers``, and shown with the others.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import torch

from benchmarks.peers.host import PEERS
from benchmarks.peers.measured import measured
from benchmarks.publish import RESULTS, ROOT, Report, describe_machine, table
from benchmarks.replay import Replay, Trace, recorded, replayed
from benchmarks.search_figure import draw
from benchmarks.searches import DEFAULT, STRATEGIES, WINNERS, printed_winner
from benchmarks.sweep import TABLES
from gantune.io.files import write_text

__all__ = ["Winner", "interval", "main", "measure", "report", "trace", "winner"]

_PAGE = ROOT / "docs" / "search.md"
_FIGURE = "search-efficiency.svg"
_SHARES = [round(10 ** (k / 20 - 3), 5) for k in range(61)]
"""Training as a share of that of a whole table, from a thousandth on, where curves are drawn."""
_RUNGS = (5, 15, 25, 45, 75)  # percent, for the rank correlations


# ---- One search ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Winner:
    """What one search with a budget and finals has trained, and printed."""

    kimg: float
    is_good: bool
    """Whether its winner is among the best 3% by the mean of the recorded seeds."""
    is_best: bool
    """Whether no setting that it has begun is better by that mean."""
    has_tried: bool
    """Whether it has begun any of these."""
    has_completed: bool
    """Whether it has trained any of these to its end."""


def trace(name: str, strategy: str, seed: int) -> Trace:
    """One search on a table, by the name of its strategy."""
    return replayed(name, STRATEGIES[strategy], seed)


def winner(name: str, search: str, seed: int) -> Winner:
    """One search with a budget and finals on a table."""
    replay = Replay(recorded(name))
    found, ranked = printed_winner(replay, WINNERS[search], seed), replay.by_mean()
    good, tried, completed = set(replay.best_by_mean()), replay.reached(0), replay.reached(100)
    best = next(number for number in ranked if number in tried)
    shares = bool(good & tried), bool(good & completed)
    return Winner(replay.spent, found in good, found == best, *shares)


def _ready() -> None:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    torch.set_num_threads(1)


# ---- Many ----------------------------------------------------------------------------------------


def measure(name: str, orders: int, processes: int) -> dict[str, Any]:
    """The figures of one table: all strategies on the same seeds."""
    seeds = range(orders)
    with ProcessPoolExecutor(processes, initializer=_ready) as pool:
        traces = {
            strategy: [pool.submit(trace, name, strategy, seed) for seed in seeds]
            for strategy in STRATEGIES
        }
        winners = {
            search: [pool.submit(winner, name, search, seed) for seed in seeds]
            for search in WINNERS
        }
        found = {strategy: [one.result() for one in many] for strategy, many in traces.items()}
        printed = {search: [one.result() for one in many] for search, many in winners.items()}
    return {
        **facts(name),
        "orders": orders,
        "machine": describe_machine(torch.device("cpu"), processes),
        "strategies": summarised(name, found),
        "winners": {search: _shares(many) for search, many in printed.items()},
    }


def facts(name: str) -> dict[str, Any]:
    """A table in numbers."""
    found = recorded(name)
    replay = Replay(found)
    return {
        "settings": len(found.runs),
        "kimg": found.kimg,
        "best": found.best,
        "good": len(replay.best_by_mean()),
        "seconds": len(found.again),
        "rungs": {str(p): value for p, value in replay.agreement(_RUNGS).items()},
        "noise": {str(p): replay.seed_difference(p) for p in (5, 25, 100)},
    }


def summarised(name: str, found: dict[str, list[Trace]]) -> dict[str, Any]:
    """Figures of strategies on a table, each against ``random``.

    A search that has not found one of the best is charged for training all settings to their ends.
    """
    settings, kimg = len(recorded(name).runs), recorded(name).kimg
    charged = {
        strategy: np.array([min(one.kimg, settings * kimg) for one in traces])
        for strategy, traces in found.items()
    }
    return {
        strategy: {
            **interval(charged[strategy], charged["random"]),
            "median": statistics.median(charged[strategy].tolist()),
            "missed": sum(math.isinf(one.kimg) for one in traces),
            "curve": curve([one.progress for one in traces], settings, kimg),
            "spent": charged[strategy].tolist(),
        }
        for strategy, traces in found.items()
    }


def with_peers(name: str, tree: dict[str, Any]) -> dict[str, Any]:
    """The figures of a table with those of other libraries' searches, as far as they were
    measured, and the best of these beside gantune's default."""
    own = {one: row for one, row in tree["strategies"].items() if one not in PEERS}
    random = [Trace(kimg, ()) for kimg in own["random"]["spent"]]
    peers = measured(name)
    found = summarised(name, {"random": random, **peers})
    strategies = {**own, **{peer: found[peer] for peer in peers}}
    others = [one for one in strategies if one in PEERS or one.startswith("Optuna")]
    best = min(others, key=lambda one: strategies[one]["ratio"])
    spent = [np.array(strategies[one]["spent"]) for one in (DEFAULT, best)]
    beside = {"peer": best, **interval(spent[0], spent[1])}
    return {**tree, "strategies": strategies, "beside": beside}


def interval(spent: np.ndarray, random: np.ndarray) -> dict[str, float]:
    """The ratio of two samples' means, and the ends of its 95% interval by resampling both."""
    rng = np.random.default_rng(0)
    drawn = [
        rng.choice(spent, len(spent)).mean() / rng.choice(random, len(random)).mean()
        for _ in range(2000)
    ]
    low, high = (float(np.quantile(drawn, share)) for share in (0.025, 0.975))
    return {"ratio": float(spent.mean() / random.mean()), "low": low, "high": high}


def curve(
    progress: Sequence[Sequence[tuple[float, int]]], settings: int, kimg: float
) -> list[float | None]:
    """The rank of the best setting trained to its end so far, at each of ``_SHARES`` of training:
    the median over searches; ``None`` where half of them have none yet."""
    line: list[float | None] = []
    for share in _SHARES:
        reached = share * settings * kimg * (1 + 1e-9)
        known = [[rank for at, rank in one if at <= reached] for one in progress]
        median = statistics.median(ranks[-1] if ranks else math.inf for ranks in known)
        line.append(None if math.isinf(median) else median)
    return line


def _shares(found: Sequence[Winner]) -> dict[str, float]:
    return {
        "kimg": statistics.fmean(one.kimg for one in found),
        "good": sum(one.is_good for one in found),
        "best": sum(one.is_best for one in found),
        "tried": sum(one.has_tried for one in found),
        "completed": sum(one.has_completed for one in found),
    }


# ---- What is written -----------------------------------------------------------------------------


def report(tree: dict[str, Any]) -> str:
    """The figures of all tables as Markdown."""
    return "\n\n".join(_until_best(name, one) for name, one in tree.items())


def _until_best(name: str, tree: dict[str, Any]) -> str:
    columns = [
        *("strategy", ">training, of random's", ">95% interval", ">median, kimg"),
        *(">missed", ">seeds"),
    ]
    rows = [
        (
            strategy,
            f"{row['ratio']:.3f}",
            f"{row['low']:.2f} to {row['high']:.2f}",
            f"{row['median']:,.0f}",
            f"{row['missed']}",
            f"{len(row['spent'])}",
        )
        for strategy, row in tree["strategies"].items()
    ]
    orders, trials = tree["orders"], WINNERS[DEFAULT].trials_of(tree["settings"])
    agreement = ", ".join(f"{percent}%: {value:.2f}" for percent, value in tree["rungs"].items())
    noise = ", ".join(f"{value:.0%} at {percent}%" for percent, value in tree["noise"].items())
    searches = [
        (
            search,
            *(f"{row[key]}" for key in ("tried", "completed", "good", "best")),
            f"{row['kimg']:,.0f}",
        )
        for search, row in tree["winners"].items()
    ]
    beside = ""
    if found := tree.get("beside"):
        beside = (
            f"\n\nBeside the best search of another library on `{name}`, {found['peer']}, "
            f"gantune's default trains {found['ratio']:.2f} ({found['low']:.2f} to "
            f"{found['high']:.2f})."
        )
    heads = ["search", ">began one", ">trained one whole", ">printed one", ">its best", ">kimg"]
    return (
        f"**Table `{name}`**: {tree['settings']} settings of {tree['kimg']:g} kimg each; training "
        f"until one of the best {tree['best']} was trained to its end. Missed: "
        "searches that ended without one of them, which are charged for training all settings. "
        f"Rank correlation of the scores at a share of the length with those at the end: "
        f"{agreement}. Scores of two seeds of one setting differ by: {noise} (medians). "
        f"{tree['machine']}; by `python -m benchmarks.search_efficiency --tables "
        f"{name} --orders {orders}`.\n\n{table(columns, rows)}{beside}\n\n"
        f"The best {tree['good']} settings of `{name}` by the mean of their recorded seeds: in how "
        f"many of {orders} searches of {trials} trials one was begun, trained to its end, "
        "and printed as the winner; and how often the winner was the best of all that the search "
        f"had begun. The finals train on one more seed. {tree['seconds']} settings have a "
        f"second seed; for the others it is the first one again.\n\n{table(heads, searches)}"
    )


def main(
    arguments: Sequence[str] | None = None,
    folder: Path = RESULTS,
    page: Path = _PAGE,
) -> None:
    """Measures, prints and writes the results."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    recorded_tables = [name for name, sweep in TABLES.items() if sweep.path.exists()]
    parser.add_argument(
        "--tables", type=_names, default=recorded_tables, help="default: all that are recorded"
    )
    parser.add_argument("--orders", type=int, default=50)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument(
        "--peers",
        action="store_true",
        help="measure nothing: add what python -m benchmarks.peers has measured to earlier figures",
    )
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    given = parser.parse_args(arguments)
    place = Report("search_efficiency", torch.device("cpu"), folder, page)
    tables = [] if given.peers else given.tables
    now = {name: measure(name, given.orders, given.processes) for name in tables}
    known = {**place.read(), **now}
    tree = {
        name: with_peers(name, known[name] | facts(name)) if sweep.path.exists() else known[name]
        for name, sweep in TABLES.items()
        if name in known
    }
    text = report(tree)
    print(json.dumps(tree) if given.json else text)
    place.write(tree, "Training until one of the best", text)
    write_text(page.parent / "images" / _FIGURE, draw(tree, _SHARES))


def _names(text: str) -> list[str]:
    names = text.split(",")
    for name in names:
        if name not in TABLES:
            raise argparse.ArgumentTypeError(f"{name!r} is none of {', '.join(TABLES)}")
        if not TABLES[name].path.exists():
            raise argparse.ArgumentTypeError(
                f"{name!r} is not recorded yet: run python -m benchmarks.sweep {name}"
            )
    return names


if __name__ == "__main__":
    main()
