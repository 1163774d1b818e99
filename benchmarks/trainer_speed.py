"""Images a second of the trainer beside a plain hand-written PyTorch loop of the same DCGAN.

    python benchmarks/trainer_speed.py [--rounds 7] [--device cpu]

Both learn the same images with networks of the same layers, batch and precision; the two take turns
and each row is the median of several rounds. The plain loop is the one of PyTorch's own DCGAN
tutorial, with the images as floats in memory; it computes no averaged weights, no gradient norms
and no statistics, all of which the trainer does besides.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from gantune.config import TrialConfig, make_config
from gantune.data.image_set import ImageSet
from gantune.gan.networks import build_networks
from gantune.gan.trainer import Trainer

RESULTS = Path(__file__).parent / "results" / "trainer_speed"
IMAGES = 1797  # as many as scikit-learn has handwritten digits
CHANNELS, SIDE, LATENT = 1, 32, 100


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
    """What was measured of one case, images a second."""

    case: Case
    plain: float
    trainer: float

    @property
    def ratio(self) -> float:
        return self.trainer / self.plain


def plain_networks(width: int) -> tuple[nn.Module, nn.Module]:
    """The tutorial's DCGAN, brought to 32 pixels."""

    def up(inner: int, outer: int) -> list[nn.Module]:
        convolution = nn.ConvTranspose2d(inner, outer, 4, 2, 1, bias=False)
        return [convolution, nn.BatchNorm2d(outer), nn.ReLU(True)]

    generator = nn.Sequential(
        nn.ConvTranspose2d(LATENT, 4 * width, 4, 1, 0, bias=False),
        nn.BatchNorm2d(4 * width),
        nn.ReLU(True),
        *up(4 * width, 2 * width),
        *up(2 * width, width),
        nn.ConvTranspose2d(width, CHANNELS, 4, 2, 1),
        nn.Tanh(),
    )
    discriminator = nn.Sequential(
        nn.Conv2d(CHANNELS, width, 4, 2, 1),
        nn.LeakyReLU(0.2, inplace=True),
        nn.Conv2d(width, 2 * width, 4, 2, 1),
        nn.LeakyReLU(0.2, inplace=True),
        nn.Conv2d(2 * width, 4 * width, 4, 2, 1),
        nn.LeakyReLU(0.2, inplace=True),
        nn.Conv2d(4 * width, 1, 4, 1, 0),
        nn.Flatten(0),
    )
    for module in (*generator.modules(), *discriminator.modules()):
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.normal_(module.weight, 0.0, 0.02)
    return generator, discriminator


class PlainLoop:
    """PyTorch's DCGAN tutorial: D on real, D on fake, G; losses read out at each step."""

    def __init__(self, case: Case, images: Tensor, device: torch.device) -> None:
        torch.manual_seed(0)
        self.case, self.images, self.device = case, images.to(device), device
        generator, discriminator = plain_networks(case.width)
        self.g, self.d = generator.to(device), discriminator.to(device)
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
            with self.autocast():
                d_real = self.criterion(self.d(real), ones)
            d_real.backward()
            with self.autocast():
                fake = self.g(noise)
                d_fake = self.criterion(self.d(fake.detach()), zeros)
            d_fake.backward()
            self.d_adam.step()

            self.g.zero_grad()
            with self.autocast():
                g_loss = self.criterion(self.d(fake), ones)
            g_loss.backward()
            self.g_adam.step()
            self.losses.append(((d_real + d_fake).item(), g_loss.item()))


def trainer_of(case: Case, images: ImageSet, device: torch.device, steps: int) -> Trainer:
    """A trainer whose ticks are ``steps`` steps long."""
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
    return Trainer(config, images, device)


def count(*networks: nn.Module) -> int:
    """Parameters of all of them."""
    return sum(p.numel() for network in networks for p in network.parameters())


def measure(case: Case, device: torch.device, rounds: int, steps: int) -> Row:
    """Both loops in turns; the first round of each only warms up."""
    random = np.random.default_rng(0)
    array = random.integers(0, 256, (IMAGES, CHANNELS, SIDE, SIDE), dtype=np.uint8)
    images = ImageSet(array, "noise", "")
    plain = PlainLoop(case, torch.from_numpy(array).float() / 127.5 - 1, device)
    trainer = trainer_of(case, images, device, steps)
    if count(plain.g, plain.d) != count(*build_networks(trainer.config)):
        raise SystemExit("the two loops have networks of different sizes")
    ticks = iter(trainer)
    times: dict[str, list[float]] = {"plain": [], "trainer": []}
    for _ in range(rounds + 1):
        for name in ("plain", "trainer"):
            started = time.perf_counter()
            if name == "plain":
                plain.run(steps)
            else:
                next(ticks)
            times[name].append(time.perf_counter() - started)
    shown = steps * case.batch
    medians = {name: shown / statistics.median(taken[1:]) for name, taken in times.items()}
    return Row(case, medians["plain"], medians["trainer"])


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


def write(rows: list[Row], machine: str, device: torch.device) -> None:
    """The table as Markdown and as JSON."""
    lines = [
        "| width | batch | precision | plain loop, images/s | trainer, images/s | ratio |",
        "|--:|--:|:--|--:|--:|--:|",
    ]
    for row in rows:
        case = row.case
        lines.append(
            f"| {case.width} | {case.batch} | {case.precision} | {row.plain:,.0f} "
            f"| {row.trainer:,.0f} | {row.ratio:.2f} |"
        )
    table = "\n".join(lines)
    print(f"{machine}, torch {torch.__version__}\n\n{table}")
    path = RESULTS.with_name(f"{RESULTS.name}_{device.type}")
    path.parent.mkdir(exist_ok=True)
    path.with_suffix(".md").write_text(
        f"# The trainer beside a plain PyTorch loop\n\nDCGAN of {SIDE} pixels, {machine}, torch "
        f"{torch.__version__}. By `python benchmarks/trainer_speed.py`.\n\n{table}\n"
    )
    measured = [{**asdict(row), "ratio": round(row.ratio, 3)} for row in rows]
    tree = {"machine": machine, "torch": torch.__version__, "rows": measured}
    path.with_suffix(".json").write_text(json.dumps(tree, indent=2) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--steps", type=int, default=20, help="generator steps a round")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    given = parser.parse_args()
    torch.set_num_threads(1)
    device = torch.device(given.device)
    rows = [measure(case, device, given.rounds, given.steps) for case in CASES]
    write(rows, describe(device, torch.get_num_threads()), device)


if __name__ == "__main__":
    main()
