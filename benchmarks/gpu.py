"""What a GPU does for gantune: the speed of a step, of several workers, and of scoring.

    python -m benchmarks.gpu [--minutes 10] [--device cuda] [--parts steps workers scoring ...]

It trains on noise, and searches on scikit-learn's digits, so it needs no network. Compiled networks
come last, as a compiler takes minutes. Each row of a table has processes of its own, which end at
the deadline, and it is written at once. Parts that were not asked for keep their figures, and so
do rows for which no time was left.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import product
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any

import torch

from benchmarks.publish import Report, describe_machine, table
from benchmarks.rung_cost import ALL, FILES, WAITS, WAYS
from benchmarks.search_overhead import measure as measure_search
from benchmarks.ways import Ours, Plain, Sizes, Train, make
from gantune.errors import DeviceError, summarize_error
from gantune.gan.precision import float32_computed, has_tf32
from gantune.io.processes import describe_exit
from gantune.scores.extractors.dinov2 import DinoV2
from gantune.scores.extractors.random_features import RandomFeatures
from gantune.scores.feature_statistics import BATCH
from gantune.trial.cores import available_cores
from gantune.trial.devices import nvidia_driver_version, training_devices
from gantune.trial.process import Process, WorkerConnection, connect, end_all

PAGE = Path(__file__).resolve().parent.parent / "docs" / "performance.md"
TRIAL_KIMG = 40
LIMIT = 180.0  # seconds that one row may take: a process that hangs costs no more
TOO_LONG = f"failed: it was not done after {LIMIT:.0f} s"
NO_TIME = "not measured: no time left"
COMPILE = ("plain loop", "compiled")
STEPS = ("plain loop", *(f"{kind}, {p}" for p in ("fp32", "bf16") for kind in ("each", "recorded")))
RATIOS = {
    "steps": [
        ("recorded, fp32", "each, fp32"),
        ("recorded, fp32", "plain loop"),
        ("recorded, bf16", "recorded, fp32"),
    ],
    "compile": [("compiled", "plain loop")],
    "rungs": [(ALL, WAITS), (FILES, WAITS)],
}
PRECISIONS = ("fp32", "tf32", "bf16")
SHARES = ("training", "scoring", "neither")
IMAGES = "images a second"
TITLES = {
    "steps": "Images a second of one process: medians of rounds in turns. `each`: not recorded.",
    "workers": f"Processes at once, 32 pixels, width 16. A trial has {TRIAL_KIMG},000 images. "
    "Trials an hour hold training steps only: no start of a process, no recording, no scores, no "
    "samples, no checkpoints. The last column compares them with the first row, which is trials "
    "one after another in eager PyTorch.",
    "rungs": "Images a second of a whole training of eighty steps with ten rungs, its start and "
    "its final score included, by what goes on beside training.",
    "scoring": "Images of 64 pixels a second through feature networks, without the distance. A "
    f"score takes {BATCH} at a time.",
    "search": "Shares of the wall time of a short search with its finals.",
    "compile": "Images a second of the plain loop, in turns with the same loop under "
    '`torch.compile(mode="reduce-overhead")`.',
}
Cells = dict[str, Any]  # of a row, by column: numbers, or the reason why there is none


@dataclass(frozen=True)
class Job:
    """A row of a table: its first cells, and the work of its processes, which makes the others."""

    first: Cells
    work: Callable[[Sizes, WorkerConnection], Iterator[Cells]]
    columns: Sequence[str]
    processes: int = 1


def reason(error: Exception) -> str:
    """What a cell says in place of a number."""
    text = str(error)
    return text if text.startswith("not recorded") else f"failed: {summarize_error(error)}"


def speed(train: Train, seconds: float) -> float:
    """Images a second."""
    begun, shown = time.perf_counter(), 0
    while (passed := time.perf_counter() - begun) < seconds or not shown:
        shown += train()
    return shown / passed


def in_turns(ways: Sequence[str], side: int, width: int, sizes: Sizes, _: Any) -> Iterator[Cells]:
    """Images a second of each way; a way that fails has the reason instead."""
    found: dict[str, list[float]] = {way: [] for way in ways}
    running: dict[str, Train] = {}
    for turn in range(sizes.rounds):
        for way in running.copy() if turn else ways:
            try:
                if not turn:
                    running[way] = make(way, side, width, sizes)
                    running[way](), running[way]()  # these choose kernels
                found[way].append(speed(running[way], sizes.seconds / sizes.rounds))
                yield {way: statistics.median(found[way])}
            except Exception as error:
                running.pop(way, None)
                yield {way: reason(error)}


def together(is_plain: bool, sizes: Sizes, others: WorkerConnection) -> Iterator[Cells]:
    """Images a second of one of several processes, at 32 pixels and width 16."""
    train = Plain(32, 16, sizes) if is_plain else Ours(32, 16, "fp32", sizes)
    train(), train(), train()
    others.send(None)
    others.receive()  # once all are ready
    yield {"steps": "each", IMAGES: speed(train, sizes.seconds)}
    if isinstance(train, Ours):
        yield {"steps": train.unrecorded() or "recorded"}


def scored(name: str, batch: int, sizes: Sizes, _: object) -> Iterator[Cells]:
    """Images a second through a feature network in each precision, without the distance."""
    device, shape = sizes.device, (batch, 3, 64, 64)
    images = torch.randint(0, 256, shape, dtype=torch.uint8, device=device)
    network = RandomFeatures(3, 64) if name == "random" else DinoV2(name)
    for weight in network.parameters():
        weight.data.nan_to_num_().clamp_(-0.1, 0.1)  # DINOv2's weights are not filled
    network.eval().to(device)

    def score() -> int:
        network(images).sum().item()
        return batch

    yield {} if has_tf32(device) else {"tf32": "the device has none"}
    for precision in PRECISIONS if has_tf32(device) else ("fp32", "bf16"):
        with (
            float32_computed("tf32" if precision == "tf32" else "ieee"),
            torch.autocast(device.type, torch.bfloat16, precision == "bf16"),
            torch.inference_mode(),
        ):
            score()
            found = speed(score, sizes.seconds / len(PRECISIONS))
        yield {precision: found}


def searched(sizes: Sizes, _: object) -> Iterator[Cells]:
    """The shares of a whole search by one worker, which takes the GPU where there is one."""
    found = measure_search("dcgan", 1, sizes.search)
    yield {name: found[f"{name}_share"] for name in SHARES}


def all_jobs(sizes: Sizes) -> dict[str, list[Job]]:
    """The rows of all parts, in the order in which they are measured."""
    parts = {part: list[Job]() for part in TITLES}
    for side, width in sizes.cases:
        first: Cells = {"pixels": side, "width": width, "batch": sizes.batch}
        for part, ways in (("steps", STEPS), ("rungs", WAYS), ("compile", COMPILE)):
            if part == "rungs" and (side, width) not in (sizes.cases[0], sizes.cases[-1]):
                continue
            parts[part].append(Job(first, partial(in_turns, ways, side, width), ways))
    for count, name in ((1, "plain loop"), *((number, "gantune") for number in sizes.workers)):
        first, work = {"training": name, "processes": count}, partial(together, name[0] == "p")
        parts["workers"].append(Job(first, work, ("steps", IMAGES), count))
    for name, batch in product(sizes.networks, sizes.scored):
        first = {"network": name, "images at a time": batch}
        parts["scoring"].append(Job(first, partial(scored, name, batch), PRECISIONS))
    parts["search"].append(Job({"workers": 1}, searched, SHARES))
    return parts


def serve(connection: WorkerConnection) -> None:
    """A process of a row: sends cells as they come, and at the end the error or an empty text."""
    work, sizes = connection.receive()
    try:
        for cells in work(sizes, connection):
            connection.send(cells)
        connection.send("")
    except Exception as error:
        connection.send(reason(error))


def measure(job: Job, sizes: Sizes, until: float) -> tuple[Cells, str]:
    """The row of a job, and why its processes, which start as gantune's workers do, ended early."""
    now, count, processes = time.monotonic(), job.processes, list[Process]()
    if now >= until:
        return job.first | dict.fromkeys(job.columns, NO_TIME), NO_TIME
    sent: list[Cells] = [{} for _ in range(count)]
    is_shared = count > 1 and sizes.device.type == "cuda"
    try:
        for _ in range(count):
            processes.append(Process("benchmarks.gpu", 1, 2, shares_gpu=is_shared))
            processes[-1].send((job.work, sizes))
        why = receive(processes, sent, *min((until, NO_TIME), (now + LIMIT, TOO_LONG)))
    except Exception as error:  # such as no memory for another process
        why = reason(error)
    finally:
        end_all(processes)
    cells = dict.fromkeys(job.columns, why or "failed: no figure came")
    if count == 1 or not why:  # some processes alone are no measurement
        for name in sent[0]:
            values = [one[name] for one in sent]
            are_texts = isinstance(values[0], str)
            cells[name] = "; ".join(dict.fromkeys(values)) if are_texts else sum(values)
    return job.first | cells, why


def receive(processes: list[Process], sent: list[Cells], until: float, late: str) -> str:
    """Adds what processes send to their cells; returns why that ends early, such as ``late``."""
    running: dict[Any, Process] = {process.connection: process for process in processes}
    cells, ready = dict(zip(running, sent, strict=True)), 0
    while running:
        found: list[Any] = wait(list(running), timeout=max(0.0, until - time.monotonic()))
        if not found or time.monotonic() >= until:
            return late
        for connection in found:
            try:
                message = connection.recv()
            except (EOFError, ConnectionResetError):
                processes.remove(died := running[connection])
                return f"failed: a process ended with {describe_exit(died.end())}"
            if isinstance(message, dict):
                cells[connection] |= message
            elif message is None:
                ready += 1
                for process in processes if ready == len(processes) else ():
                    process.send("go")
            elif message:
                return str(message)
            else:
                del running[connection]
    return ""


def derived(part: str, row: Cells, first: Cells) -> Cells:
    """What follows from the cells of a row. ``first``: the first row of its table."""
    ratios = [(f"{a} ÷ {b}", row[a], row[b]) for a, b in RATIOS.get(part, ())]
    if part == "workers":
        ratios.append(("trials an hour", row[IMAGES], TRIAL_KIMG / 3.6))
        ratios.append(("÷ the first row", row[IMAGES], first[IMAGES]))
    are_numbers = {name: isinstance(a, float) and isinstance(b, float) for name, a, b in ratios}
    return {name: a / b if are_numbers[name] else "-" for name, a, b in ratios}


def shown(part: str, column: str, value: Any) -> str:
    """A cell of a table."""
    if not isinstance(value, float):
        return str(value).replace("|", "/")[:200]
    return format(value, ".0%" if part == "search" else ".2f" if "÷" in column else ",.0f")


def section(part: str, found: dict[str, Any], machine: str) -> str:
    """The table of a part, with its title."""

    rows: list[Cells] = found["rows"]
    other = "" if found["machine"] == machine else f" This is another machine: {found['machine']}"
    head = [f">{name}" if index else name for index, name in enumerate(rows[0])]
    lines = table(head, ([shown(part, *item) for item in row.items()] for row in rows))
    return f"{TITLES[part]} This part took {found['seconds']:.0f} s.{other}\n\n{lines}"


def describe(device: torch.device) -> str:
    """The machine in a sentence: of a GPU its name and driver."""
    if device.type != "cuda":
        return f"{describe_machine(device, 1)}."
    driver = f"driver {nvidia_driver_version()}"
    software = f"{driver}, CUDA {torch.version.cuda}, torch {torch.__version__}"
    return f"One {torch.cuda.get_device_name(device)}, {software}, {available_cores()} CPU cores."


def main(arguments: Sequence[str] | None = None, sizes: Sizes | None = None) -> None:
    """Measures, prints and writes; exits with 1 where something has failed."""
    begun, parts = time.monotonic(), list(TITLES)
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--minutes", type=float, default=10.0, help="after which it ends")
    parser.add_argument("--parts", nargs="+", choices=parts, default=parts)
    parser.add_argument("--out", type=Path, help="folder of the results instead of results/")
    given = parser.parse_args(arguments)
    if given.device.startswith("cuda") and not torch.cuda.is_available():
        raise SystemExit("no CUDA device here; --device cpu tries the script itself")
    try:
        device = torch.device(training_devices(given.device)[0])
    except DeviceError as error:
        raise SystemExit(str(error)) from None
    until = begun + 60 * given.minutes
    sizes = sizes or Sizes(device)
    bad = ("failed", "not recorded") if device.type == "cuda" else ("failed",)
    places = {"folder": given.out, "page": given.out / "none"} if given.out else {"page": PAGE}
    report, machine, failures = Report("gpu", device, **places), describe(device), list[str]()
    tree = report.read() | {"machine": machine}
    for part in filter(given.parts.__contains__, parts):
        started, rows = time.monotonic(), list[Cells]()
        before = tree.get(part, {"machine": machine, "rows": []})
        kept = before["rows"] if before["machine"] == machine else []
        print(f"{part}: begins after {started - begun:.0f} s", file=sys.stderr, flush=True)
        for job in all_jobs(sizes)[part]:
            row, why = measure(job, sizes, until)
            if all(row[name] == NO_TIME for name in job.columns):
                row = next((old for old in kept if job.first.items() <= old.items()), row)
            rows.append(row | derived(part, row, rows[0] if rows else row))
            seconds = round(time.monotonic() - started, 1)
            tree[part] = {"machine": machine, "seconds": seconds, "rows": rows}
            tables = (section(name, tree[name], machine) for name in parts if name in tree)
            text = "\n\n".join([f"{machine} By `python -m benchmarks.gpu`.", *tables])
            report.write(tree, f"gantune on a {device.type.replace('cuda', 'gpu').upper()}", text)
            cells = "; ".join(f"{name} {shown(part, name, row[name])}" for name in row)
            print(f"{part}: {cells}", file=sys.stderr, flush=True)
            texts = dict.fromkeys([why, *map(str, row.values())])
            failures += [f"{part}: {text}" for text in texts if text.startswith(bad)]
        print(f"\n{machine} {section(part, tree[part], machine)}\n", flush=True)
    if failures:
        raise SystemExit("\n".join(failures))


if __name__ == "__main__":
    is_child = len(sys.argv) == 2 and sys.argv[1].isdigit()  # the descriptor that Process gives
    serve(connect()) if is_child else main()
