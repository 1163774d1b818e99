"""Ways to train that are compared: gantune's trainer, a plain PyTorch loop, and that compiled."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from benchmarks.rung_cost import WAYS, Training
from benchmarks.trainer_speed import LATENT, Case, PlainLoop, noise_images
from gantune.config import make_config
from gantune.events import warn_once
from gantune.gan.device_support import not_recorded_text
from gantune.gan.recorded_step import Recording
from gantune.gan.trainer import Trainer
from gantune.scores.feature_statistics import BATCH

Train = Callable[[], int]  # trains for a while, and returns the images that it has shown


@dataclass(frozen=True)
class Sizes:
    """How much is measured, and where."""

    device: torch.device
    seconds: float = 3.0  # for each number
    rounds: int = 5
    cases: tuple[tuple[int, int], ...] = ((32, 16), (32, 64), (64, 16), (64, 64))
    batch: int = 64
    workers: tuple[int, ...] = (1, 2, 4, 8, 16)
    networks: tuple[str, ...] = ("random", "dinov2-b14")
    scored: tuple[int, ...] = (BATCH, 4 * BATCH)  # images at a time through a feature network
    search: tuple[str, ...] = ("budget.trials=4", "kimg=10")


class Unrecorded:
    """Records nothing, so that each step runs as it is."""

    def record(self, run: Callable[[], None]) -> Recording:
        raise RuntimeError("left out for comparison")

    def watch(self, run: Callable[[], None]) -> None:
        run()

    def forget(self) -> None:
        pass


class Ours(logging.Handler):
    """gantune's trainer; it keeps the reason that is logged where no step is recorded."""

    def __init__(self, side: int, width: int, precision: str, sizes: Sizes, recorder: Any = None):
        super().__init__()
        self.why = "" if sizes.device.type == "cuda" else "the device has no CUDA graphs"
        logging.getLogger("gantune").addHandler(self)
        warn_once.cache_clear()  # so that this training tells it too
        network = {"name": "dcgan", "width": width, "latent": LATENT}
        tree = {"data": {"resolution": side, "colour": "gray"}, "network": network, "kimg": 1e6}
        tree |= {"batch_size": sizes.batch, "precision": precision}
        config = make_config(tree | {"tick_kimg": 20 * sizes.batch / 1000})
        self.trainer = Trainer(config, noise_images(side), sizes.device, recorder=recorder)
        self.ticks = iter(self.trainer)

    def emit(self, record: logging.LogRecord) -> None:
        before, after = not_recorded_text("|").split("|")
        if (said := record.getMessage()).startswith(before):
            self.why = said.removeprefix(before).removesuffix(after)

    def __call__(self) -> int:
        next(self.ticks)
        return 20 * self.trainer.config.batch_size

    def unrecorded(self) -> str:
        """Says so, with the reason, where no step is recorded by now; else empty."""
        said = f"not recorded: {self.why or 'the log does not say why'}"
        return "" if self.trainer.recorded_phases else said


class Plain(PlainLoop):
    """The plain PyTorch loop."""

    def __init__(self, side: int, width: int, sizes: Sizes, compiled: bool = False) -> None:
        pixels = torch.from_numpy(noise_images(side).array).float() / 127.5 - 1
        case = Case(width, sizes.batch, "fp32")
        super().__init__(case, pixels, sizes.device, side, compiled=compiled)

    def __call__(self) -> int:
        self.run(20)
        return 20 * self.case.batch


def compiled(side: int, width: int, sizes: Sizes) -> Plain:
    """The plain loop compiled; raises ``ValueError`` where it trains otherwise."""
    from torch._dynamo.utils import counters

    counters.clear()
    plain, train = (Plain(side, width, sizes, is_so) for is_so in (False, True))
    for way in (plain, train):
        torch.manual_seed(1)
        way()
    one, other = (torch.tensor(way.losses[:10]) for way in (plain, train))
    if not (off := (one - other).abs().max().item()) < 0.1:  # or it is no number
        raise ValueError(f"losses differ by {off:.2g} from those of the plain loop")
    if not counters["stats"]["unique_graphs"]:
        raise ValueError("nothing was compiled")
    if sizes.device.type == "cuda" and (skips := counters["inductor"]["cudagraph_skips"]):
        raise RuntimeError(f"not recorded: torch.compile left out {skips} CUDA graphs")
    return train


def make(way: str, side: int, width: int, sizes: Sizes) -> Train:
    """A way to train, by its column; raises ``RuntimeError`` where nothing is recorded."""
    if way in WAYS:
        return Training(way, side, width, sizes.device, sizes.batch)
    if way in ("plain loop", "compiled"):
        return (compiled if way == "compiled" else Plain)(side, width, sizes)
    kind, precision = way.split(", ")
    train = Ours(side, width, precision, sizes, Unrecorded() if kind == "each" else None)
    train()
    if kind == "recorded" and (why := train.unrecorded()):
        raise RuntimeError(why)
    return train
