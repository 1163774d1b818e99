"""Every shipped recipe trained for one short budget on the same digits, and its FID.

    python -m benchmarks.recipes [--recipes dcgan,wgan_gp] [--seeds 3] [--kimg 25] [--device cpu]

A recipe is a ``start`` entry of a shipped space with another length: the first one has the paper's
settings, ``wgan (2)`` is the second one. All are scored once, at the end, under one protocol;
``mixture2d`` has its own data, and so its own protocol. Existing rows of the results are kept where
config, protocol, machine and precision are the same; rows of these recipes that are no longer
needed are dropped.
"""

from __future__ import annotations

import argparse
import hashlib
import multiprocessing
import tempfile
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

import torch

from benchmarks.publish import PAGE, RESULTS, Report, describe_machine, score_name, table
from gantune.config import RESOLUTIONS, DataConfig, TrialConfig, dump_config
from gantune.data import ImageSet, load_images, resolved
from gantune.gan.precision import compute_dtype
from gantune.run_folder.trial import TrialFolder
from gantune.scores import Evaluator, RealImages, make_protocols, resolve_extractor
from gantune.space import load_space
from gantune.trial import builtin
from gantune.trial.records import Assignment, Outcome
from gantune.trial.run import run_trial
from gantune.trial.scoring import ScorePolicy
from gantune.trial.session import Session

__all__ = [
    "RECIPES",
    "Row",
    "Training",
    "earlier_rows",
    "main",
    "recipe_config",
    "report",
    "train",
    "trainings",
]

RECIPES = (
    *("dcgan", "lsgan", "wgan", "wgan_gp", "dragan", "sngan", "r3gan", "few_shot", "mixture2d"),
)
Fingerprint = tuple[str, str, str]
SAMPLES = 2000
"""Generated images of a score."""


@dataclass(frozen=True)
class Training:
    """One training: the ``entry``-th start entry of a shipped space, with one seed."""

    space: str
    entry: int
    seed: int
    kimg: float

    @property
    def name(self) -> str:
        """``wgan``, and ``wgan (2)`` for its second entry."""
        return self.space if self.entry == 0 else f"{self.space} ({self.entry + 1})"


@dataclass(frozen=True)
class Row:
    """The result of one training."""

    recipe: str
    seed: int
    key: str
    """Hash of config and protocol; a row with the same hash is not measured again."""
    network: str
    loss: str
    protocol: str
    """Hash of the score's protocol."""
    extractor: str
    real: int
    """Number of real images that the samples were compared with."""
    ending: str
    kimg: float
    step: int
    """Generator steps."""
    seconds: float
    """Training time, without scoring."""
    fid: float | None
    """``None`` if the run failed before its end."""
    dtype: str = "float32"
    """Number format of the networks on this device."""
    machine: str = ""

    @property
    def fingerprint(self) -> Fingerprint:
        """Identifies how the row was measured."""
        return self.key, self.dtype, self.machine


def trainings(recipes: Sequence[str], seeds: int, kimg: float) -> list[Training]:
    """All trainings, ordered by seed.

    No recipe is trained longer than its space says; a recipe on points is trained that long.
    """
    made = []
    for space in recipes:
        shipped = load_space(space)
        config = shipped.first_config()
        length = config.kimg if config.data.is_points else min(kimg, config.kimg)
        for entry in range(len(shipped.start_points())):
            made += [Training(space, entry, seed, length) for seed in range(seeds)]
    return sorted(made, key=lambda training: training.seed)


def recipe_config(training: Training) -> TrialConfig:
    """The start entry as the space has it, with this length and seed."""
    space = load_space(training.space)
    config = space.configs_of(space.start_points()[training.entry])
    return config.model_copy(update={"seed": training.seed, "kimg": training.kimg})


@dataclass(frozen=True)
class _Scoring:
    images: ImageSet
    evaluator: Evaluator


@cache
def _scoring(data: DataConfig, network: str, device: str) -> _Scoring:
    """The images and the evaluator, loaded once per process; all recipes share them."""
    images = load_images(data, RESOLUTIONS[network])
    with tempfile.TemporaryDirectory() as folder:
        extractor = resolve_extractor("auto", images, Path(folder), device)
    protocols = make_protocols(extractor, RealImages(images), rung_samples=SAMPLES, samples=SAMPLES)
    return _Scoring(images, Evaluator(extractor, RealImages(images), protocols, device))


def train(
    training: Training, device: str, machine: str, done: frozenset[Fingerprint]
) -> Row | Fingerprint:
    """Trains and scores one recipe. Returns only its fingerprint if that is in ``done``."""
    torch.set_num_threads(1)
    config = recipe_config(training)
    scoring = _scoring(config.data, config.network.name, device)
    evaluator, config = scoring.evaluator, resolved(config, scoring.images)
    protocol = evaluator.protocols.full.hash
    key = hashlib.sha256(f"{dump_config(config)}{protocol}".encode()).hexdigest()[:12]
    dtype = str(compute_dtype(config, torch.device(device))).removeprefix("torch.")
    if (key, dtype, machine) in done:
        return key, dtype, machine
    outcome = _outcome(config, scoring, device)
    return Row(
        recipe=training.name,
        seed=training.seed,
        key=key,
        network=f"{config.network.name} {config.network.width}",
        loss=config.loss,
        protocol=protocol,
        extractor=evaluator.extractor.name,
        real=evaluator.protocols.full.real,
        ending=outcome.ending,
        kimg=round(outcome.kimg, 1),
        step=outcome.step,
        seconds=round(outcome.seconds, 1),
        fid=None if outcome.score is None else round(outcome.score.value, 2),
        dtype=dtype,
        machine=machine,
    )


def _outcome(config: TrialConfig, scoring: _Scoring, device: str) -> Outcome:
    """One run as in a search, with health, but with a score only at its end."""
    with tempfile.TemporaryDirectory() as folder:
        assignment = Assignment("training", config, rungs=(1.0,))
        place, evaluator = TrialFolder(Path(folder)), scoring.evaluator
        policy = ScorePolicy(None, evaluator, scoring.images)
        session = Session(assignment, place, torch.device(device), policy, lambda report: True)
        train = partial(builtin.train, real=RealImages(scoring.images))
        return run_trial(train, session)


def report(rows: Sequence[Row]) -> str:
    """The tables, one for each protocol, and how they were made."""
    texts = []
    for protocol in dict.fromkeys(row.protocol for row in rows):
        own = [row for row in rows if row.protocol == protocol]
        texts.append(
            f"{_table(own)}\n\n`{score_name(own[0].extractor)}` of {SAMPLES:,} generated and "
            f"{own[0].real:,} real images; protocol `{protocol}`."
        )
    seeds = len({row.seed for row in rows})
    machines = "; ".join(dict.fromkeys(row.machine for row in rows))
    dtypes = " and ".join(sorted({row.dtype for row in rows}))
    return "\n\n".join(texts) + (
        f"\n\nBest and worst of {seeds} seeds. The averaged generator is scored once, at the end. "
        "The number after a name is that of its start entry. Scores are comparable only within one "
        "protocol, and not with published figures. Seconds are the mean training time over "
        f"seeds. Networks in {dtypes}. {machines}; by `python -m benchmarks.recipes`."
    )


def _table(rows: Sequence[Row]) -> str:
    by_recipe: dict[str, list[Row]] = {}
    for row in rows:
        by_recipe.setdefault(row.recipe, []).append(row)
    columns = ("recipe", "loss", "network, width", ">kimg", ">generator steps")
    lines = [_line(name, own) for name, own in by_recipe.items()]
    name = score_name(rows[0].extractor)
    return table((*columns, f">best {name}", f">worst {name}", ">seconds", "outcomes"), lines)


def _line(name: str, rows: Sequence[Row]) -> tuple[str, ...]:
    scores = [row.fid for row in rows if row.fid is not None]
    is_whole = len(scores) == len(rows)
    endings = Counter(
        row.ending if row.ending == "completed" else f"{row.ending} at {row.kimg:g} kimg"
        for row in rows
    )
    return (
        name,
        rows[0].loss,
        rows[0].network,
        f"{max(row.kimg for row in rows):,.0f}",
        f"{max(row.step for row in rows):,}",
        f"{min(scores):.1f}" if scores else "none",
        f"{max(scores):.1f}" if is_whole else "none",
        f"{sum(row.seconds for row in rows) / len(rows):.0f}",
        ", ".join(f"{count} {ending}" for ending, count in endings.most_common()),
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Measures the missing rows; writes the results after each of them, and at the end."""
    given = _parser().parse_args(arguments)
    recipes, device = given.recipes.split(","), torch.device(given.device)
    wanted = trainings(recipes, given.seeds, given.kimg)
    place = Report("recipes", device, given.results, given.page)
    machine = describe_machine(device, given.processes)
    rows = earlier_rows(place.read())
    done = frozenset(row.fingerprint for row in rows)
    tree: dict[str, Any] = {"kimg": given.kimg, "samples": SAMPLES}

    def write() -> None:
        made = {**tree, "rows": [asdict(row) for row in rows]}
        place.write(made, "Recipes", report(rows))

    found: set[Fingerprint] = set()
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(given.processes, mp_context=spawn) as pool:
        waiting = [pool.submit(train, one, given.device, machine, done) for one in wanted]
        for future in as_completed(waiting):
            row = future.result()
            if not isinstance(row, Row):
                found.add(row)
                continue
            found.add(row.fingerprint)
            rows = [old for old in rows if (old.recipe, old.seed) != (row.recipe, row.seed)]
            rows = sorted([*rows, row], key=_order)
            print(f"{row.recipe}, seed {row.seed}: {row.fid} {row.ending}, {row.seconds} s")
            write()
    rows = [row for row in rows if row.fingerprint in found or _space(row) not in recipes]
    write()
    print(report(rows))


def earlier_rows(tree: dict[str, Any]) -> list[Row]:
    """The rows of an earlier run; older files have one machine for all of them."""
    given = {"machine": tree.get("machine", "")}
    return [Row(**{**given, **row}) for row in tree.get("rows", ())]


def _space(row: Row) -> str:
    return row.recipe.partition(" ")[0]


def _order(row: Row) -> tuple[int, str, int]:
    return RECIPES.index(_space(row)), row.recipe, row.seed


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--recipes", default=",".join(RECIPES), help="separated by commas")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--kimg", type=float, default=25.0)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--page", type=Path, default=PAGE)
    return parser


if __name__ == "__main__":
    main()
