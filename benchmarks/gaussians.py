"""How many of the 25 Gaussians a GAN finds, and how close its points lie to them.

    python -m benchmarks.gaussians [--seeds 0 1 2] [--processes 2]

The settings are the ``start`` entries of the shipped space ``mixture2d``: hinge with R1,
relativistic with R1 and R2, minimax without a penalty, and minimax with Adam's default betas. They
were chosen on other seeds (101 to 105) than those reported. The papers that count modes this way
draw 2,500 points and use three standard deviations, on a grid of step 2 with deviation 0.05; here
it is 20,000 points and four deviations, step 0.4 and deviation 0.02. So the counts cannot be
compared with theirs.
"""

from __future__ import annotations

import argparse
import multiprocessing
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.publish import PAGE, RESULTS, Report, describe_machine, table
from gantune.config import TrialConfig
from gantune.data import load_images, resolved
from gantune.data.sources.builtin import STD, gaussian_modes
from gantune.gan.trainer import Trainer
from gantune.space import load_space

__all__ = ["Coverage", "Row", "coverage", "grid_settings", "main", "run"]

SAMPLES = 20_000
NEAR = 4 * STD
"""A sample is near a mode within four standard deviations of its centre, 0.08."""
_LATENT_SEED = 20_170_601


@dataclass(frozen=True)
class Coverage:
    """How much of a mixture the samples cover."""

    modes: int
    """Modes with at least one sample near: the count of Srivastava et al. 2017 (VEEGAN, section
    4.1) and Lin et al. 2018 (PacGAN, section 4.1), who use three standard deviations."""
    near: float
    """Share of the samples that are near a mode, in [0, 1]."""
    rarest: float
    """Share of the samples near the mode with the fewest; 1/25 would be even."""


def coverage(points: NDArray[np.floating], modes: NDArray[np.floating]) -> Coverage:
    """The coverage of modes with centres [K, 2] by points [N, 2]."""
    distances = np.linalg.norm(points[:, None] - modes[None], axis=-1)  # [N, K]
    is_near = distances.min(axis=1) <= NEAR
    counts = np.bincount(distances.argmin(axis=1)[is_near], minlength=len(modes))
    return Coverage(
        int((counts > 0).sum()), float(is_near.mean()), float(counts.min() / len(points))
    )


@dataclass(frozen=True)
class Row:
    """The result of one training."""

    setting: str
    seed: int
    coverage: Coverage
    kimg: float
    seconds: float


def grid_settings() -> dict[str, TrialConfig]:
    """The ``start`` entries of ``mixture2d`` by name, such as ``hinge, r1, betas 0 and 0.9``."""
    space = load_space("mixture2d")
    configs = [space.configs_of(point) for point in space.start_points()]
    return {_name(config): config for config in configs if isinstance(config, TrialConfig)}


def _name(config: TrialConfig) -> str:
    penalties = [name for name, penalty in config.penalties if penalty is not None]
    betas = f"betas {config.generator.beta1:g} and {config.generator.beta2:g}"
    return ", ".join([config.loss, *(penalties or ["no penalty"]), betas])


def run(setting: str, seed: int, device: str = "cpu") -> Row:
    """Trains one setting and measures the points of its averaged generator."""
    torch.set_num_threads(1)
    config = grid_settings()[setting].model_copy(update={"seed": seed})
    images = load_images(config.data, None)
    trainer = Trainer(resolved(config, images), images, device)
    for _ in trainer:
        pass
    latents = torch.Generator(trainer.device).manual_seed(_LATENT_SEED)
    points = trainer.sample(SAMPLES, latents).cpu().numpy().astype(np.float64)
    found = coverage(points, gaussian_modes(config.data.source))
    return Row(setting, seed, found, trainer.kimg, round(trainer.seconds, 1))


def report(rows: Sequence[Row], machine: str) -> str:
    """The table with a line for each setting, and how it was made."""
    by_setting: dict[str, list[Row]] = {}
    for row in rows:
        by_setting.setdefault(row.setting, []).append(row)
    lines = []
    for setting, own in by_setting.items():
        found = [row.coverage for row in own]
        lines.append(
            (
                setting,
                " / ".join(str(one.modes) for one in found),
                " / ".join(f"{one.near:.1%}" for one in found),
                " / ".join(f"{one.rarest:.1%}" for one in found),
                f"{own[0].kimg:,.0f}",
                f"{max(row.seconds for row in own):.0f}",
            )
        )
    columns = ("setting", ">modes of 25", ">near a mode", ">rarest mode", ">kimg", ">seconds")
    seeds = ", ".join(str(seed) for seed in sorted({row.seed for row in rows}))
    return (
        f"{table(columns, lines)}\n\nOne figure for each of the seeds {seeds}: {SAMPLES:,} points "
        "of the averaged generator. A point is near a mode if it is within four standard "
        "deviations of the centre. A mode counts as found with one such point (Srivastava et al. "
        "2017 and Lin et al. 2018 use three deviations). Rarest mode: the share of points near the "
        f"mode with the fewest; 4.0% would be even. {machine}; by `python -m benchmarks.gaussians`."
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Trains all settings, prints the table and writes it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--page", type=Path, default=PAGE)
    given = parser.parse_args(arguments)
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(given.processes, mp_context=spawn) as pool:
        waiting = [
            pool.submit(run, setting, seed, given.device)
            for setting in grid_settings()
            for seed in given.seeds
        ]
        rows = [future.result() for future in waiting]
    device = torch.device(given.device)
    machine = describe_machine(device, given.processes)
    text = report(rows, machine)
    print(text)
    tree = {"machine": machine, "samples": SAMPLES, "rows": [asdict(row) for row in rows]}
    place = Report("gaussians", device, given.results, given.page)
    place.write(tree, "25 Gaussians", text)


if __name__ == "__main__":
    main()
