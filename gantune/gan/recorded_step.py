"""Records a training step once for each of its phases, and replays it: on CUDA as a CUDA graph.

A small network's step is hundreds of kernels of a few microseconds, and a GPU waits for Python
between them. A replay launches all of them at once. It reads and writes the memory that the
recording did, so everything that changes along a run lies in tensors that stay where they are.
"""

import warnings
from collections import Counter
from collections.abc import Callable, Hashable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import cache
from typing import ClassVar, Literal, Protocol

import torch

from gantune.errors import first_line
from gantune.events import warn_once
from gantune.gan.device_support import not_recorded_text, return_gpu_memory
from gantune.gan.precision import float32_computed
from gantune.gan.statistics import TickStatistics

_ROOM = 2.2
"""Memory that must be free for recordings, in that of a step. They keep that of one, a step that
runs as it is takes as much again, and the allocator needs some for fragments."""


class Recording(Protocol):
    """What one call of a function has done on the device."""

    def replay(self) -> None:
        """Does it again, in the same memory."""


class Recorder(Protocol):
    """Makes recordings."""

    def record(self, run: Callable[[], None]) -> Recording:
        """Calls ``run`` and records it; its work is done once. Raises ``RuntimeError`` where that
        is impossible, and then nothing is done on the device."""

    def watch(self, run: Callable[[], None]) -> None:
        """Calls ``run`` as it is, and notes what it takes."""

    def forget(self) -> None:
        """All recordings are gone, and what comes next takes other memory."""


class CudaGraphs:
    """Records CUDA graphs that share one pool of memory.

    ``random``: the generator that steps draw from besides torch's global one; each replay draws on.
    """

    are_broken: ClassVar[bool] = False
    """Whether a recording of this process has failed so that torch's allocator still believes in
    it: it would give no memory back to another one."""

    def __init__(self, device: torch.device, random: torch.Generator) -> None:
        self._device, self._random = device, random
        self._stream = _recording_stream(device)
        self._pool = torch.cuda.graph_pool_handle()
        self._taken = self._checked = 0  # bytes of a step that runs as it is, at most

    def watch(self, run: Callable[[], None]) -> None:
        """Calls ``run``, and notes how much memory it takes. Peaks of memory begin anew by it."""
        kept = torch.cuda.memory_allocated(self._device)
        torch.cuda.reset_peak_memory_stats(self._device)
        run()
        taken = torch.cuda.max_memory_allocated(self._device) - kept
        self._taken = max(self._taken, taken)

    def record(self, run: Callable[[], None]) -> torch.cuda.CUDAGraph:
        """Records ``run`` on a stream of its own, and replays it once."""
        if self._taken > self._checked:
            self._check_room()
            self._checked = self._taken
        own, common = self._random.get_state(), torch.cuda.get_rng_state(self._device)
        try:
            return self._recorded(run)
        except RuntimeError:
            self._random.set_state(own)  # a launch that fails has moved both on
            torch.cuda.set_rng_state(common, self._device)
            raise

    def _recorded(self, run: Callable[[], None]) -> torch.cuda.CUDAGraph:
        before, raised = torch.cuda.current_stream(self._device), 0
        with torch.cuda.device(self._device), warnings.catch_warnings():
            warnings.filterwarnings("error", message=".*CUDA Graph is empty")
            graph = torch.cuda.CUDAGraph()
            graph.register_generator_state(self._random)
            try:
                with torch.cuda.graph(
                    graph, self._pool, self._stream, capture_error_mode="thread_local"
                ):
                    try:
                        run()
                    except RuntimeError as error:
                        raised = id(error)
                        raise
            except UserWarning as error:
                raise RuntimeError(str(error)) from None
            except RuntimeError as error:
                if id(error) != raised:  # the graph could not be ended
                    CudaGraphs.are_broken = True
                raise
            finally:
                torch.cuda.set_stream(before)  # torch stays on the other one where it fails
            graph.replay()
        return graph

    def forget(self) -> None:
        return_gpu_memory(self._device)  # what the pool held is of use to others only then
        self._pool, self._checked = torch.cuda.graph_pool_handle(), 0

    def _check_room(self) -> None:
        """Raises ``RuntimeError`` where recordings would take memory that later steps need."""
        free, _ = torch.cuda.mem_get_info(self._device)
        kept = torch.cuda.memory_allocated(self._device)
        unused = free + torch.cuda.memory_reserved(self._device) - kept
        lacking = _ROOM * self._taken - unused
        if lacking > 0:
            raise RuntimeError(f"it would take {lacking / 2**30:.2f} GiB more than there are")


@cache
def _recording_stream(device: torch.device) -> torch.cuda.Stream:
    """The stream on which a process records. torch's common one belongs to its first GPU, and on
    each further stream cuBLAS takes memory that it keeps."""
    return torch.cuda.Stream(device)  # type: ignore[no-untyped-call]


class NotReplayed:
    """Context for training work that is not a replay of a recorded step.

    It sets how torch computes in float32, which is a setting of the whole process. A replay reads
    none, so that other threads may have theirs meanwhile.
    """

    def __init__(self, float32: Literal["ieee", "tf32"]) -> None:
        self._float32 = float32
        self.wait: Callable[[], float] | None = None
        """Called first: waits until no other thread needs settings of its own; returns how many
        seconds it waited after all work of training so far."""
        self.waited = 0.0
        """The sum of these seconds."""

    @contextmanager
    def __call__(self) -> Iterator[None]:
        if self.wait is not None:
            self.waited += self.wait()
        with float32_computed(self._float32):
            yield


class RecordedStep:
    """Runs a training step, and replays it where it was recorded before.

    A phase is everything that decides which work a step does. Its first step runs as it is, so that
    all memory is there, its second one is recorded, later ones are replayed. Where a recording
    fails, this step and all later ones run as they are, and the log says why.
    """

    def __init__(
        self,
        recorder: Recorder,
        not_replayed: Callable[[], AbstractContextManager[None]] = nullcontext,
    ) -> None:
        """``not_replayed``: the context of a step that runs as it is, or is recorded."""
        self._recorder: Recorder | None = recorder
        self._not_replayed = not_replayed
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
            return
        with self._not_replayed():
            if phase not in self._seen or self._recorder is None:
                self._seen.add(phase)
                if self._recorder is None:
                    step()
                else:
                    self._recorder.watch(step)
                return
            before = statistics.counts
            made = self._try(self._recorder, step)
            if made is not None:
                self._recordings[phase] = made, statistics.counts - before
                return
            undo()  # before the memory of what it forgets is given back
            self.drop()
            self._recorder = None
            statistics.set_counts(before)
            step()

    def _try(self, recorder: Recorder, step: Callable[[], None]) -> Recording | None:
        """The recording; ``None``, and a line in the log, where that fails."""
        try:
            return recorder.record(step)
        except RuntimeError as error:  # memory, or an operation that cannot be recorded
            warn_once(not_recorded_text(_reason(error)))
            return None

    def drop(self) -> None:
        """Forgets all recordings: the memory that they use is replaced."""
        self._recordings.clear()
        self._seen.clear()
        if self._recorder is not None:
            self._recorder.forget()


def _reason(error: BaseException) -> str:
    """The first error of a chain: torch fails once more where it ends the graph."""
    while error.__context__ is not None:
        error = error.__context__
    return first_line(error)
