"""A plain search around failing configs, beside ``stabilize`` on the same budget.

    python -m benchmarks.plain_cures [--data PATH] [--table digits] [--processes 2] [--minutes 120]

It takes the configs that ``python -m benchmarks.cures judge`` has judged. Around each one Optuna's
``TPESampler`` and ``MedianPruner`` search with their defaults: both learning rates from a hundredth
to a hundred times what they are (in the table ``wide``, whose rates may be far too high, over its
whole range), both beta1 from 0 to 0.999, the loss as it is, vanilla or hinge,
D's norm as it is, none or spectral, and D's steps as they are, one or five. The first trial is the
config as it is. In all they train twelve lengths of the config, as ``stabilize`` may.

The best trial is judged as an answer of ``stabilize`` is. The result is added to
``results/cures_cpu.json`` when it is known; an interrupted measurement resumes from there.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import optuna
import torch

from benchmarks.cures import SOURCES, WIDE, WIDE_RATES, Runs, is_cured, publish, table_parser
from benchmarks.health_replay import RUNGS
from benchmarks.publish import RESULTS, Report
from benchmarks.sweep import Scoring, Table, scoring, write_missing
from gantune.config import TrialConfig
from gantune.data import resolved
from gantune.errors import ScoreError
from gantune.gan.trainer import Trainer
from gantune.health.remedies import changed, plain_values
from gantune.io.validation import dotted_values

_LENGTHS = 12
_SEARCHED = (
    *("generator.lr", "generator.beta1", "discriminator.lr", "discriminator.beta1"),
    *("loss", "discriminator.norm", "discriminator.steps"),
)
_TIMES = 100.0  # and a hundredth: the range of rates around those of the config


def drawn(
    trial: optuna.Trial, config: TrialConfig, rates: tuple[float, float] | None = None
) -> dict[str, Any]:
    """New values for a config, by dotted path. ``rates``: the range of both learning rates; without
    it, it follows from those of the config."""
    values: dict[str, Any] = {}
    for name in ("generator", "discriminator"):
        player = getattr(config, name)
        low, high = rates or (player.lr / _TIMES, min(player.lr * _TIMES, 1.0))
        values[f"{name}.lr"] = trial.suggest_float(f"{name}.lr", low, high, log=True)
        values[f"{name}.beta1"] = trial.suggest_float(f"{name}.beta1", 0.0, 0.999)
    choices: dict[str, tuple[Any, ...]] = {
        "loss": (config.loss, "vanilla", "hinge"),
        "discriminator.norm": (config.discriminator.norm, "none", "spectral"),
        "discriminator.steps": (config.discriminator.steps, 1, 5),
    }
    for name, each in choices.items():
        values[name] = trial.suggest_categorical(name, [*dict.fromkeys(each)])
    return values


def scores(config: TrialConfig, scored: Scoring) -> Iterator[float]:
    """The score at each rung of one training; infinite where it is not finite, which ends it."""
    real = scored.real
    config, due = resolved(config, real.learned), list(RUNGS)
    trainer = Trainer(config, real.learned, "cpu", real.held_out)
    for _ in trainer:
        if due and trainer.kimg >= due[0] * config.kimg:
            due.pop(0)
            try:
                yield scored.evaluator.score(trainer.sample).value
            except ScoreError:
                yield math.inf
                return


def search(table: Table, data: str | None, number: int) -> dict[str, Any]:
    """The best trial's values for a config, ``{}`` where no trial came to its end."""
    torch.set_num_threads(1)
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    config, _ = table.draw(number)
    scored, left = scoring(table, data), _LENGTHS * config.kimg
    sampler = optuna.samplers.TPESampler(seed=number)
    study = optuna.create_study(sampler=sampler, pruner=optuna.pruners.MedianPruner())
    known = dict(dotted_values(plain_values(config)))
    study.enqueue_trial({name: known[name] for name in _SEARCHED})

    def objective(trial: optuna.Trial) -> float:
        nonlocal left
        values = drawn(trial, config, WIDE_RATES if table is WIDE else None)
        trial.set_user_attr("values", values)
        made, value = config if trial.number == 0 else changed(config, values), math.inf
        if made is None:  # it cannot be trained
            raise optuna.TrialPruned
        for step, value in enumerate(scores(made, scored), 1):
            left -= config.kimg / len(RUNGS)
            trial.report(value, step)
            if not math.isfinite(value) or (step < len(RUNGS) and trial.should_prune()):
                raise optuna.TrialPruned
        return value

    while left >= config.kimg:
        study.optimize(objective, n_trials=1)
    done = [t for t in study.trials if t.state == optuna.trial.TrialState.COMPLETE]
    best = min(done, key=lambda trial: trial.value or math.inf, default=None)
    return {} if best is None else {"score": best.value, "values": best.user_attrs["values"]}


def main(arguments: Sequence[str] | None = None, folder: Path = RESULTS) -> None:
    """Searches around each judged config, judges the winner, writes the results."""
    given = table_parser(__doc__ or "").parse_args(arguments)
    table, report = SOURCES[given.table], Report("cures", torch.device("cpu"), folder)
    runs = Runs.given(given)
    until = time.monotonic() + 60 * given.minutes
    tree = report.read()
    found = tree[table.name]
    numbers = [int(name) for name in found["judged"] if name not in found["plain"]]
    for start in range(0, len(numbers), given.processes):
        if time.monotonic() > until:
            return
        chunk = numbers[start : start + given.processes]
        files = {number: runs.work / f"{number:04d}-plain.json" for number in chunk}
        write_missing(files, partial(search, table, given.data), given.processes)
        for number in chunk:
            found["plain"][str(number)] = judged(table, runs, number)
            publish(report, tree)
    print(f"cured by a plain search: {sum(found['plain'].values())} of {len(found['plain'])}")


def judged(table: Table, runs: Runs, number: int) -> bool:
    """Whether the values that a search has found cure the config."""
    best = json.loads((runs.work / f"{number:04d}-plain.json").read_text(encoding="utf-8"))
    return bool(best) and is_cured(table, runs, number, "plain", tuple(best["values"].items()))


if __name__ == "__main__":
    main()
