"""The Frechet distance compared with torchmetrics' ``compute()``, and the cost of a whole score.

    python -m benchmarks.score_speed [--rounds 3] [--device cuda]

Both get the same sums in float64. torchmetrics has the real side in its state, gantune in its
cached root, as in a search. They take turns, and each round has its own ratio. The memory is
measured in a separate process that scores 50,000 samples of 2,048 features: the increase due to the
features of 50,000 real and 10,000 held-out images, streaming, and all other metrics.
"""

from __future__ import annotations

import argparse
import copy
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from statistics import median

import numpy as np
import torch
from torch import Tensor, nn
from torchmetrics.image.fid import FrechetInceptionDistance

from benchmarks.publish import RESULTS, ROOT, Report, describe_machine, table
from gantune.data import ImageSet
from gantune.scores import Evaluator, Extractor, RealImages, make_protocols
from gantune.scores.distances import (
    Gaussian,
    KernelSide,
    frechet_distance,
    frechet_with_error,
    kernel_distance,
)
from gantune.scores.extractors.random_features import RandomFeatures
from gantune.scores.feature_statistics import BATCH, Features, Moments
from gantune.scores.features import FeatureNetwork
from gantune.scores.precision_recall import NeighbourBalls, overlap

__all__ = ["Case", "Row", "Speeds", "batch_speeds", "compare", "main"]

_PART = 1000  # rows that are summed at a time
_LARGE = 2048


@dataclass(frozen=True)
class Case:
    """The number of features and of images."""

    size: int
    real: int
    made: int


@dataclass(frozen=True)
class Row:
    """One case: seconds, median over the rounds."""

    case: Case
    theirs: float
    ours: float
    with_error: float
    """gantune's time including the standard error."""
    ratio: float
    """Median over rounds of torchmetrics' time divided by gantune's."""
    difference: float
    """Relative difference of the two values."""


@dataclass(frozen=True)
class Speeds:
    """Images of ``side`` pixels a second, by the number of images at a time."""

    side: int
    images: dict[int, float]


CASES = [
    Case(64, 10_000, 2000),
    Case(768, 10_000, 2000),
    Case(_LARGE, 10_000, 10_000),
    Case(_LARGE, 10_000, 1000),
]


class _Given(FeatureNetwork):
    """Features from a fixed matrix, so that only the score is measured.

    torchmetrics takes it with sums already in its state and never calls it.
    """

    kind = "given"

    def __init__(self, size: int) -> None:
        super().__init__({}, size, "none")
        self.matrix: Tensor
        self.register_buffer("matrix", torch.randn(64, size) / 8)

    def forward(self, images: Tensor) -> Tensor:
        return images.flatten(1)[:, :64].float() @ self.matrix


def compare(case: Case, device: torch.device, rounds: int) -> Row:
    """Times both in turns."""
    real, made = (
        _features(case.size, count, device, seed)
        for seed, count in enumerate((case.real, case.made))
    )
    metric = FrechetInceptionDistance(feature=_Given(case.size)).to(device)
    for side, rows in (("real", real), ("fake", made)):
        exact = rows.double()
        setattr(metric, f"{side}_features_sum", exact.sum(0))
        setattr(metric, f"{side}_features_cov_sum", exact.T @ exact)
        setattr(metric, f"{side}_features_num_samples", torch.tensor(len(rows), device=device))
    metric.orig_dtype, metric._update_count = torch.float64, 1
    gaussian = Gaussian.of(Features(real, case.real))
    sums = _summed(made)

    def theirs() -> float:
        metric._computed = None
        return float(metric.compute())

    def features() -> Features:
        streamed = None if case.made <= case.size else copy.copy(sums)
        return Features(made, case.made, streamed=streamed)

    def ours() -> float:
        return frechet_distance(gaussian, features())

    def with_error() -> float:
        return frechet_with_error(gaussian, features()).value

    ways = (theirs, ours, with_error)
    ours()  # the first call of a library is slower
    turns = [[_timed(way, device) for way in ways] for _ in range(rounds)]
    values = theirs(), ours()
    return Row(
        case=case,
        theirs=median(turn[0] for turn in turns),
        ours=median(turn[1] for turn in turns),
        with_error=median(turn[2] for turn in turns),
        ratio=median(turn[0] / turn[1] for turn in turns),
        difference=abs(values[1] - values[0]) / values[0],
    )


def _features(size: int, count: int, device: torch.device, seed: int) -> Tensor:
    """Correlated, non-negative features of falling variance, as those of a network after ReLU."""
    generator = torch.Generator().manual_seed(seed)
    mixing = torch.randn(size, size, generator=torch.Generator().manual_seed(9)) / size**0.5
    scales = torch.logspace(0, -2, size)
    rows = (torch.randn(count, size, generator=generator) * scales) @ mixing
    return (rows + 0.02 * seed).relu().to(device)


def _summed(rows: Tensor) -> Moments:
    sums = Moments(rows[:_PART])
    for part in torch.split(rows, _PART):
        sums.add(part)
    return sums


def _timed(function: Callable[[], object], device: torch.device) -> float:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    begun = time.perf_counter()
    function()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - begun


def extra_metrics(device: torch.device, count: int = 10_000) -> dict[str, float]:
    """Seconds that the other metrics take with 2,048 features; the real side is cached."""
    real, made = (_features(_LARGE, count, device, seed) for seed in range(2))
    kernel, manifold = KernelSide.of(real), NeighbourBalls.of(real, 3, 5)
    return {
        "KID": _timed(lambda: kernel_distance(kernel, KernelSide.of(made)), device),
        "precision, recall, density, coverage": _timed(
            lambda: overlap(manifold, NeighbourBalls.of(made, 3, 5)), device
        ),
    }


def batch_speeds(
    device: torch.device,
    rounds: int,
    sides: Sequence[int] = (32, 64),
    batches: Sequence[int] = (50, BATCH, 4 * BATCH),
) -> list[Speeds]:
    """Images a second through random features, by the number of images at a time, in turns."""
    found = []
    for side in sides:
        pixels = torch.randint(0, 256, (max(batches), 3, side, side), dtype=torch.uint8)
        images, network = pixels.to(device), RandomFeatures(3, side).eval().to(device)

        def extract(batch: int, images: Tensor = images, network: nn.Module = network) -> None:
            for part in images.split(batch):
                network(part)

        with torch.inference_mode():
            extract(max(batches))
            ways = {batch: partial(extract, batch) for batch in batches}
            turns = [{b: _timed(way, device) for b, way in ways.items()} for _ in range(rounds)]
        medians = {b: median(turn[b] for turn in turns) for b in batches}
        found.append(Speeds(side, {b: len(images) / seconds for b, seconds in medians.items()}))
    return found


def memory(device: str) -> float:
    """GiB that scoring 50,000 samples adds to a fresh process."""
    command = [sys.executable, "-m", "benchmarks.score_speed", "--memory", "--device", device]
    with tempfile.TemporaryDirectory() as cache:
        own = {**os.environ, "GANTUNE_CACHE": cache}
        done = subprocess.run(
            command, cwd=ROOT, env=own, stdout=subprocess.PIPE, text=True, check=True
        )
    return float(done.stdout.split()[-1])


def _measure_memory(device: torch.device, count: int = 50_000) -> None:
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (count, 1, 8, 8), dtype=np.uint8)
    unseen = rng.integers(0, 256, (count // 5, 1, 8, 8), dtype=np.uint8)
    real = RealImages(ImageSet(pixels, "noise", "noise"), ImageSet(unseen, "other", "other"))
    extractor = Extractor("given", _Given(_LARGE).eval(), "a benchmark")
    protocols = make_protocols(extractor, real, rung_samples=count, samples=count)
    extractor.module(torch.zeros(250, 1, 8, 8))
    before = _peak(device)
    evaluator = Evaluator(extractor, real, protocols, device)

    def sample(number: int, generator: torch.Generator) -> Tensor:
        return torch.randint(
            0, 256, (number, 1, 8, 8), generator=generator, device=device, dtype=torch.uint8
        )

    evaluator.score(sample, full=True)
    print(_peak(device) - before)


def _peak(device: torch.device) -> float:
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**30
    status = Path("/proc/self/status").read_text()
    (peak,) = (line.split()[1] for line in status.splitlines() if line.startswith("VmHWM"))
    return int(peak) / 2**20


def report(
    rows: Sequence[Row],
    speeds: Sequence[Speeds],
    extra: dict[str, float],
    peak: float,
    machine: str,
) -> str:
    """The figures as Markdown."""
    cells = [
        (
            f"{row.case.size:,}",
            f"{row.case.real:,}",
            f"{row.case.made:,}",
            f"{row.theirs:.3f}",
            f"{row.ours:.3f}",
            f"{row.with_error:.3f}",
            f"{row.ratio:.1f}",
            f"{row.difference:.0e}",
        )
        for row in rows
    ]
    columns = [
        ">features",
        ">real",
        ">samples",
        ">torchmetrics, s",
        ">gantune, s",
        ">with error, s",
        ">ratio",
        ">difference",
    ]
    heads = [">pixels", *(f">{batch:,} at a time" for batch in speeds[0].images)]
    lines = ([f"{one.side}", *(f"{n:,.0f}" for n in one.images.values())] for one in speeds)
    others = "; ".join(f"{name} {seconds:.1f} s" for name, seconds in extra.items())
    return (
        f"{machine}. By `python -m benchmarks.score_speed`. The ratio is torchmetrics' time "
        "divided by gantune's for the distance alone; the last column is the relative difference "
        "of the values.\n\n"
        f"{table(columns, cells)}\n\n"
        f"The other metrics of 10,000 samples with 2,048 features: {others}. Scoring 50,000 "
        f"samples of 2,048 features, with 10,000 held-out images, took {peak:.2f} GiB above "
        "the model.\n\n"
        "Images a second through `random` features, by the number of images at a time. A score "
        f"takes {BATCH}:\n\n{table(heads, lines)}"
    )


def main(arguments: Sequence[str] | None = None, folder: Path = RESULTS) -> None:
    """Measures, prints and writes the results."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--memory", action="store_true", help="only the memory, in GiB")
    chosen = parser.parse_args(arguments)
    device = torch.device(chosen.device)
    if chosen.memory:
        _measure_memory(device)
        return
    rows = [compare(case, device, chosen.rounds) for case in CASES]
    extra, speeds = extra_metrics(device), batch_speeds(device, 5 * chosen.rounds)
    peak = memory(chosen.device)
    machine = describe_machine(device, 1, torch.get_num_threads())
    text = report(rows, speeds, extra, peak, machine)
    print(text)
    tree = {
        "machine": machine,
        "rows": [asdict(row) for row in rows],
        "images_per_second": [asdict(one) for one in speeds],
        "seconds": extra,
        "gib": peak,
    }
    page = ROOT / "docs" / "scores.md"
    Report("score_speed", device, folder, page).write(tree, "The cost of scores", text)


if __name__ == "__main__":
    main()
