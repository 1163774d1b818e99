"""Trains many random settings of a space to their ends with health off, and records them.

    python -m benchmarks.sweep digits [--processes 2] [--work runs/sweep_digits]
    python -m benchmarks.sweep fashion --data PATH
    python -m benchmarks.sweep cifar --data PATH

There are three tables. ``digits`` has 304 settings of the shipped space ``gan_landscape`` with a
DCGAN at 16 pixels, ``fashion`` 150 of ``dcgan28`` on Fashion-MNIST, and ``cifar`` 60 of ``sngan``,
a residual network, on CIFAR-10. Networks and runs are small, so that two CPU cores record a table
in about two hours. Settings are drawn at random, and every third one is trained on two seeds. A
tenth of the images is held out. Every tick is recorded, and a score at every twentieth of the
budget, under the protocol of a search's rungs (1,000 samples); in ``cifar``, whose ticks are
longer, at every tenth.

Each run is written to ``--work`` when it ends, so an interrupted sweep resumes. First seeds come
first. At the end one Parquet file is written with a row for each run (``benchmarks/curves.py``).
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import tempfile
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

import optuna
import torch
from torch import Tensor

from benchmarks.curves import CURVES, write_curves
from benchmarks.orderings import blurred
from benchmarks.publish import describe_machine
from gantune.config import RESOLUTIONS, TrialConfig
from gantune.data import resolved
from gantune.errors import ScoreError
from gantune.gan.trainer import Trainer
from gantune.io.files import write_text
from gantune.scores import Evaluator, RealImages, make_protocols, resolve_extractor
from gantune.space import SearchSpace, load_space
from gantune.trial.scoring import load_real_images
from gantune.tuner.study import make_sampler

__all__ = [
    "TABLES",
    "Run",
    "Scoring",
    "Table",
    "blurred_score",
    "main",
    "runs_of",
    "scoring",
    "train",
    "write_missing",
]

SAMPLES = 1000
SCORES = 20
"""Scores in a run, evenly spaced, apart from that of the untrained generator."""


@dataclass(frozen=True)
class Table:
    """What one sweep trains."""

    name: str
    shipped: str
    """The shipped space."""
    changes: tuple[str, ...]
    """What differs from it, as ``--set`` takes it."""
    resolution: int
    kimg: float
    """Length of each run."""
    configurations: int

    @property
    def path(self) -> Path:
        """The file of its curves."""
        return CURVES / f"{self.shipped}_{self.name}.parquet"

    @property
    def blur(self) -> int:
        """Width in pixels of the box that blurs an image beyond recognition; odd."""
        return self.resolution * 7 // 16 | 1

    @property
    def overrides(self) -> tuple[str, ...]:
        """All that differs from the shipped space."""
        own = (f"kimg={self.kimg}", f"data.resolution={self.resolution}", *self.changes)
        return (*own, "data.held_out=0.1", "precision=fp32")

    def space(self, *changes: str) -> SearchSpace:
        """The space, with further changes."""
        return load_space(self.shipped, [*self.overrides, *changes])

    def draw(self, configuration: int) -> tuple[TrialConfig, dict[str, Any]]:
        """A setting by its number: the config, and the parameters that were drawn."""
        space = _random_space(self)
        trial = optuna.create_study(sampler=make_sampler(space.sampler, configuration)).ask()
        config = space.sample_config(trial)
        assert isinstance(config, TrialConfig)
        return config, dict(trial.params)


_SMALL = ("network.name=dcgan", "batch_size=32")
TABLES = {
    table.name: table
    for table in (
        Table("digits", "gan_landscape", _SMALL, 16, 40.0, 304),
        Table("fashion", "dcgan28", ("network.width=16",), 28, 20.0, 150),
        Table("cifar", "sngan", (), 32, 10.0, 60),
    )
}
"""The tables by name."""


@cache
def _random_space(table: Table) -> SearchSpace:
    return table.space("sampler.name=random", "sampler.seed=0")


@dataclass(frozen=True)
class Run:
    """One training of the sweep."""

    configuration: int
    seed: int

    @property
    def name(self) -> str:
        """The name of its file."""
        return f"{self.configuration:04d}-{self.seed}"


def runs_of(configurations: int) -> list[Run]:
    """Every third configuration on two seeds."""
    return [
        Run(number, seed)
        for number in range(configurations)
        for seed in ((0, 1) if number % 3 == 0 else (0,))
    ]


@dataclass(frozen=True)
class Scoring:
    """What scores the runs of a table."""

    real: RealImages
    evaluator: Evaluator


@cache
def scoring(table: Table, data: str | None) -> Scoring:
    """The images of a table, and the evaluator of its runs."""
    given = () if data is None else (f"data.source={data}",)
    config = table.space(*given).first_config()
    assert isinstance(config, TrialConfig)
    real = load_real_images(config.data, RESOLUTIONS[config.network.name])
    with tempfile.TemporaryDirectory() as folder:
        extractor = resolve_extractor("auto", real.learned, Path(folder), "cpu")
    learned = RealImages(real.learned)
    protocols = make_protocols(extractor, learned, rung_samples=SAMPLES, samples=SAMPLES)
    return Scoring(real, Evaluator(extractor, learned, protocols, "cpu"))


def train(table: Table, data: str | None, run: Run) -> dict[str, Any]:
    """One run to its end: its settings, ticks and scores as plain values."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    torch.set_num_threads(1)
    scored = scoring(table, data)
    real = scored.real
    drawn, params = table.draw(run.configuration)
    config = resolved(drawn.model_copy(update={"seed": run.seed}), real.learned)
    trainer = Trainer(config, real.learned, "cpu", real.held_out)
    ticks, scores = [], [_score(scored.evaluator, trainer)]
    for tick in trainer:
        ticks.append(asdict(tick))
        if trainer.images_seen >= round(1000 * table.kimg * len(scores) / SCORES):
            scores.append(_score(scored.evaluator, trainer))
    return {
        "configuration": run.configuration,
        "seed": run.seed,
        "params": params,
        "config": config.model_dump(mode="json"),
        "ticks": ticks,
        "scores": scores,
    }


def _score(evaluator: Evaluator, trainer: Trainer) -> dict[str, float | None]:
    """A score's numbers; ``None`` if the generator's images are not finite."""
    try:
        score = evaluator.score(trainer.sample)
    except ScoreError:
        return {"kimg": trainer.kimg, "value": None}
    names = ("value", "error", "kid", "precision", "recall", "coverage", "spread")
    return {"kimg": trainer.kimg, **{name: getattr(score, name) for name in names}}


def blurred_score(table: Table, data: str | None) -> float:
    """The score of real images that are blurred beyond recognition: failed runs are worse."""
    scored = scoring(table, data)
    assert scored.real.held_out is not None
    images = blurred(torch.tensor(scored.real.held_out.array), table.blur)
    place = 0

    def sample(count: int, _: torch.Generator) -> Tensor:
        nonlocal place
        place += count
        return images[torch.arange(place - count, place) % len(images)]

    return scored.evaluator.score(sample).value


def write_missing(
    files: Mapping[Any, Path], train: Callable[[Any], dict[str, Any]], processes: int
) -> None:
    """Writes each file that is not there, as JSON, with what ``train`` makes of its key; in
    processes of their own."""
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, mp_context=spawn) as pool:
        waiting = {
            pool.submit(train, key): file for key, file in files.items() if not file.exists()
        }
        for future in as_completed(waiting):
            write_text(waiting[future], json.dumps(future.result()))


def main(arguments: Sequence[str] | None = None) -> None:
    """Trains the missing runs, then writes all of them to one file."""
    given = _parser().parse_args(arguments)
    table = TABLES[given.table]
    runs = runs_of(table.configurations)
    work: Path = given.work or Path("runs") / f"sweep_{table.name}"
    work.mkdir(parents=True, exist_ok=True)
    files = {run: work / f"{run.name}.json" for run in runs}
    write_missing(
        dict(sorted(files.items(), key=lambda item: item[0].seed)),
        partial(train, table, given.data),
        given.processes,
    )
    facts = {
        "kimg": table.kimg,
        "samples": SAMPLES,
        "blurred_score": blurred_score(table, given.data),
        "protocol": scoring(table, given.data).evaluator.protocols.rung.hash,
        "machine": describe_machine(torch.device("cpu"), given.processes),
        "script": f"python -m benchmarks.sweep {table.name}",
    }
    trees = [json.loads(files[run].read_text(encoding="utf-8")) for run in runs]
    out = given.out or table.path
    write_curves(out, trees, facts)
    print(f"{len(trees)} runs in {out}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("table", choices=TABLES)
    parser.add_argument("--data", help="folder or file of the images; digits needs none")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--work", type=Path, help="default: runs/sweep_TABLE")
    parser.add_argument(
        "--out", type=Path, help="default: the table's file below benchmarks/curves"
    )
    return parser


if __name__ == "__main__":
    main()
