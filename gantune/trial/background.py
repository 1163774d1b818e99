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
    """Starts ``work`` in another thread. Its result, or its error, is the future's.

    ``device``: ``work`` computes there, in the one thread of that device, which keeps what cuDNN
    has planned, and with as many threads as this one. On a GPU it runs on a stream of its own,
    after all that this thread has given the GPU to do by now, and has ended there once the future
    is done. Memory that torch keeps for later is kept for one stream alone, so it is given back
    before and after.
    """
    if device is None:
        executor = ThreadPoolExecutor(1)
        try:
            return executor.submit(work)
        finally:
            executor.shutdown(wait=False)
    count = torch.get_num_threads()

    def computed() -> _Result:
        torch.set_num_threads(count)  # else OpenMP may have another number here, so other bits
        return work()

    if device.type != "cuda":
        return _thread(device).submit(computed)
    stream = _stream(device)
    torch.cuda.empty_cache()
    stream.wait_stream(torch.cuda.current_stream(device))

    def on_stream() -> _Result:
        with torch.cuda.device(device), torch.cuda.stream(stream):
            try:
                return computed()
            finally:
                stream.synchronize()
                torch.cuda.empty_cache()

    return _thread(device).submit(on_stream)


@cache
def _thread(device: torch.device) -> ThreadPoolExecutor:
    """The one thread that computes on a device beside training."""
    return ThreadPoolExecutor(1, f"beside training on {device}")


@cache
def _stream(device: torch.device) -> torch.cuda.Stream:
    """The one stream of such work on a GPU: on each further one torch and cuBLAS keep memory."""
    return torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
