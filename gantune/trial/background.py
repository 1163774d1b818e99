"""Work that goes on beside training, in a thread of its own."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cache
from typing import TypeVar

import torch

_Result = TypeVar("_Result")


def in_background(
    work: Callable[[], _Result], device: torch.device | None = None
) -> Future[_Result]:
    """Starts ``work`` in a thread of its own. Its result, or its error, is the future's.

    ``device``: of a GPU, ``work`` runs on a stream of its own there, after all that this thread has
    given the GPU to do by now, and has ended there once the future is done.
    """
    if device is None or device.type != "cuda":
        return _started(work)
    stream = _stream(device)
    stream.wait_stream(torch.cuda.current_stream(device))

    def on_stream() -> _Result:
        with torch.cuda.device(device), torch.cuda.stream(stream):
            try:
                return work()
            finally:
                stream.synchronize()

    return _started(on_stream)


def _started(work: Callable[[], _Result]) -> Future[_Result]:
    executor = ThreadPoolExecutor(1)
    try:
        return executor.submit(work)
    finally:
        executor.shutdown(wait=False)


@cache
def _stream(device: torch.device) -> torch.cuda.Stream:
    """The one stream of such work on a GPU: on each further one torch and cuBLAS keep memory."""
    return torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
