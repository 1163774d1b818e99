"""Records a training step once for each of its phases, and replays it: on CUDA as a CUDA graph.

A small network's step is hundreds of kernels of a few microseconds, and a GPU waits for Python
between them. A replay launches all of them at once. It reads and writes the memory that the
recording did, so everything that changes along a run lies in tensors that stay where they are.
"""

import logging
from collections import Counter
from collections.abc import Callable, Hashable
from typing import Protocol

import torch

from gantune.config import TrialConfig
from gantune.errors import first_line
from gantune.gan.ranks import Ranks
from gantune.gan.statistics import TickStatistics

_log = logging.getLogger(__name__)


class Recording(Protocol):
    """What one call of a function has done on the device."""

    def replay(self) -> None:
        """Does it again, in the same memory."""


class Recorder(Protocol):
    """Makes recordings."""

    def record(self, run: Callable[[], None]) -> Recording:
        """Calls ``run`` and records it; its work is done once. Raises ``RuntimeError`` where that
        is impossible, and then nothing is done on the device."""


class CudaGraphs:
    """Records CUDA graphs that share one pool of memory.

    ``random``: the generator that steps draw from besides torch's global one; each replay draws on.
    """

    def __init__(self, device: torch.device, random: torch.Generator) -> None:
        self._device, self._random = device, random
        self._pool = torch.cuda.graph_pool_handle()

    def record(self, run: Callable[[], None]) -> torch.cuda.CUDAGraph:
        """Records ``run`` on a stream of its own, and replays it once."""
        graph = torch.cuda.CUDAGraph()
        graph.register_generator_state(self._random)
        with torch.cuda.device(self._device), torch.cuda.graph(graph, pool=self._pool):
            run()
        graph.replay()
        return graph


class RecordedStep:
    """Runs a training step, and replays it where it was recorded before.

    A phase is everything that decides which work a step does. Its first step runs as it is, so that
    all memory is there, its second one is recorded, later ones are replayed. Where a recording
    fails, this step and all later ones run as they are, and the log says why. ``undo``: called
    then, to forget what the failed recording has left on the host.
    """

    def __init__(self, recorder: Recorder, undo: Callable[[], None]) -> None:
        self._recorder: Recorder | None = recorder
        self._undo = undo
        self._seen: set[Hashable] = set()
        self._recordings: dict[Hashable, tuple[Recording, Counter[str]]] = {}

    def run(self, phase: Hashable, step: Callable[[], None], statistics: TickStatistics) -> None:
        """Does the work of ``step``, which adds to ``statistics``."""
        if phase in self._recordings:
            recording, added = self._recordings[phase]
            recording.replay()
            statistics.count(added)
        elif phase in self._seen and self._recorder is not None:
            before = statistics.counts
            try:
                recording = self._recorder.record(step)
            except RuntimeError as error:  # memory, or an operation that cannot be recorded
                _log.warning(
                    "the training step is not recorded as a CUDA graph (%s): training goes on "
                    "without, which is slower for small networks",
                    first_line(error),
                )
                self._recorder = None
                self.drop()
                self._undo()
                statistics.set_counts(before)
                step()
            else:
                self._recordings[phase] = recording, statistics.counts - before
        else:
            self._seen.add(phase)
            step()

    def drop(self) -> None:
        """Forgets all recordings: the memory that they use is replaced."""
        self._recordings.clear()
        self._seen.clear()


def why_not_recorded(
    config: TrialConfig, ranks: Ranks, *, is_fp16: bool, images_on_device: bool
) -> str:
    """Why the steps of a config cannot be recorded; empty where they can."""
    if ranks.count > 1:
        return "several devices exchange gradients within it"
    if config.compile:
        return "compile is on"
    if config.schedule.beta2_end is not None:
        return "schedule.beta2_end changes beta2, which the optimizers take as a number"
    if is_fp16:
        return "fp16 adapts the scale of the loss"
    return "" if images_on_device else "the images do not fit into the GPU's memory"
