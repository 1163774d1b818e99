"""Which device each worker uses, and how many workers share a GPU.

That number is measured: 1, 2, 4, ... trainings run at once on one GPU, each in its own process.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from multiprocessing.connection import wait
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, TYPE_CHECKING, Any, Literal

from gantune.config import DataConfig, TrialConfig, make_config
from gantune.errors import ConfigError, DeviceError, TrainingError
from gantune.events import Observer
from gantune.io.processes import describe_exit
from gantune.space import SearchSpace
from gantune.trial.cores import available_cores
from gantune.trial.devices import device_kind, explain_gpu_error, last_error
from gantune.trial.process import Process, end_all

if TYPE_CHECKING:
    from gantune.scores.evaluator import Protocols

OUT_OF_MEMORY = "out of memory"
"""What a measurement's process answers then."""
HEADROOM = 0.1
"""Share of a device's memory that the workers together leave free: other trials need other sizes,
allocators fragment it, and a desktop may use some."""

_ENOUGH = 0.95  # of the best throughput: more workers for the rest would only slow each trial down
_TIMEOUT = 300.0  # seconds without a message after which a training counts as failed


@dataclass(frozen=True)
class Placement:
    """One device for each worker, all with the same number of CPU threads."""

    devices: tuple[str, ...]
    threads: int
    open_to: int = 0
    """Limit of workers per GPU, whose best number has to be measured; 0 if that is settled."""
    measured: tuple[str, ...] = ()
    """Sentences for the user about the measurements."""
    images_per_second: float | None = None
    """Of all workers together; ``None`` if nothing was measured."""

    def is_shared(self, device: str) -> bool:
        """Whether several workers use this GPU."""
        return device != "cpu" and self.devices.count(device) > 1


def assign_workers(devices: list[str], workers: int | Literal["auto"], most: int) -> Placement:
    """Assigns workers to devices in turn, and divides the CPU cores among the workers.

    ``auto``: one worker per GPU, and a measurement may find that more are better. On the CPU one
    worker per core, because single-threaded workers train the most images per second there. In any
    case at most ``most`` workers, the number of runs.
    """
    cores = available_cores()
    is_cpu = devices == ["cpu"]
    count = max(1, min(cores if is_cpu else len(devices), most)) if workers == "auto" else workers
    if count < 1:
        raise DeviceError(f"--workers {count}: at least one is needed")
    assigned = tuple(devices[index % len(devices)] for index in range(count))
    open_to = min(cores, most) // count if workers == "auto" and not is_cpu else 0
    return Placement(assigned, max(1, cores // count), open_to)


@dataclass(frozen=True)
class Probe:
    """What a measurement trains, and where; the first message to each of its processes.

    A process answers with ``Memory`` once it is ready, with its images per second after each
    message that follows, and with the reason as text where it cannot train.
    """

    config: TrialConfig
    """The first trial's; its speed is measured."""
    largest: TrialConfig | None
    """The config that probably needs the most memory; trained for a few steps."""
    data: DataConfig
    extractor: Path | None = None
    """The extractor's folder, as it takes memory too; ``None`` if nothing is scored."""
    protocols: Protocols | None = None
    device: str = "cpu"
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


Throughputs = Mapping[int, float]
"""Images per second that 1, 2, 4, ... trainings at once on one device reach together."""


def measure_placement(placement: Placement, probe: Probe, observer: Observer) -> Placement:
    """The placement with the best number of workers for each GPU.

    One GPU of each kind is measured. All workers are assigned in turn, so that the first trials use
    all devices.
    """
    observer.progress("measuring how many workers a GPU is worth", 0, 0)
    kinds: dict[object, list[str]] = {}
    for gpu in placement.devices:
        kinds.setdefault(device_kind(gpu), []).append(gpu)
    counts = dict.fromkeys(placement.devices, 1)
    sentences, speed = [], 0.0
    for same_kind in kinds.values():
        count, each, sentence = _best_count(replace(probe, device=same_kind[0]), placement.open_to)
        counts |= dict.fromkeys(same_kind, count)
        sentences.append(sentence)
        speed += each * len(same_kind)
    observer.progress("measuring how many workers a GPU is worth", 1, 0)
    rounds = range(max(counts.values()))
    devices = tuple(gpu for turn in rounds for gpu, count in counts.items() if turn < count)
    threads = max(1, available_cores() // len(devices))
    return Placement(devices, threads, 0, tuple(sentences), speed or None)


def _best_count(probe: Probe, most: int) -> tuple[int, float, str]:
    """The best number of workers for a GPU, their images per second, and a sentence about why."""
    try:
        measured, memory, failed = measure(probe, most)
    except TrainingError as error:
        return 1, 0.0, f"1 worker a GPU: a training to measure its speed failed ({error})"
    sentence = describe(measured)
    if failed:
        sentence += f"; {failed}"
    elif max(measured) == memory.max_workers < most:
        sentence += f"; memory holds no more ({memory.one:.1f} of {memory.free:.1f} GiB each)"
    best = best_count(measured)
    return best, measured[best], sentence


def measure(probe: Probe, most: int) -> tuple[Throughputs, Memory, str]:
    """Throughputs of 1, 2, 4, ... trainings at once, up to ``most``, while more fit and are faster.

    Last comes the reason why the next number of trainings failed; empty if none did. Raises
    ``TrainingError`` if not even one training works.
    """
    processes: list[_Training] = []
    measured: dict[int, float] = {}
    memory: Memory | None = None
    failed = ""
    with ExitStack() as stack:
        stack.callback(end_all, processes)
        while not failed and (count := next_count(measured, most)) is not None:
            try:
                new = [
                    _Training(probe, stack.enter_context(TemporaryFile()))
                    for _ in range(count - len(processes))
                ]
                processes += new
                found = [process.receive(Memory) for process in new]
                memory = memory or found[0]
                for process in processes:
                    process.send("train")
                measured[count] = sum(process.receive(float) for process in processes)
                most = min(most, memory.max_workers)
            except TrainingError as error:
                if not measured:
                    raise
                failed = f"{count} at once failed ({error})"
    assert memory is not None
    return measured, memory, failed


class _Training(Process):
    """A process that measures; ``output`` gets what it prints."""

    def __init__(self, probe: Probe, output: IO[bytes]) -> None:
        self._output, is_on_gpu = output, probe.device != "cpu"
        super().__init__("gantune.tuner.engines.probe", 1, output, shares_gpu=is_on_gpu)
        self._is_on_gpu = is_on_gpu
        self.send(probe)

    def receive(self, kind: type[Any]) -> Any:
        """The next message of a kind; skips heartbeats. Raises ``TrainingError`` with the reason
        where the process cannot train."""
        while wait([self.connection], timeout=_TIMEOUT):
            try:
                message = self.connection.recv()
            except (EOFError, ConnectionResetError):
                raise TrainingError(self._death()) from None
            if isinstance(message, str):
                raise TrainingError(self._explained(message))
            if isinstance(message, kind):
                return message
        raise TrainingError(f"it sent nothing for {_TIMEOUT:g} s")

    def _death(self) -> str:
        how = f"it died with {describe_exit(self.end())}"
        self._output.seek(0)
        printed = last_error(self._output.read().decode(errors="replace"))
        return f"{how}, {self._explained(printed)}" if printed else how

    def _explained(self, reason: str) -> str:
        """The first line of a reason, and what it means."""
        meaning = explain_gpu_error(reason)
        if self._is_on_gpu and reason == OUT_OF_MEMORY:
            meaning = explain_gpu_error(f"CUDA {reason}")
        line = reason.splitlines()[0]
        return f"{line}: {meaning}" if meaning else line


def next_count(measured: Throughputs, most: int) -> int | None:
    """How many trainings to measure next: twice as many, at most ``most``.

    ``None`` at the limit, or if the last doubling was not faster.
    """
    if not measured:
        return 1
    last = max(measured)
    former = max((speed for count, speed in measured.items() if count < last), default=0.0)
    if last >= most or measured[last] * _ENOUGH <= former:
        return None
    return min(2 * last, most)


def best_count(measured: Throughputs) -> int:
    """The smallest number of workers within 5% of the best throughput."""
    best = max(measured.values())
    return min(count for count, speed in measured.items() if speed >= _ENOUGH * best)


def describe(measured: Throughputs) -> str:
    """``2 workers a GPU: 1 trains 9,000 images/s, 2 train 14,100, 4 train 14,300``."""
    count = best_count(measured)
    parts = [f"{n} train{'s' * (n == 1)} {speed:,.0f}" for n, speed in measured.items()]
    parts[0] += " images/s"
    return f"{count} worker{'s' * (count > 1)} a GPU: {', '.join(parts)}"


def largest_config(space: SearchSpace, config: TrialConfig) -> TrialConfig | None:
    """The config with the space's largest batch and width, which decide most of the memory.

    ``None`` if that is the config itself, or not valid. Other networks, augmentations and penalties
    that need more memory are not considered.
    """
    network = config.network.model_copy(update={"width": int(space.largest("network.width"))})
    changes = {"batch_size": int(space.largest("batch_size")), "network": network}
    try:
        largest = make_config(config.model_copy(update=changes).model_dump())
    except ConfigError:
        return None
    return None if largest == config else largest
