"""The driver's cost per trial in a study that is already large, for each kind of storage.

A study of N trials is written with values sampled from the space: one in 36 is scored in full,
the rest are paused at a rung of halving. Then a driver is opened on it, and some more trials with
canned scores go through ``next_assignment``, ``report`` (at each rung) and ``finish``. Nothing is
trained.

Medians are printed in milliseconds; that of ``next_assignment`` is over new trials, which the
sampler draws. For ``flush_results``, which writes while the next trial trains, the maximum is
printed: in a large study it has nothing to write after most trials. ``refresh`` is the state for
the live view, which asks for it four times a second; it is measured after each rung. Two figures
are in seconds: ``open``, the start on a study whose run folder is lost, so that all outcomes are
written there again, and ``status``, the reading of ``gantune status``.

    python -m benchmarks.driver_cost --trials 100 1000 10000
    python -m benchmarks.driver_cost --trials 100 1000 --storage postgresql://user@host/name
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import torch
from optuna.samplers import RandomSampler
from optuna.trial import TrialState

from benchmarks.publish import RESULTS, describe_machine, table
from gantune.io.files import write_text
from gantune.io.yaml_document import format_document
from gantune.run_folder.run import RunFolder
from gantune.scores import Protocol, Score
from gantune.space import SearchSpace, load_space
from gantune.trial.records import Assignment, Outcome, RungReport
from gantune.tuner.driver import Driver, SearchContext
from gantune.tuner.state import read_run
from gantune.tuner.storage import choose_storage, open_storage
from gantune.tuner.study import severity

_FACTOR = 6.0  # of halving
_PLAYED = 20  # trials from which the medians are taken
_PROTOCOL = Protocol.external("canned", "canned")


def _score(value: float) -> Score:
    return Score.external(value, _PROTOCOL)


def fill(space: SearchSpace, storage: optuna.storages.BaseStorage, count: int) -> None:
    """Writes ``count`` trials at once, as halving leaves them when nothing is to be promoted: the
    best sixth at a rung has gone on to the next one, the others are paused there."""
    rng = np.random.default_rng(0)
    study = optuna.create_study(storage=storage, study_name=space.study, direction="minimize")
    study.set_user_attr("space", space.hash)
    scratch = optuna.create_study(sampler=RandomSampler(seed=0))
    percents = [round(100 * share) for share in (*space.pruning.shares, 1.0)]
    values = rng.lognormal(4, 0.5, count)
    ranks = values.argsort().argsort()
    for number in range(count):
        sampled = scratch.ask()
        kimg = space.sample_config(sampled).kimg
        value, reached, among = float(values[number]), 1, count
        while reached < len(percents) and ranks[number] < (among := int(among / _FACTOR)):
            reached += 1
        steps, is_scored = percents[:reached], reached == len(percents)
        score, trained = _score(value) if is_scored else None, kimg * steps[-1] / 100
        outcome = Outcome("completed" if is_scored else "paused", trained, score=score, seconds=9.0)
        notes = {"budget_kimg": kimg, "outcome" if is_scored else "paused": outcome.to_dict()}
        if not is_scored:
            notes["pauses"] = [[0.0, None]]
        made = optuna.create_trial(
            state=TrialState.COMPLETE if is_scored else TrialState.RUNNING,
            value=value if is_scored else None,
            params=sampled.params,
            distributions=sampled.distributions,
            user_attrs=notes,
            intermediate_values={step: value * (2 - step / 100) for step in steps},
            constraints={"stable": severity(outcome, kimg)} if is_scored else {},
        )
        study.add_trial(made)


@contextmanager
def timed(into: list[float]) -> Iterator[None]:
    """Appends the milliseconds that its body takes."""
    begun = time.perf_counter()
    yield
    into.append(1000 * (time.perf_counter() - begun))


def measure(space: SearchSpace, home: Path, count: int, url: str | None) -> dict[str, float]:
    """The costs in a study of ``count`` trials, in a run folder below ``home``."""
    folder = RunFolder(home / f"run-{count}")
    folder.path.mkdir()
    choose_storage(folder, url)
    fill(space, open_storage(folder, url), count)
    _write_start(space, folder, url)
    opening: list[float] = []
    setting = SearchContext(resolve=lambda config: config, protocol="canned")
    with timed(opening):
        driver = Driver(space, folder, open_storage(folder, url), setting)
    names = ("next_assignment", "report", "finish", "flush_results", "refresh")
    costs: dict[str, list[float]] = {name: [] for name in names}
    for number in range(_PLAYED):
        asking: list[float] = []
        with timed(asking):
            work = driver.next_assignment()
        assert isinstance(work, Assignment), "the study has no room for another trial"
        if work.number >= count:
            costs["next_assignment"] += asking
        for rung in work.rungs:
            report = RungReport(rung, rung * work.config.kimg, _score(50.0 + number))
            with timed(costs["report"]):
                goes_on = driver.report(work.name, report)
            with timed(costs["refresh"]):
                driver.state()
            if not goes_on:
                break
        ended = Outcome("completed", work.config.kimg, score=_score(50.0 + number))
        if not goes_on:
            ended = report.pruned()
        with timed(costs["finish"]):
            driver.finish(work.name, ended)
        with timed(costs["flush_results"]):
            driver.flush_results()
    driver.close()
    status: list[float] = []
    with timed(status):
        read_run(folder)
    medians = {name: round(statistics.median(found), 2) for name, found in costs.items()}
    medians["flush_results"] = round(max(costs["flush_results"]), 2)
    seconds = {"open": opening[0] / 1000, "status": status[0] / 1000}
    return {"trials": count, **medians, **{name: round(s, 2) for name, s in seconds.items()}}


def _write_start(space: SearchSpace, folder: RunFolder, url: str | None) -> None:
    """Writes what ``status`` needs apart from the study."""
    write_text(folder.space, format_document(space.resolved_tree()))
    info: dict[str, Any] = {
        "study": space.study,
        "storage": url,
        "command": "gantune search",
        "workers": 1,
        "threads_per_worker": 1,
        "begun": 0.0,
        "seconds_before": 0.0,
        "preparing_seconds": 0.0,
    }
    info |= {"devices": ["cpu"], "protocol": asdict(_PROTOCOL), "rung_protocol": asdict(_PROTOCOL)}
    write_text(folder.info, json.dumps(info))


def main() -> None:
    """Prints a line for each size, and writes the results if asked to."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, nargs="+", default=[100, 1000, 10_000])
    parser.add_argument("--storage", metavar="URL", help="default: the journal")
    parser.add_argument("--space", default="dcgan")
    parser.add_argument("--write", action="store_true", help="write the results")
    arguments = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as home:
        for count in arguments.trials:
            named = [f"budget.trials={count + _PLAYED}", f"study=cost{count}", "finalists.top=0"]
            # Ties would promote paused trials, and no new one would be drawn.
            named.append(f"pruning={{rule: halving, factor: {_FACTOR:g}, noise: 0}}")
            space = load_space(arguments.space, named)
            rows.append(measure(space, Path(home), count, arguments.storage))
            print(json.dumps(rows[-1]), flush=True)
    if arguments.write:
        write(rows, "journal" if arguments.storage is None else arguments.storage.split(":")[0])


def write(rows: list[dict[str, float]], kind: str) -> None:
    """Writes the results, named after the kind of storage."""
    machine = describe_machine(torch.device("cpu"), 1)
    columns = [
        ">trials",
        ">next assignment, ms",
        ">report, ms",
        ">finish, ms",
        ">flush results at most, ms",
    ]
    columns.append(">refresh, ms")
    texts = [[f"{value:,g}" for value in row.values()] for row in rows]
    text = table([*columns, ">open, s", ">status, s"], texts)
    path = RESULTS / f"driver_cost_{kind}"
    write_text(path.with_suffix(".json"), json.dumps({"machine": machine, "rows": rows}, indent=2))
    write_text(path.with_suffix(".md"), f"# The driver's cost, {kind}\n\n{text}\n\n{machine}\n")


if __name__ == "__main__":
    main()
