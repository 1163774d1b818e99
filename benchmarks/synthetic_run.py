"""Writes the run folder of a search without training, for reports on many trials.

Configs are sampled from the shipped ``dcgan`` space, outcomes follow from the learning rates, and
the pictures are real digits with noise.
"""

from __future__ import annotations

import json
import math
import shutil
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import optuna
import torch

from gantune.config import dump_config
from gantune.gan.sampling import save_grid
from gantune.gan.tick import Tick
from gantune.health import Verdict
from gantune.io.files import write_text
from gantune.io.yaml_document import format_document
from gantune.run_folder.run import RunFolder
from gantune.run_folder.trial import TrialFolder
from gantune.scores import Protocol, Score
from gantune.space import SearchSpace, load_space
from gantune.trial.pictures import draw_real_images
from gantune.trial.records import Ending, Outcome
from gantune.trial.scoring import load_real_images
from gantune.tuner.storage import open_storage
from gantune.tuner.study import Study

__all__ = ["make_run"]

_RUNGS = (25, 50, 75, 100)
_POOL = 24  # pictures for each level of noise
_LEVELS = 5
_RULES: dict[str, tuple[str, str]] = {
    "diverged": ("exploding", "D loss grew 140-fold to 2.7e4 within 3 kimg"),
    "collapsed": ("discriminator_won", "D loss at 0.004 of its neutral value for 8 kimg"),
    "stalled": ("generator_idle", "G loss stayed within 3% of its opening for 10 kimg"),
}
PROTOCOL = Protocol(
    data="d" * 64,
    resolution=32,
    colour="gray",
    split="train",
    extractor="classifier-digits",
    weights="e" * 64,
    accuracy=0.99,
    resize="32 gray, bilinear, antialiased",
    dtype="float32",
    real=1797,
    generated=2000,
    latent_seed=2,
    kept=1797,
    recall_neighbours=3,
    coverage_neighbours=5,
    held_out_data="",
    subset_seed=0,
)


@dataclass(frozen=True)
class _PlannedOutcome:
    """The outcome that a trial will have."""

    ending: Ending
    kimg: float
    quality: float
    """0 is best; grows with the logarithm of the score."""


def make_run(path: Path, trials: int, seed: int = 0, ticks: int = 40) -> RunFolder:
    """Writes a run of ``trials`` trials and nine finals, and returns its folder."""
    space = load_space("dcgan", [f"budget.trials={trials}"])
    folder, rng = RunFolder(path), np.random.default_rng(seed)
    path.mkdir(parents=True)
    _write_start(folder, space)
    pool = _pictures(folder, space, rng)
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    storage = open_storage(folder, None)
    study = Study.open(storage, space.study, "trial")
    for params in space.start_points():
        study.enqueue(params, start=True)
    values: dict[int, float] = {}
    for number in range(trials):
        trial = study.ask(optuna.samplers.RandomSampler(seed + number))
        config = space.sample_config(trial)
        trial.set_user_attr("budget_kimg", config.kimg)
        planned = _plan_outcome(trial.params, config.kimg, rng)
        outcome = _write_trial(
            folder.trial(f"trials/{number:04d}"), planned, config.kimg, ticks, rng
        )
        write_text(folder.trial(f"trials/{number:04d}").config, dump_config(config))
        _copy_grids(folder.trial(f"trials/{number:04d}"), planned, config.kimg, pool, rng)
        for percent in _RUNGS:
            if percent / 100 * config.kimg <= planned.kimg:
                study.report(number, percent, _score_at(planned, percent / 100, rng))
        study.tell(number, outcome, config.kimg)
        if outcome.score is not None:
            values[number] = outcome.score.value
    study.set_attribute("seconds", 30.0 * trials)
    _write_finals(
        folder, space, Study.open(storage, f"{space.study}.finalists", "finalist"), values
    )
    write_text(folder.best, "# the best\n")
    return folder


def _plan_outcome(
    params: dict[str, object], budget: float, rng: np.random.Generator
) -> _PlannedOutcome:
    """Trials fail if D learns much faster than G, or G very slowly; the best is in between."""
    slow, fast = (math.log10(float(str(params[f"{p}.lr"]))) for p in ("generator", "discriminator"))
    quality = abs(slow + 2.8) + 0.6 * abs(fast + 3.2) + 0.25 * rng.random()
    quality += 0.3 * (params["loss"] == "lsgan")
    if slow < -4.3 and rng.random() < 0.85:
        return _PlannedOutcome("stalled", 0.25 * budget, 5.0)
    if fast - slow > 1.2 and rng.random() < 0.7:
        return _PlannedOutcome("collapsed", float(rng.uniform(0.2, 0.6)) * budget, quality)
    if params["loss"] == "wgan" and fast > -2.7 and rng.random() < 0.8:
        return _PlannedOutcome("diverged", float(rng.uniform(0.05, 0.3)) * budget, quality)
    if quality > 0.9:
        share = 0.25 if quality > 1.5 else 0.5
        return _PlannedOutcome("pruned", share * budget, quality)
    return _PlannedOutcome("crashed" if rng.random() < 0.01 else "completed", budget, quality)


def _score_at(planned: _PlannedOutcome, share: float, rng: np.random.Generator) -> float:
    return float(30 * math.exp(1.3 * planned.quality + 1.5 * (1 - share)) * rng.uniform(0.93, 1.07))


def _score(value: float, protocol: Protocol = PROTOCOL) -> Score:
    near = 30 / max(value, 30)
    return Score(
        value, protocol, value / 50, value / 3000, value / 50_000, 0.8 * near, 0.75 * near,
        0.8 * near, 0.6 * near, 0.9,
    )  # fmt: skip


def _write_trial(
    home: TrialFolder, planned: _PlannedOutcome, budget: float, ticks: int, rng: np.random.Generator
) -> Outcome:
    home.path.mkdir(parents=True)
    rung = replace(PROTOCOL, generated=1000, latent_seed=1)
    places = [k * budget / ticks for k in range(1, ticks + 1) if k * budget / ticks <= planned.kimg]
    lines = [json.dumps(asdict(_tick(kimg, planned, rng))) for kimg in places]
    (home.path / "ticks.jsonl").write_text("".join(f"{line}\n" for line in lines))
    for percent in (p for p in _RUNGS if p / 100 * budget <= planned.kimg):
        score = _score(_score_at(planned, percent / 100, rng), rung)
        place = {"kimg": percent / 100 * budget, "rung": percent / 100, "scoring_seconds": 1.0}
        home.add_score(place | score.to_dict())
    verdict = None
    if planned.ending in _RULES:
        rule, sentence = _RULES[planned.ending]
        verdict = Verdict(planned.ending, rule, planned.kimg, sentence, planned.kimg / 2)  # type: ignore[arg-type]
    is_scored = planned.ending == "completed"
    return Outcome(
        ending=planned.ending,
        kimg=planned.kimg,
        step=int(planned.kimg * 1000 / 64),
        score=_score(_score_at(planned, 1.0, rng)) if is_scored else None,
        best_kimg=budget if is_scored else None,
        verdict=verdict,
        seconds=planned.kimg,
        scoring_seconds=2.0,
        error="Traceback\nValueError: it broke" if planned.ending == "crashed" else "",
    )


def _tick(kimg: float, planned: _PlannedOutcome, rng: np.random.Generator) -> Tick:
    noise, grown = 0.1 * float(rng.standard_normal()), math.log1p(kimg)
    d_loss = {"diverged": math.exp(0.6 * kimg), "collapsed": 1.3 / (1 + kimg)}.get(
        planned.ending, 1.2
    )
    return Tick(
        kimg=kimg, step=int(kimg * 16), d_loss=d_loss + noise, g_loss=0.8 + 0.3 * grown + noise,
        d_real=1 + noise, d_fake=-1 - noise, d_real_std=0.5, d_fake_std=0.5, d_real_sign=0.9,
        d_fake_sign=-0.9, d_grad=1.0, g_grad=1.0, non_finite=0.0, spread=0.7, d_update=1e-3,
        g_update=1e-3, images_per_second=1000.0 + 50 * noise, seconds=kimg,
    )  # fmt: skip


def _pictures(folder: RunFolder, space: SearchSpace, rng: np.random.Generator) -> list[list[Path]]:
    """Grids of real digits at each level of noise; less noise means a better score."""
    config = space.first_config()
    assert config.data is not None
    images = load_real_images(config.data).learned
    draw_real_images(images, folder.real)
    made: list[list[Path]] = []
    for level in range(_LEVELS):
        made.append([])
        for k in range(_POOL):
            pixels = images.array[rng.integers(0, len(images), 64)].astype(np.float32)
            noisy = pixels + 60 * level * rng.standard_normal(pixels.shape)
            path = folder.path / "pool" / f"{level}-{k}.png"
            save_grid(torch.from_numpy(noisy.clip(0, 255).astype(np.uint8)), path)
            made[-1].append(path)
    return made


def _copy_grids(
    home: TrialFolder,
    planned: _PlannedOutcome,
    budget: float,
    pool: list[list[Path]],
    rng: np.random.Generator,
) -> None:
    for percent in (p for p in _RUNGS if p / 100 * budget <= planned.kimg):
        level = min(int(2 * planned.quality + 3 * (1 - percent / 100)), _LEVELS - 1)
        shutil.copyfile(pool[level][rng.integers(_POOL)], home.grid(percent / 100 * budget))


def _write_finals(
    folder: RunFolder, space: SearchSpace, study: Study, values: dict[int, float]
) -> None:
    rng = np.random.default_rng(1)
    best = sorted(values, key=lambda number: values[number])[:2]
    seed = space.first_config().seed
    number = 0
    for k in range(3):
        for origin in dict.fromkeys([*best, 0] if 0 in values else best):
            study.enqueue({}, origin=origin, seed=seed + 1 + k, budget_kimg=40.0)
            study.ask()
            value = values[origin] * float(rng.uniform(0.95, 1.1))
            home = folder.trial(f"finalists/{number:04d}")
            home.path.mkdir(parents=True)
            for path in folder.trial(f"trials/{origin:04d}").path.glob("samples-*.png"):
                shutil.copyfile(path, home.path / path.name)
            outcome = Outcome(
                "completed", 40.0, 625, _score(value), 40.0, seconds=40.0, scoring_seconds=2.0
            )
            study.tell(number, outcome, 40.0)
            number += 1


def _write_start(folder: RunFolder, space: SearchSpace) -> None:
    write_text(folder.space, format_document(space.resolved_tree()))
    info = {
        "study": space.study, "storage": None, "command": "gantune search dcgan",
        "begun": time.time(), "seconds_before": 0.0, "preparing_seconds": 1.0,
        "workers": 2, "threads_per_worker": 1, "devices": ["cpu", "cpu"],
        "versions": {}, "protocol": asdict(PROTOCOL),
        "rung_protocol": asdict(replace(PROTOCOL, generated=1000, latent_seed=1)),
    }  # fmt: skip
    write_text(folder.info, json.dumps(info))
