"""How fast a training on the CPU is while another program keeps one of its cores busy.

    python -m benchmarks.busy_cores [--rounds 3]

The other program is a training with one thread. Three ways to train take turns: with a thread for
each core all the time, with one thread, and as ``gantune train`` does, which looks once a second
how many cores are free. Each has a process of its own in each round.
"""

from __future__ import annotations

import argparse
import multiprocessing
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.queues import Queue
from pathlib import Path
from statistics import median

import torch

from benchmarks.publish import RESULTS, ROOT, Report, describe_machine, table
from benchmarks.trainer_speed import Case, config_of, noise_images
from gantune.events import Observer
from gantune.gan.trainer import Trainer
from gantune.io.allocator import keep_freed_memory
from gantune.trial.cores import SharedCores, available_cores

ALL, ONE, SHARED = WAYS = ("a thread for each core", "one thread", "as `train` does")
_PAGE = ROOT / "docs" / "performance.md"
_BATCH = 64
_processes = multiprocessing.get_context("spawn")


def train(way: str, width: int, seconds: float, speed: Queue[float] | None) -> None:
    """Trains for so long, and sends images per second; without ``speed`` for ever."""
    keep_freed_memory()
    threads = 1 if way == ONE else available_cores()
    torch.set_num_threads(threads)
    trainer = Trainer(config_of(Case(width, _BATCH, "fp32"), 1), noise_images(), "cpu")
    ticks = iter(trainer)
    next(ticks)
    if way == SHARED:
        trainer.on_batch = SharedCores(threads, Observer()).look
    before, begun = trainer.images_seen, time.perf_counter()
    while speed is None or time.perf_counter() - begun < seconds:
        next(ticks)
    speed.put((trainer.images_seen - before) / (time.perf_counter() - begun))


@contextmanager
def busy_core(width: int) -> Iterator[None]:
    """Another training, with one thread."""
    load = _processes.Process(target=train, args=(ONE, width, 0.0, None), daemon=True)
    load.start()
    try:
        yield
    finally:
        load.kill()
        load.join()


def images_per_second(way: str, width: int, seconds: float) -> float:
    """The speed of one training, in a process of its own."""
    speed: Queue[float] = _processes.Queue()
    process = _processes.Process(target=train, args=(way, width, seconds, speed))
    process.start()
    try:
        return speed.get(timeout=seconds + 300)
    finally:
        process.join()


def measure(width: int, seconds: float, rounds: int) -> dict[str, list[float]]:
    """Images per second of each way, one number a round."""
    found: dict[str, list[float]] = {way: [] for way in WAYS}
    for _ in range(rounds):
        for way in WAYS:
            found[way].append(images_per_second(way, width, seconds))
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    """Prints a table, and writes it."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=15.0, help="of each training")
    parser.add_argument("--widths", type=int, nargs="+", default=[16, 64])
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the results")
    given = parser.parse_args(arguments)
    rows = []
    for width in given.widths:
        alone = measure(width, given.seconds, given.rounds)
        with busy_core(width):
            beside = measure(width, given.seconds, given.rounds)
        for others, found in (("none", alone), ("one busy core", beside)):
            rows.append({"width": width, "others": others, **found})
            print(rows[-1], flush=True)
    device = torch.device("cpu")
    machine = describe_machine(device, 1, available_cores())
    head = [">width", "other programs", *(f">{way}" for way in WAYS)]
    cells = [
        [str(row["width"]), row["others"], *(f"{median(row[way]):,.0f}" for way in WAYS)]
        for row in rows
    ]
    text = (
        f"{machine}. By `python -m benchmarks.busy_cores`. Images per second of a DCGAN of 32 "
        f"pixels in fp32 at batch {_BATCH}, in {given.seconds:g} seconds; medians of "
        f"{given.rounds} rounds.\n\n{table(head, cells)}"
    )
    report = Report("busy_cores", device, given.out, _PAGE)
    report.write({"machine": machine, "rows": rows}, "Training beside other programs", text)


if __name__ == "__main__":
    main()
