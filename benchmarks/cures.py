"""What cures failing configs: the record of each remedy, measured.

    python -m benchmarks.cures record [--data PATH] [--table digits] [--processes 2]

Configs are drawn from the space of a recorded sweep (``benchmarks/sweep.py``). One fails when at
least two of its three seeds get a verdict of health. Every second failing config is kept to judge
by and is not touched here. On the others each remedy that answers the verdict is tried alone, at
the config's own length, on one fresh seed. A remedy has saved the run if there is no verdict, and
cured it if its last score is also in the better half of the sweep's healthy runs.

Each run is written to ``--work`` when it ends, so an interrupted benchmark resumes. The result is
``record.json`` in that folder, or ``--out``: gantune reads ``gantune/health/remedies/record.json``.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

import torch

from benchmarks.curves import read_curves
from benchmarks.health_replay import RUNGS, failure, replay
from benchmarks.sweep import TABLES, Table, scoring, write_missing
from gantune.config import TrialConfig
from gantune.data import resolved
from gantune.errors import ScoreError
from gantune.gan.trainer import Trainer
from gantune.health import HealthMonitor
from gantune.health.remedies import REMEDIES
from gantune.io.files import write_text

FAILING = {"digits": 60, "fashion": 20}
"""Failing configs of each table, half to learn from, half to judge by."""
SEEDS = (0, 1, 2)
FRESH = 100
"""The seed on which remedies are tried."""


@dataclass(frozen=True)
class Job:
    """One training."""

    table: str
    configuration: int
    remedy: str
    """Empty for the config as it is."""
    seed: int

    @property
    def name(self) -> str:
        """The name of its file."""
        return f"{self.configuration:04d}-{self.remedy or 'as_it_is'}-{self.seed}"


def config_of(job: Job) -> TrialConfig:
    """What a job trains, before the data is known."""
    config, _ = TABLES[job.table].draw(job.configuration)
    if job.remedy:
        changed = REMEDIES[job.remedy].applied(config)
        assert changed is not None, f"{job.remedy} does not apply"
        config = changed
    return config.replaced(seed=job.seed)


def run(job: Job, data: str | None) -> dict[str, Any]:
    """Trains until a verdict or the end: the verdict, the scores at the rungs, and the cost."""
    torch.set_num_threads(1)
    scored = scoring(TABLES[job.table], data)
    config = resolved(config_of(job), scored.real.learned)
    trainer = Trainer(config, scored.real.learned, "cpu", scored.real.held_out)
    monitor = HealthMonitor(
        config.loss, budget_kimg=config.kimg, label_smoothing=config.label_smoothing
    )

    def score() -> float | None:
        try:
            found = scored.evaluator.score(trainer.sample)
        except ScoreError:
            return None
        monitor.observe_score(kimg=trainer.kimg, score=found.value, spread=found.spread)
        return found.value

    score()
    due, values = list(RUNGS), []
    for tick in trainer:
        signals = asdict(tick)
        signals.pop("penalties", None)
        monitor.observe(**signals)
        if due and trainer.images_seen >= round(1000 * config.kimg * due[0]):
            due.pop(0)
            values.append(score())
        if monitor.verdict is not None or None in values:
            break
    verdict = monitor.verdict
    is_lost = verdict is None and None in values
    return {
        **asdict(job),
        "rule": "non_finite" if is_lost else verdict.rule if verdict else None,
        "at": trainer.kimg,
        "kimg": config.kimg,
        "values": values,
    }


def candidates(table: Table) -> list[int]:
    """Configurations whose recorded first seed would have got a verdict."""
    _, runs = read_curves(table.path)
    return [run.configuration for run in runs if run.seed == 0 and replay(run, "default")]


@cache
def reference(name: str) -> float:
    """The median final score of a sweep's healthy runs: without a verdict, and not failed."""
    facts, runs = read_curves(TABLES[name].path)
    healthy = [
        run
        for run in runs
        if not failure(run, facts["blurred_score"]) and replay(run, "default") is None
    ]
    return statistics.median(run.scores[-1]["value"] or math.inf for run in healthy)


class Runs:
    """The results in a folder; missing ones are trained."""

    def __init__(self, work: Path, data: str | None, processes: int) -> None:
        self._work, self._data, self._processes = work, data, processes
        work.mkdir(parents=True, exist_ok=True)

    def results(self, jobs: Sequence[Job]) -> list[dict[str, Any]]:
        """The results of jobs, in their order."""
        files = {job: self._work / f"{job.name}.json" for job in jobs}
        write_missing(files, partial(run, data=self._data), self._processes)
        return [json.loads(files[job].read_text(encoding="utf-8")) for job in jobs]


def failing(table: Table, runs: Runs, count: int) -> Iterator[tuple[int, str]]:
    """Configurations that fail, each with the rule of most of its verdicts."""
    found = 0
    numbers = candidates(table)
    for start in range(0, len(numbers), 8):
        chunk = numbers[start : start + 8]
        jobs = [Job(table.name, number, "", seed) for number in chunk for seed in SEEDS]
        results = runs.results(jobs)
        for place, number in enumerate(chunk):
            rules = [
                result["rule"] for result in results[3 * place : 3 * place + 3] if result["rule"]
            ]
            if len(rules) >= 2 and found < count:
                found += 1
                yield number, Counter(rules).most_common(1)[0][0]
        if found >= count:
            return


def tried(table: Table, cases: Sequence[tuple[int, str]]) -> list[tuple[str, Job]]:
    """A job for each remedy that answers a config's verdict, with its rule."""
    jobs = []
    for number, rule in cases:
        config, _ = table.draw(number)
        for name, remedy in REMEDIES.items():
            if rule in remedy.answers and remedy.applied(config) is not None:
                jobs.append((rule, Job(table.name, number, name, FRESH)))
    return jobs


def record(table: Table, runs: Runs, count: int) -> dict[str, dict[str, dict[str, int]]]:
    """For each rule and remedy: how many configs it was tried on, saved and cured."""
    cases = list(failing(table, runs, count))[::2]
    jobs = tried(table, cases)
    results = runs.results([job for _, job in jobs])
    found: dict[str, dict[str, dict[str, int]]] = defaultdict(dict)
    for (rule, job), result in zip(jobs, results, strict=True):
        entry = found[rule].setdefault(job.remedy, {"tried": 0, "saved": 0, "cured": 0})
        is_saved = result["rule"] is None
        entry["tried"] += 1
        entry["saved"] += is_saved
        entry["cured"] += is_saved and result["values"][-1] <= reference(table.name)
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    """Trains what is missing, prints the record and writes it."""
    given = _parser().parse_args(arguments)
    table = TABLES[given.table]
    work = given.work or Path("runs") / f"cures_{table.name}"
    found = record(table, Runs(work, given.data, given.processes), FAILING[table.name])
    for rule, remedies in found.items():
        print(f"{rule}:")
        order = sorted(remedies.items(), key=lambda item: -item[1]["cured"] / item[1]["tried"])
        for name, entry in order:
            print(f"  {name}: cured {entry['cured']}, saved {entry['saved']} of {entry['tried']}")
    out = given.out or work / "record.json"
    write_text(out, json.dumps(found, indent=1, sort_keys=True) + "\n")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("stage", choices=["record"])
    parser.add_argument("--table", choices=FAILING, default="digits")
    parser.add_argument("--data", help="folder or file of the images; digits needs none")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--work", type=Path, help="default: runs/cures_TABLE")
    parser.add_argument("--out", type=Path, help="default: record.json in --work")
    return parser


if __name__ == "__main__":
    main()
