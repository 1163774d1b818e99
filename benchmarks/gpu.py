"""What a GPU does for gantune: the speed of a step, of several workers, and of scoring.

    python -m benchmarks.gpu [--seconds 4] [--device cuda] [--parts steps workers scoring search]

Everything is trained on noise, so that no network is needed. Steps: the trainer with its steps
recorded as CUDA graphs, the same without, and a plain PyTorch loop, also under ``torch.compile``;
all take turns, and each number is the median of several rounds. Workers: so many processes train
at once. Scoring: images a second through feature networks with weights made here. Search: the share
of a whole search that is neither training nor scoring. ``make bench-gpu`` runs the GPU tests too.
"""

from __future__ import annotations

import argparse
import multiprocessing
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

import torch

from benchmarks.publish import Report, describe_machine, table
from benchmarks.search_overhead import measure as measure_search
from benchmarks.trainer_speed import LATENT, Case, PlainLoop, noise_images
from gantune.config import make_config
from gantune.gan.precision import float32_computed
from gantune.gan.recorded_step import Recorder
from gantune.gan.trainer import Trainer
from gantune.scores.extractors.dinov2 import DinoV2
from gantune.scores.extractors.random_features import RandomFeatures

PAGE = Path(__file__).resolve().parent.parent / "docs" / "performance.md"
CASES = [(side, width) for side in (32, 64) for width in (16, 64)]
BATCH = 64
WORKERS = (1, 2, 4, 8, 16)
TRIAL_KIMG = 40.0
"""Length of a trial in ``trials an hour``."""
ROUNDS = 5
SCORED = 250
"""Images at a time through a feature network."""
PARTS = ("steps", "workers", "scoring", "search")


class Unrecorded:
    """Records nothing, so that each step runs as it is."""

    def record(self, run: Callable[[], None]) -> Any:
        raise RuntimeError("left out for comparison")

    def forget(self) -> None:
        """There is nothing to forget."""


def trainer_of(
    side: int, width: int, precision: str, device: torch.device, recorder: Recorder | None = None
) -> Trainer:
    config = make_config(
        {
            "data": {"resolution": side, "colour": "gray"},
            "network": {"name": "dcgan", "width": width, "latent": LATENT},
            "batch_size": BATCH,
            "precision": precision,
            "kimg": 1e6,
            "tick_kimg": 20 * BATCH / 1000,
        }
    )
    return Trainer(config, noise_images(side), device, recorder=recorder)


# ---- Steps --------------------------------------------------------------------------------------


Train = Callable[[], int]
"""Trains for a while and returns the images that it has shown."""


def ways(side: int, width: int, device: torch.device) -> Iterator[tuple[str, Callable[[], Train]]]:
    """Ways to train, by name: makers, which may fail."""

    def plain(compiled: bool) -> Train:
        pixels = torch.from_numpy(noise_images(side).array).float() / 127.5 - 1
        loop = PlainLoop(Case(width, BATCH, "fp32"), pixels, device, side)
        if compiled:
            loop.g.compile(mode="reduce-overhead")
            loop.d.compile(mode="reduce-overhead")

        def run() -> int:
            loop.run(20)
            return 20 * BATCH

        return run

    def ours(precision: str, recorder: Recorder | None) -> Train:
        trainer = trainer_of(side, width, precision, device, recorder)
        ticks = iter(trainer)

        def run() -> int:
            before = trainer.images_seen
            next(ticks)
            return trainer.images_seen - before

        return run

    yield "plain loop", partial(plain, False)
    yield "plain loop, compiled", partial(plain, True)
    for precision in ("fp32", "bf16"):
        yield f"each step, {precision}", partial(ours, precision, Unrecorded())
        yield f"recorded, {precision}", partial(ours, precision, None)


def measure_steps(device: torch.device, seconds: float) -> list[dict[str, Any]]:
    """Images a second of each way; ways that fail have the reason instead."""
    rows = []
    for side, width in CASES:
        row: dict[str, Any] = {"side": side, "width": width}
        running: dict[str, Callable[[], int]] = {}
        for name, make in ways(side, width, device):
            try:
                run = make()
                for _ in range(3):  # the first ones compile, choose kernels and record
                    run()
                running[name] = run
            except Exception as error:  # a compiler may be missing, or the memory
                row[name] = f"{type(error).__name__}: {str(error).splitlines()[0]}"
        speeds: dict[str, list[float]] = {name: [] for name in running}
        for _ in range(ROUNDS):
            for name, run in running.items():
                speeds[name].append(speed(run, seconds / ROUNDS / len(running)))
        row |= {name: statistics.median(found) for name, found in speeds.items()}
        rows.append(row)
        print(row, file=sys.stderr, flush=True)
    return rows


def speed(run: Callable[[], int], seconds: float) -> float:
    """Images a second; ``run`` waits for the device by itself at its end."""
    begun, shown = time.perf_counter(), 0
    while (passed := time.perf_counter() - begun) < seconds or not shown:
        shown += run()
    return shown / passed


# ---- Workers ------------------------------------------------------------------------------------


def measure_workers(device: torch.device, seconds: float) -> list[dict[str, Any]]:
    """Trials an hour of so many processes at once, at 32 pixels and width 16."""
    context = multiprocessing.get_context("spawn")
    rows = []
    for workers in WORKERS:
        barrier, results = context.Barrier(workers), context.Queue()
        arguments = (str(device), seconds, barrier, results)
        processes = [context.Process(target=work, args=arguments) for _ in range(workers)]
        for process in processes:
            process.start()
        found = [results.get(timeout=120) for _ in processes]
        for process in processes:
            process.join()
        total = sum(found)
        hourly = total * 3600 / (1000 * TRIAL_KIMG)
        rows.append({"workers": workers, "images_a_second": total, "trials_an_hour": hourly})
        print(rows[-1], file=sys.stderr, flush=True)
    return rows


def work(device: str, seconds: float, barrier: Barrier, results: Any) -> None:
    """Trains once all others are ready, and reports images a second; 0 where it cannot."""
    torch.set_num_threads(1)
    found = 0.0
    try:
        trainer = trainer_of(32, 16, "fp32", torch.device(device))
        ticks = iter(trainer)
        for _ in range(3):
            next(ticks)
        barrier.wait(timeout=100)

        def run() -> int:
            before = trainer.images_seen
            next(ticks)
            return trainer.images_seen - before

        found = speed(run, seconds)
    finally:
        results.put(found)


# ---- Scoring ------------------------------------------------------------------------------------


def measure_scoring(device: torch.device, seconds: float) -> list[dict[str, Any]]:
    """Images a second through feature networks, without the distance."""
    rows = []
    images = torch.randint(0, 256, (SCORED, 3, 64, 64), dtype=torch.uint8, device=device)
    with torch.random.fork_rng(devices=[]):
        networks = {"random": RandomFeatures(3, 64), "dinov2-b14": DinoV2("dinov2-b14")}
    for name, network in networks.items():
        for weight in network.parameters():
            weight.data.nan_to_num_().clamp_(-0.1, 0.1)  # DINOv2's weights are not filled
        network.eval().to(device)
        for precision in ("fp32", "tf32", "bf16"):
            if precision == "tf32" and device.type != "cuda":
                continue

            def run(network: Any = network, precision: str = precision) -> int:
                is_bf16 = precision == "bf16"
                with (
                    float32_computed("tf32" if precision == "tf32" else "ieee"),
                    torch.autocast(device.type, torch.bfloat16, is_bf16),
                    torch.inference_mode(),
                ):
                    network(images).sum().item()
                return len(images)

            run()
            row = {"network": name, "precision": precision, "images_a_second": speed(run, seconds)}
            rows.append(row)
            print(row, file=sys.stderr, flush=True)
    return rows


# ---- Results ------------------------------------------------------------------------------------


def sections(tree: dict[str, Any]) -> Iterator[str]:
    """The tables of what was measured."""
    if "steps" in tree:
        names = [name for name in tree["steps"][0] if name not in ("side", "width")]
        head = ["pixels", "width", *names, "recorded beside each step", "beside the plain loop"]
        rows = []
        for row in tree["steps"]:
            each, ours, plain = (
                row[name] for name in ("each step, fp32", "recorded, fp32", "plain loop")
            )
            ratios = [ratio(ours, each), ratio(ours, plain)]
            rows.append(
                [*map(str, (row["side"], row["width"])), *(amount(row[n]) for n in names), *ratios]
            )
        yield f"Images a second, batch {BATCH}:\n\n{table(head, rows)}"
    if "workers" in tree:
        head = ["workers", "images a second", f"trials of {TRIAL_KIMG:g} kimg an hour"]
        rows = [[str(r["workers"]), *map(amount, list(r.values())[1:])] for r in tree["workers"]]
        yield f"Workers on one device, 32 pixels, width 16:\n\n{table(head, rows)}"
    if "scoring" in tree:
        head = ["network", "precision", "images a second"]
        rows = [[*list(r.values())[:2], amount(r["images_a_second"])] for r in tree["scoring"]]
        yield f"Feature networks, 64 pixels:\n\n{table(head, rows)}"
    if "search" in tree:
        row = tree["search"]
        yield (
            f"A search of {row['runs']} runs by one worker: training {row['training_share']:.0%}, "
            f"scoring {row['scoring_share']:.0%}, neither {row['neither_share']:.0%}."
        )


def amount(value: Any) -> str:
    return f"{value:,.0f}" if isinstance(value, float) else str(value)


def ratio(one: Any, other: Any) -> str:
    are_numbers = isinstance(one, float) and isinstance(other, float)
    return f"{one / other:.2f}" if are_numbers else "-"


def main(arguments: Sequence[str] | None = None) -> None:
    """Measures, prints, and writes ``results/gpu_<gpu|cpu>`` and ``docs/performance.md``."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--seconds", type=float, default=4.0, help="for each number")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--out", type=Path, help="folder of the results instead of results/")
    given = parser.parse_args(arguments)
    device = torch.device(given.device)
    if device.type == "cuda" and not torch.cuda.is_available():
        raise SystemExit("no CUDA device here; --device cpu tries the script itself")
    torch.set_num_threads(1)
    measured: dict[str, Callable[[], Any]] = {
        "steps": lambda: measure_steps(device, 6 * given.seconds),
        "workers": lambda: measure_workers(device, given.seconds),
        "scoring": lambda: measure_scoring(device, given.seconds),
        "search": lambda: measure_search("dcgan", 1, ("budget.trials=4", "kimg=10")),
    }
    tree = {"machine": describe_machine(device, 1), "torch": torch.__version__}
    tree |= {name: measured[name]() for name in given.parts}
    text = "\n\n".join([f"{tree['machine']} By `python -m benchmarks.gpu`.", *sections(tree)])
    print(text)
    places = {"folder": given.out, "page": given.out / "none"} if given.out else {"page": PAGE}
    Report("gpu", device, **places).write(tree, "gantune on a GPU", text)


if __name__ == "__main__":
    main()
