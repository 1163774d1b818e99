"""Records a training step once for each of its phases, and replays it: on CUDA as a CUDA graph.

A small network's step is hundreds of kernels of a few microseconds, and a GPU waits for Python
between them. A replay launches all of them at once. It reads and writes the memory that the
recording did, so everything that changes along a run lies in tensors that stay where they are.
"""

import logging
import warnings
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

    def forget(self) -> None:
        """All recordings are gone, and what comes next takes other memory."""


class CudaGraphs:
    """Records CUDA graphs that share one pool of memory.

    ``random``: the generator that steps draw from besides torch's global one; each replay draws on.
    """

    def __init__(self, device: torch.device, random: torch.Generator) -> None:
        self._device, self._random = device, random
        # One of its own: torch's common one belongs to the process's first GPU, and what an earlier
        # training frees on it would be taken from the graphs of this one.
        self._stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
        self._pool = torch.cuda.graph_pool_handle()

    def record(self, run: Callable[[], None]) -> torch.cuda.CUDAGraph:
        """Records ``run`` on a stream of its own, and replays it once."""
        before = torch.cuda.current_stream(self._device)
        with torch.cuda.device(self._device), warnings.catch_warnings():
            warnings.filterwarnings("error", message=".*CUDA Graph is empty")
            graph = torch.cuda.CUDAGraph()
            graph.register_generator_state(self._random)
            try:
                with torch.cuda.graph(
                    graph, self._pool, self._stream, capture_error_mode="thread_local"
                ):
                    run()
            except UserWarning as error:
                raise RuntimeError(str(error)) from None
            finally:
                torch.cuda.set_stream(before)  # torch stays on the other one where it fails
            graph.replay()
        return graph

    def forget(self) -> None:
        self._pool = torch.cuda.graph_pool_handle()


class RecordedStep:
    """Runs a training step, and replays it where it was recorded before.

    A phase is everything that decides which work a step does. Its first step runs as it is, so that
    all memory is there, its second one is recorded, later ones are replayed. Where a recording
    fails, this step and all later ones run as they are, and the log says why.
    """

    def __init__(self, recorder: Recorder) -> None:
        self._recorder: Recorder | None = recorder
        self._seen: set[Hashable] = set()
        self._recordings: dict[Hashable, tuple[Recording, Counter[str]]] = {}

    def __len__(self) -> int:
        """How many phases are recorded."""
        return len(self._recordings)

    def run(
        self,
        phase: Hashable,
        step: Callable[[], None],
        statistics: TickStatistics,
        undo: Callable[[], None],
    ) -> None:
        """Does the work of ``step``, which adds to ``statistics``.

        ``undo`` forgets what a recording that failed has left on the host.
        """
        if phase in self._recordings:
            recording, added = self._recordings[phase]
            recording.replay()
            statistics.count(added)
        elif phase not in self._seen or self._recorder is None:
            self._seen.add(phase)
            step()
        else:
            before = statistics.counts
            made = self._try(self._recorder, step)
            if made is not None:
                self._recordings[phase] = made, statistics.counts - before
                return
            self.drop()
            self._recorder = None
            undo()
            statistics.set_counts(before)
            step()

    def _try(self, recorder: Recorder, step: Callable[[], None]) -> Recording | None:
        """The recording; ``None``, and a line in the log, where that fails."""
        try:
            return recorder.record(step)
        except RuntimeError as error:  # memory, or an operation that cannot be recorded
            cause: BaseException = error
            while cause.__context__ is not None:  # torch fails once more where it ends the graph
                cause = cause.__context__
            _log.warning(
                "the training step is not recorded as a CUDA graph (%s): training goes on "
                "without, which is slower for small networks",
                first_line(cause),
            )
            return None

    def drop(self) -> None:
        """Forgets all recordings: the memory that they use is replaced."""
        self._recordings.clear()
        self._seen.clear()
        if self._recorder is not None:
            self._recorder.forget()


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
