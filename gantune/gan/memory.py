"""Running out of memory: how it shows itself, and how much was taken."""

from __future__ import annotations

import gc
import resource

import torch

__all__ = ["is_out_of_memory", "peak_memory", "release_memory"]

_IN_WORDS = (  # of plain RuntimeErrors: torch's allocator on the CPU, and what CUDA says itself
    "DefaultCPUAllocator",
    "CUDA error: out of memory",
    "CUBLAS_STATUS_ALLOC_FAILED",
    "CUDNN_STATUS_ALLOC_FAILED",
)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that the device, or the machine, has no memory left."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error) for words in _IN_WORDS)


def peak_memory(device: torch.device) -> float:
    """The most that was taken at once, GiB: on a GPU since its peak was last reset, on the CPU by
    the whole process since it began."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**30
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20  # Linux counts in KiB


def release_memory(device: torch.device) -> None:
    """Gives back what nothing holds any more, for the next trial or another worker."""
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()
