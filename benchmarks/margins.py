"""Margins of good configs: what one seed predicts, beside three fresh seeds.

    python -m benchmarks.margins [--data PATH] [--table digits] [--processes 2] [--minutes 120]

gantune tells how far a winner stands from failing by training it also with each learning rate at
twice and half its value, and where that survives at four times and a quarter, on one seed. Here
that is done for 20 configs of a recorded sweep (``benchmarks/sweep.py``), the first ones whose last
score is in the better half of its healthy runs. Each multiple that was trained is then trained on
three fresh seeds: it survives if at least two of them get no verdict of health.

Told is how often a multiple that was predicted to survive does, and one that was predicted to fail
fails. Each config is written to ``results/margins_cpu.json`` when it is known; an interrupted
measurement resumes from there.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from benchmarks.cures import (
    FRESH,
    Job,
    Runs,
    config_on,
    healthy_runs,
    interval,
    reference,
    sections_of,
    table_parser,
)
from benchmarks.publish import RESULTS, Report, describe_machine
from benchmarks.publish import table as table_text
from benchmarks.sweep import TABLES, Table
from gantune.health.remedies import plain_values
from gantune.io.validation import dotted_values
from gantune.run_folder.run import RunFolder
from gantune.tuner.budget import RATES
from gantune.tuner.options import Options
from gantune.tuner.state import SearchObserver
from gantune.tuner.variants.margins import train_margins

_WINNERS = 20
_SEEDS = 3

Told = dict[str, dict[str, bool]]
"""By setting and factor, whether it survives."""


def winners(table: Table) -> list[int]:
    """The first configurations whose recorded first seed is in the better half."""
    good = reference(table.name)
    runs = [run for run in healthy_runs(table) if run.seed == 0]
    best = [run for run in runs if (run.scores[-1]["value"] or math.inf) <= good]
    return [run.configuration for run in best][:_WINNERS]


def predicted(table: Table, number: int, data: str | None, folder: Path, processes: int) -> Told:
    """What gantune tells of a config, on one seed."""
    trained = train_margins(
        config_on(table, number, data),
        RATES,
        FRESH,
        RunFolder(folder),
        Options(workers=processes, device="cpu"),
        sections_of(table),
        SearchObserver(),
        study=folder.name,
    )
    return {
        margin.path: {f"{factor:g}": alive for factor, alive in margin.survived.items()}
        for margin in trained.margins
    }


def retrained(table: Table, runs: Runs, number: int, told: Told) -> Told:
    """Whether most of three fresh seeds survive each multiple."""
    values = dict(dotted_values(plain_values(table.draw(number)[0])))
    found: Told = {}
    for path, factors in told.items():
        for factor in factors:
            value = float(f"{float(factor) * values[path]:.4g}")
            name = f"{path}_{factor}x"
            jobs = [
                Job(table.name, number, name, FRESH + 1 + k, ((path, value),))
                for k in range(_SEEDS)
            ]
            alive = sum(result["rule"] is None for result in runs.results(jobs))
            found.setdefault(path, {})[factor] = 2 * alive > _SEEDS
    return found


def shares(configs: dict[str, Any]) -> list[tuple[str, int, int]]:
    """How many predictions of each kind came true, of how many."""
    pairs = [
        (alive, one["retrained"][path][factor])
        for one in configs.values()
        for path, factors in one["predicted"].items()
        for factor, alive in factors.items()
    ]
    return [
        (f"predicted to {word}, and does", sum(true == told for told, true in of), len(of))
        for word, is_alive in (("survive", True), ("fail", False))
        for of in ([pair for pair in pairs if pair[0] is is_alive],)
    ]


def main(arguments: Sequence[str] | None = None, folder: Path = RESULTS) -> None:
    """Trains what is missing, prints and writes the result."""
    given = table_parser(__doc__ or "", ("digits", "fashion")).parse_args(arguments)
    table, report = TABLES[given.table], Report("margins", torch.device("cpu"), folder)
    runs = Runs.given(given)
    until = time.monotonic() + 60 * given.minutes
    tree = report.read()
    found = tree.setdefault(table.name, {})
    for number in winners(table):
        if str(number) in found or time.monotonic() > until:
            continue
        place = runs.work / f"margins-{number:04d}"
        told = predicted(table, number, given.data, place, given.processes)
        true = retrained(table, runs, number, told)
        found[str(number)] = {"predicted": told, "retrained": true}
        _write(report, tree)
    for what, hits, of in shares(found):
        print(f"{what}: {hits} of {of}")


def _write(report: Report, tree: dict[str, Any]) -> None:
    rows = [
        (
            name,
            str(len(found)),
            what,
            f"{hits} of {of}",
            "{:.0%} to {:.0%}".format(*interval(hits, of)),
        )
        for name, found in tree.items()
        for what, hits, of in shares(found)
    ]
    columns = ["table", ">configs", "multiples of a rate", ">measured", ">95% interval"]
    machine = describe_machine(torch.device("cpu"), os.cpu_count() or 1)
    title = "Margins: one seed beside three fresh ones"
    report.write(tree, title, f"{machine}.\n\n{table_text(columns, rows)}")


if __name__ == "__main__":
    main()
