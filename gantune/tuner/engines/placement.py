"""How many workers a GPU is worth: measured with 1, 2, 4, ... trainings at once on it."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, replace
from multiprocessing.connection import wait
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gantune.config import DataConfig, TrialConfig, make_config
from gantune.errors import ConfigError, TrainingError
from gantune.events import Observer
from gantune.io.processes import describe_exit
from gantune.scores.evaluator import Protocols
from gantune.space import SearchSpace
from gantune.trial.devices import Placement, distribute
from gantune.tuner.engines.process import Process, end_all

if TYPE_CHECKING:
    from gantune.tuner.prepare import Search

HEADROOM = 0.1
"""Share of a device's memory that the workers together leave free: other trials need other sizes,
allocators fragment it, and a desktop may use some."""

_ENOUGH = 0.95  # of the best throughput: more workers for the rest would only slow each trial down
_TIMEOUT = 300.0  # seconds without a message after which a training counts as failed


@dataclass(frozen=True)
class Probe:
    """What a measurement trains, and where; the first message to each of its processes."""

    config: TrialConfig
    """The first trial's; its speed is measured."""
    largest: TrialConfig | None
    """The config that needs most memory, as far as that is cheap to tell; trained for one step."""
    data: DataConfig
    device: str
    threads: int
    extractor: Path | None
    """The extractor's folder, as it takes memory too; ``None`` if nothing is scored."""
    protocols: Protocols | None
    seconds: float = 2.0
    """Duration of each measurement."""


@dataclass(frozen=True)
class Memory:
    """A device's memory, GiB; from a process that is ready to measure."""

    total: float
    free: float
    """Before any worker has started."""
    one: float
    """Peak of one worker that trains the space's largest config and scores."""

    @property
    def max_workers(self) -> int:
        """How many workers fit; at least one is always tried."""
        return max(1, int((self.free - HEADROOM * self.total) / max(self.one, 1e-9)))


@dataclass(frozen=True)
class StartTraining:
    """To a process that has sent its ``Memory``: train for the probe's seconds."""


@dataclass(frozen=True)
class Speed:
    """From a process: how fast it has trained."""

    images_per_second: float


@dataclass(frozen=True)
class ProbeFailed:
    """From a process: why it cannot train."""

    reason: str


@dataclass(frozen=True)
class Throughput:
    """What a number of trainings at once on one device reach together."""

    workers: int
    images_per_second: float


def measure_placement(search: Search, protocols: Protocols | None, observer: Observer) -> Placement:
    """The search's placement. Where that leaves the workers a GPU open, their number is measured,
    for one GPU of each kind.

    ``protocols``: how the search scores, which takes memory too; ``None`` if not known yet.
    Nothing is known of an external trainer: it gets one worker a GPU.
    """
    placement, config = search.placement, search.config
    gpus = placement.devices
    most = placement.open_to // len(gpus)
    if most < 2 or not isinstance(config, TrialConfig):
        return placement
    observer.progress("measuring how many workers a GPU is worth", 0, 0)
    kinds: dict[object, list[str]] = {}
    for gpu in gpus:
        kinds.setdefault(_kind(gpu), []).append(gpu)
    counts: dict[str, int] = {}
    sentences, speed = [], 0.0
    for same_kind in kinds.values():
        probe = Probe(
            config=config,
            largest=largest_config(search.space, config),
            data=config.data,
            device=same_kind[0],
            threads=1,
            extractor=None if protocols is None else search.folder.extractor.resolve(),
            protocols=protocols,
        )
        best, sentence = _best_throughput(probe, most)
        sentences.append(sentence)
        counts |= dict.fromkeys(same_kind, best.workers)
        speed += best.images_per_second * len(same_kind)
    observer.progress("measuring how many workers a GPU is worth", 1, 0)
    placed = distribute({gpu: counts[gpu] for gpu in gpus})
    return replace(placed, measured=tuple(sentences), images_per_second=speed or None)


def _best_throughput(probe: Probe, most: int) -> tuple[Throughput, str]:
    """The throughput of the best number of workers for a GPU, and a sentence that says why."""
    try:
        measured, memory = measure(probe, most)
    except TrainingError as error:
        failed = f"1 worker a GPU: a training to measure its speed failed ({error})"
        return Throughput(1, 0.0), failed
    sentence = describe(measured)
    if measured[-1].workers == memory.max_workers < most:
        sentence += f"; memory holds no more ({memory.one:.1f} of {memory.free:.1f} GiB each)"
    return best_throughput(measured), sentence


def measure(probe: Probe, most: int) -> tuple[list[Throughput], Memory]:
    """Throughputs of 1, 2, 4, ... trainings at once, while more of them fit and pay, up to
    ``most``.

    Raises ``TrainingError`` if not even one training works.
    """
    processes: list[Process] = []
    measured: list[Throughput] = []
    memory: Memory | None = None
    try:
        while (count := next_count(measured, most)) is not None:
            new = [_start(probe) for _ in range(count - len(processes))]
            processes += new
            found = [_receive(process, Memory) for process in new]
            memory = memory or found[0]
            for process in processes:
                process.send(StartTraining())
            speeds = [_receive(process, Speed).images_per_second for process in processes]
            measured.append(Throughput(count, sum(speeds)))
            most = min(most, memory.max_workers)
    except TrainingError:
        if not measured:
            raise
    finally:
        end_all(processes)
    assert memory is not None
    return measured, memory


def _start(probe: Probe) -> Process:
    process = Process("gantune.tuner.engines.probe", probe.threads, subprocess.DEVNULL)
    process.send(probe)
    return process


def _receive(process: Process, kind: type[Any]) -> Any:
    """The next message of a kind; skips heartbeats."""
    while wait([process.connection], timeout=_TIMEOUT):
        try:
            message = process.connection.recv()
        except (EOFError, ConnectionResetError):
            raise TrainingError(f"it died with {describe_exit(process.end())}") from None
        if isinstance(message, ProbeFailed):
            raise TrainingError(message.reason)
        if isinstance(message, kind):
            return message
    raise TrainingError(f"it sent nothing for {_TIMEOUT:g} s")


def next_count(measured: Sequence[Throughput], most: int) -> int | None:
    """How many trainings to measure next: twice as many, at most ``most``.

    ``None`` once more cannot pay: all fit already, or the last doubling brought nothing.
    """
    if not measured:
        return 1
    last = measured[-1]
    former = max((m.images_per_second for m in measured[:-1]), default=0.0)
    if last.workers >= most or last.images_per_second * _ENOUGH <= former:
        return None
    return min(2 * last.workers, most)


def best_throughput(measured: Sequence[Throughput]) -> Throughput:
    """That of the fewest workers within 5% of the best throughput."""
    best = max(m.images_per_second for m in measured)
    enough = (m for m in measured if m.images_per_second >= _ENOUGH * best)
    return min(enough, key=lambda m: m.workers)


def describe(measured: Sequence[Throughput]) -> str:
    """``2 workers a GPU: 1 trains 9,000 images/s, 2 train 14,100, 4 train 14,300``."""
    count = best_throughput(measured).workers
    parts = [
        f"{m.workers} train{'s' * (m.workers == 1)} {m.images_per_second:,.0f}" for m in measured
    ]
    parts[0] += " images/s"
    return f"{count} worker{'s' * (count > 1)} a GPU: {', '.join(parts)}"


def largest_config(space: SearchSpace, config: TrialConfig) -> TrialConfig | None:
    """The config with the space's largest batch and width, which decide most of the memory.

    ``None`` if that is the config itself, or no valid config. Other networks, augmentations and
    penalties that need more memory are not searched for.
    """
    network = config.network.model_copy(update={"width": int(space.largest("network.width"))})
    changes = {"batch_size": int(space.largest("batch_size")), "network": network}
    try:
        largest = make_config(config.model_copy(update=changes).model_dump())
    except ConfigError:
        return None
    return None if largest == config else largest


def _kind(device: str) -> object:
    """What two GPUs must have in common to share one measurement."""
    import torch

    found = torch.cuda.get_device_properties(device)
    return found.name, found.total_memory
