"""Trains settings of the ``gan_landscape`` space to the end with health off, and records them.

    python -m benchmarks.health_sweep [--configurations 304] [--processes 2] [--kimg 40]
        [--work runs/health_sweep] [--out benchmarks/curves/gan_landscape_digits.parquet]

The space's sampler is random; every third setting is trained on two seeds. Differences from the
space: a DCGAN at 16 pixels with batches of 32, so that two CPU cores train 400 runs in about two
hours, and a tenth of the digits held out. Every tick is recorded, and a score at every twentieth of
the budget, under the protocol of a search's rungs (1,000 samples).

Each run is written to ``--work`` when it ends, so an interrupted sweep resumes. At the end one
Parquet file is written with a row for each run (see ``benchmarks/curves.py``).
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import tempfile
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from functools import cache
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

__all__ = ["Run", "blurred_score", "config_of", "main", "runs_of", "train"]

SAMPLES = 1000
SCORES = 20
"""Scores in a run, evenly spaced, apart from that of the untrained generator."""
BLUR = 7
"""Width in pixels of the box that blurs a 16-pixel digit beyond recognition."""


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


@cache
def space_of(kimg: float) -> SearchSpace:
    """The shipped space, small enough for two cores."""
    small = ("network.name=dcgan", "data.resolution=16", "batch_size=32", "data.held_out=0.1")
    return load_space("gan_landscape", [f"kimg={kimg}", "precision=fp32", *small])


def config_of(run: Run, kimg: float) -> TrialConfig:
    """The setting that the space's sampler proposes for a trial of this number."""
    space = space_of(kimg)
    study = optuna.create_study(sampler=make_sampler(space.sampler, run.configuration))
    return space.sample_config(study.ask()).model_copy(update={"seed": run.seed})


@dataclass(frozen=True)
class _Scoring:
    real: RealImages
    evaluator: Evaluator


@cache
def _scoring(kimg: float) -> _Scoring:
    config = space_of(kimg).first_config()
    assert isinstance(config, TrialConfig)
    real = load_real_images(config.data, RESOLUTIONS[config.network.name])
    with tempfile.TemporaryDirectory() as folder:
        extractor = resolve_extractor("auto", real.learned, Path(folder), "cpu")
    learned = RealImages(real.learned)
    protocols = make_protocols(extractor, learned, rung_samples=SAMPLES, samples=SAMPLES)
    return _Scoring(real, Evaluator(extractor, learned, protocols, "cpu"))


def train(run: Run, kimg: float) -> dict[str, Any]:
    """One run to its end: its settings, ticks and scores as plain values."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    torch.set_num_threads(1)
    scoring = _scoring(kimg)
    real = scoring.real
    config = resolved(config_of(run, kimg), real.learned)
    trainer = Trainer(config, real.learned, "cpu", real.held_out)
    ticks, scores = [], [_score(scoring.evaluator, trainer)]
    for tick in trainer:
        ticks.append(asdict(tick))
        if trainer.images_seen >= round(1000 * kimg * len(scores) / SCORES):
            scores.append(_score(scoring.evaluator, trainer))
    return {
        "configuration": run.configuration,
        "seed": run.seed,
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


def blurred_score(kimg: float) -> float:
    """The score of real images that are blurred beyond recognition: failed runs are worse."""
    scoring = _scoring(kimg)
    assert scoring.real.held_out is not None
    images = blurred(torch.tensor(scoring.real.held_out.array), BLUR)
    place = 0

    def sample(count: int, _: torch.Generator) -> Tensor:
        nonlocal place
        place += count
        return images[torch.arange(place - count, place) % len(images)]

    return scoring.evaluator.score(sample).value


def main(arguments: Sequence[str] | None = None) -> None:
    """Trains the missing runs, then writes all of them to one file."""
    given = _parser().parse_args(arguments)
    runs = runs_of(given.configurations)
    given.work.mkdir(parents=True, exist_ok=True)
    files = {run: given.work / f"{run.name}.json" for run in runs}
    missing = [run for run in runs if not files[run].exists()]
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(given.processes, mp_context=spawn) as pool:
        waiting = {pool.submit(train, run, given.kimg): run for run in missing}
        for future in as_completed(waiting):
            write_text(files[waiting[future]], json.dumps(future.result()))
    facts = {
        "kimg": given.kimg,
        "samples": SAMPLES,
        "blurred_score": blurred_score(given.kimg),
        "protocol": _scoring(given.kimg).evaluator.protocols.rung.hash,
        "machine": describe_machine(torch.device("cpu"), given.processes),
        "script": "python -m benchmarks.health_sweep",
    }
    trees = [json.loads(files[run].read_text(encoding="utf-8")) for run in runs]
    write_curves(given.out, trees, facts)
    print(f"{len(trees)} runs in {given.out}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--configurations", type=int, default=304)
    parser.add_argument("--kimg", type=float, default=40.0)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--work", type=Path, default=Path("runs/health_sweep"))
    parser.add_argument("--out", type=Path, default=CURVES / "gan_landscape_digits.parquet")
    return parser


if __name__ == "__main__":
    main()
