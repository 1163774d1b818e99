"""Throughput of the trainer, compared with a plain PyTorch loop or another checkout of gantune.

    python benchmarks/trainer_speed.py [--rounds 4] [--device cpu]
    python benchmarks/trainer_speed.py --against PATH_OF_OTHER_CHECKOUT [--precision fp32]
    python benchmarks/trainer_speed.py --allocator [--precision fp32]

Both sides train on the same images with the same layers, batch size and precision. Each has its own
process; they take turns, and each number is the median of all rounds. The same code is faster in
one process than in another, so both are started several times; even so, two checkouts of one commit
had ratios of 1.08, 1.04 and 1.02 in one run. On the CPU the seconds are those of the CPU, so that
other processes matter less.

The plain loop is that of PyTorch's DCGAN tutorial, with the images as floats in memory. Unlike the
trainer, it computes no EMA, no gradient norms and no statistics. Its process is as Python starts
it. That of the trainer keeps freed memory, as workers and ``gantune train`` do; the other two
comparisons say what becomes of that. Another checkout has the interpreter of its ``.venv`` if there
is one. ``--allocator`` compares two processes of this checkout: with the C library's allocator as
it is, and as workers set it.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn

import gantune
from gantune.config import TrialConfig, make_config
from gantune.data.image_set import ImageSet
from gantune.gan.networks import build_networks
from gantune.gan.trainer import Trainer
from gantune.io.allocator import keep_freed_memory

RESULTS = Path(__file__).parent / "results"
IMAGES = 1797  # the number of scikit-learn's handwritten digits
CHANNELS, SIDE, LATENT = 1, 32, 100
STARTS = 5  # of each checkout's process


@dataclass(frozen=True)
class Case:
    """One row of the table."""

    width: int
    batch: int
    precision: str


CASES = [
    Case(width, batch, precision)
    for width, batch in ((16, 16), (16, 64), (32, 64))
    for precision in ("fp32", "bf16")
]


@dataclass(frozen=True)
class Row:
    """The speeds of one case, images per second."""

    case: Case
    baseline: float
    trainer: float

    @property
    def ratio(self) -> float:
        return self.trainer / self.baseline


def plain_networks(width: int, side: int = SIDE) -> tuple[nn.Module, nn.Module]:
    """The tutorial's DCGAN, adapted to 32 pixels or more."""
    widths = [width]  # from the largest images to the smallest
    while 4 * 2 ** len(widths) < side:
        widths.append(2 * widths[-1])

    def up(inner: int, outer: int) -> list[nn.Module]:
        convolution = nn.ConvTranspose2d(inner, outer, 4, 2, 1, bias=False)
        return [convolution, nn.BatchNorm2d(outer), nn.ReLU(True)]

    def down(outer: int, inner: int) -> list[nn.Module]:
        return [nn.Conv2d(outer, inner, 4, 2, 1), nn.LeakyReLU(0.2, inplace=True)]

    generator = nn.Sequential(
        nn.ConvTranspose2d(LATENT, widths[-1], 4, 1, 0, bias=False),
        nn.BatchNorm2d(widths[-1]),
        nn.ReLU(True),
        *(layer for pair in pairwise(reversed(widths)) for layer in up(*pair)),
        nn.ConvTranspose2d(width, CHANNELS, 4, 2, 1),
        nn.Tanh(),
    )
    discriminator = nn.Sequential(
        *(layer for pair in pairwise([CHANNELS, *widths]) for layer in down(*pair)),
        nn.Conv2d(widths[-1], 1, 4, 1, 0),
        nn.Flatten(0),
    )
    for module in (*generator.modules(), *discriminator.modules()):
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.normal_(module.weight, 0.0, 0.02)
    return generator, discriminator


class PlainLoop:
    """PyTorch's DCGAN tutorial: D on real, D on fake, G; it reads the losses at each step.

    ``compiled``: the networks are compiled and their work is recorded as CUDA graphs. Then a
    gradient lies in memory that a later run of its network writes over. So nothing is added to a
    gradient that is there already: D has one backward pass, of the sum of its losses.
    """

    def __init__(
        self,
        case: Case,
        images: Tensor,
        device: torch.device,
        side: int = SIDE,
        *,
        compiled: bool = False,
    ) -> None:
        torch.manual_seed(0)
        self.compiled = compiled
        self.case, self.images, self.device = case, images.to(device), device
        generator, discriminator = plain_networks(case.width, side)
        self.g, self.d = generator.to(device), discriminator.to(device)
        if compiled:  # not by the modules' own method, which compiled nothing in torch 2.13
            self.g, self.d = (
                cast(nn.Module, torch.compile(network, mode="reduce-overhead"))
                for network in (self.g, self.d)
            )
        self.criterion = nn.BCEWithLogitsLoss()
        self.g_adam = torch.optim.Adam(self.g.parameters(), lr=2e-4, betas=(0.5, 0.999))
        self.d_adam = torch.optim.Adam(self.d.parameters(), lr=2e-4, betas=(0.5, 0.999))
        self.losses: list[tuple[float, float]] = []

    def autocast(self) -> torch.autocast:
        enabled = self.case.precision == "bf16"
        return torch.autocast(self.device.type, torch.bfloat16, enabled)

    def run(self, steps: int) -> None:
        batch = self.case.batch
        for _ in range(steps):
            real = self.images[torch.randint(len(self.images), (batch,), device=self.device)]
            ones = torch.ones(batch, device=self.device)
            zeros = torch.zeros(batch, device=self.device)
            noise = torch.randn(batch, LATENT, 1, 1, device=self.device)

            self.d.zero_grad()
            if self.compiled:
                self.g.zero_grad()
                torch.compiler.cudagraph_mark_step_begin()
            with self.autocast():
                d_real = self.criterion(self.d(real), ones)
            if not self.compiled:
                d_real.backward()
            with self.autocast():
                fake = self.g(noise)
                d_fake = self.criterion(self.d(fake.detach()), zeros)
            (d_real + d_fake if self.compiled else d_fake).backward()
            self.d_adam.step()

            self.g.zero_grad()
            if self.compiled:
                self.d.zero_grad()  # G's backward pass gives D gradients too
            with self.autocast():
                g_loss = self.criterion(self.d(fake), ones)
            g_loss.backward()
            self.g_adam.step()
            self.losses.append(((d_real + d_fake).item(), g_loss.item()))


def config_of(case: Case, steps: int) -> TrialConfig:
    """The trainer's config, whose ticks are ``steps`` steps long."""
    config: TrialConfig = make_config(
        {
            "data": {"source": "digits", "resolution": SIDE, "colour": "gray"},
            "network": {"name": "dcgan", "width": case.width, "latent": LATENT},
            "batch_size": case.batch,
            "precision": case.precision,
            "kimg": 1e6,
            "tick_kimg": steps * case.batch / 1000,
        }
    )
    return config


def count(*networks: nn.Module) -> int:
    """Number of parameters of all networks."""
    return sum(p.numel() for network in networks for p in network.parameters())


def noise_images(side: int = SIDE) -> ImageSet:
    random = np.random.default_rng(0)
    array = random.integers(0, 256, (IMAGES, CHANNELS, side, side), dtype=np.uint8)
    return ImageSet(array, "noise", "")


# ---- Two sides in turns -------------------------------------------------------------------------


class Side:
    """A process that trains the cases with the code of a checkout, one round at a time.

    ``options``: further ones of this script.
    """

    def __init__(self, root: Path, device: torch.device, steps: int, *options: str) -> None:
        python = root / ".venv" / "bin" / "python"
        self._process = subprocess.Popen(
            [
                *(python if python.exists() else sys.executable, __file__),
                *("--device", str(device), "--steps", str(steps), *options),
            ],
            env={**os.environ, "PYTHONPATH": str(root)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        package, version = json.loads(self._process.stdout.readline())
        if not Path(package).is_relative_to(root) or version != torch.__version__:
            raise SystemExit(f"{root}: trains with {package} and torch {version}")

    def seconds(self, case: Case) -> float:
        """Trains one round."""
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(f"{CASES.index(case)}\n")
        self._process.stdin.flush()
        return float(self._process.stdout.readline())

    def close(self) -> None:
        self._process.communicate()


def work(side: str, device: torch.device, steps: int) -> None:
    """The loop of a ``Side``'s process: reads the index of a case, writes seconds."""
    print(json.dumps([gantune.__file__, torch.__version__]), flush=True)
    images = noise_images()
    rounds: list[Callable[[], object]] = []
    for case in CASES:
        config = config_of(case, steps)
        if side == "plain":
            loop = PlainLoop(case, torch.from_numpy(images.array).float() / 127.5 - 1, device)
            if count(loop.g, loop.d) != count(*build_networks(config)):
                raise SystemExit("the two sides have networks of different sizes")
            rounds.append(partial(loop.run, steps))
        else:
            rounds.append(partial(next, iter(Trainer(config, images, device))))
    clock = time.process_time if device.type == "cpu" else time.perf_counter
    for line in sys.stdin:
        started = clock()
        rounds[int(line)]()
        print(clock() - started, flush=True)


def compare(
    start: tuple[Callable[[], Side], Callable[[], Side]],
    cases: list[Case],
    rounds: int,
    steps: int,
) -> list[Row]:
    """Times two kinds of processes in turns, ``STARTS`` of each; a first round only warms up."""
    times: dict[Case, tuple[list[float], list[float]]] = {case: ([], []) for case in cases}
    for _ in range(STARTS):
        processes = [side() for side in start]
        for number in range(rounds + 1):
            for case in cases:
                # The one that goes first changes with each round.
                for side in (0, 1) if number % 2 else (1, 0):
                    seconds = processes[side].seconds(case)
                    if number:
                        times[case][side].append(seconds)
        for process in processes:
            process.close()
    rows = []
    for case, sides in times.items():
        baseline, trainer = (steps * case.batch / statistics.median(taken) for taken in sides)
        rows.append(Row(case, baseline, trainer))
    return rows


# ---- Results ------------------------------------------------------------------------------------


def describe(device: torch.device, threads: int) -> str:
    """The machine in words."""
    if device.type == "cuda":
        return f"one {torch.cuda.get_device_name(device)}"
    model = platform.processor() or platform.machine()
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.partition(":")[2].strip()
            break
    return f"{threads} thread on a machine of {os.cpu_count()} cores, {model}, no GPU"


def write(rows: list[Row], baseline: str, text: str, path: Path) -> None:
    """The table as Markdown and as JSON. ``baseline``: what the trainer is compared with."""
    lines = [
        f"| width | batch | precision | {baseline}, images/s | trainer, images/s | ratio |",
        "|--:|--:|:--|--:|--:|--:|",
    ]
    for row in rows:
        case = row.case
        lines.append(
            f"| {case.width} | {case.batch} | {case.precision} | {row.baseline:,.0f} "
            f"| {row.trainer:,.0f} | {row.ratio:.2f} |"
        )
    table = "\n".join(lines)
    print(f"{text}\n\n{table}")
    path.parent.mkdir(exist_ok=True)
    path.with_suffix(".md").write_text(
        f"# The trainer compared with: {baseline}\n\n{text}\n\n{table}\n"
    )
    measured = [{**asdict(row), "ratio": round(row.ratio, 3)} for row in rows]
    tree = {"text": text, "torch": torch.__version__, "rows": measured}
    path.with_suffix(".json").write_text(json.dumps(tree, indent=2) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=4, help="of each process")
    parser.add_argument("--steps", type=int, default=20, help="generator steps per round")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--precision", choices=["fp32", "bf16"], help="only these rows")
    parser.add_argument("--against", type=Path, help="root of another checkout of gantune")
    parser.add_argument("--allocator", action="store_true", help="with and without its settings")
    parser.add_argument("--machine", help="the machine in words; by default its CPU or GPU")
    parser.add_argument("--suffix", default="", help="of the result's name: another machine's")
    parser.add_argument("--side", choices=["plain", "trainer"], help=argparse.SUPPRESS)
    parser.add_argument("--keep-memory", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    torch.set_num_threads(1)
    device = torch.device(given.device)
    if given.keep_memory:
        keep_freed_memory()
    if given.side:
        work(given.side, device, given.steps)
        return
    root = Path(__file__).resolve().parents[1]
    this = partial(Side, root, device, given.steps)
    trainer, keeps_memory = "--side=trainer", "--keep-memory"
    if given.against:
        name, baseline, call = "trainer_against", "other checkout", " --against OTHER_CHECKOUT"
        other = partial(Side, given.against.resolve(), device, given.steps)
        sides = partial(other, trainer), partial(this, trainer)
    elif given.allocator:
        name, baseline, call = "allocator", "allocator as it is", " --allocator"
        sides = partial(this, trainer), partial(this, trainer, keeps_memory)
    else:
        name, baseline, call = "trainer_speed", "plain loop", ""
        sides = partial(this, "--side=plain"), partial(this, trainer, keeps_memory)
    cases = [case for case in CASES if given.precision in (None, case.precision)]
    rows = compare(sides, cases, given.rounds, given.steps)
    machine = given.machine or describe(device, torch.get_num_threads())
    clock = "CPU" if device.type == "cpu" else "wall-clock"
    text = (
        f"DCGAN of {SIDE} pixels, {machine}, torch {torch.__version__}; per {clock} second, "
        f"medians of {given.rounds} alternating rounds of {given.steps} steps in each of "
        f"{STARTS} processes. By `python benchmarks/trainer_speed.py{call}`."
    )
    write(rows, baseline, text, RESULTS / f"{name}_{device.type}{given.suffix}")


if __name__ == "__main__":
    main()
