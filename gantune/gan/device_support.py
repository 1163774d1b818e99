"""What a device supports: ``torch.compile``, memory, threads; and what is used instead."""

import gc
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import cast

import torch
from torch import nn

from gantune.config import AnyConfig, Command, ExternalConfig, TrialConfig
from gantune.errors import first_line
from gantune.gan.precision import compute_dtype, has_native_bf16, has_tf32, used_precision
from gantune.io.allocator import return_freed_memory

# ---- torch.compile ------------------------------------------------------------------------------


def compiled(network: nn.Module, device: torch.device, *, wanted: bool) -> nn.Module:
    """``network`` compiled for batches of fixed sizes, with shared weights; or itself where that is
    not wanted or not possible."""
    if not wanted or missing_compiler(device):
        return network
    return cast(nn.Module, torch.compile(network, dynamic=False))


def missing_compiler(device: torch.device) -> str:
    """What ``torch.compile`` lacks on a device, in words; empty where it works.

    Compiles a small function once per process, since an installed compiler may be broken.
    """
    return _missing_tool(device) or _compile_error(device.type)


@cache
def _compile_error(device: str) -> str:
    try:
        torch.compile(lambda x: x.sin() + 1)(torch.ones(2, device=device))
    except Exception as error:  # whatever the reason, training works without
        return f"the compiler does not work ({first_line(error)})"
    return ""


def _missing_tool(device: torch.device) -> str:
    if device.type == "cuda":
        from torch.utils._triton import has_triton

        return "" if has_triton() else "no Triton for this GPU"
    from torch._inductor.cpp_builder import get_cpp_compiler
    from torch._inductor.exc import InvalidCxxCompiler

    try:
        get_cpp_compiler()
    except InvalidCxxCompiler:
        return "no C++ compiler (install g++, or name one in the variable CXX)"
    return ""


_NEEDS = {"fp16": "a GPU", "tf32": "a GPU that has TF32 (Ampere or newer)"}


def fallbacks(config: TrialConfig, device: torch.device) -> list[str]:
    """A sentence for each setting that the device does not support, and for a long start."""
    found = []
    used = used_precision(config, device)
    if config.precision not in ("auto", used):
        found.append(
            f"precision {config.precision} needs {_NEEDS[config.precision]}; on {device.type} "
            f"training computes in {used}"
        )
    elif config.precision == "bf16" and not has_native_bf16(device):
        faster = "fp16 or fp32" if device.type == "cuda" else "fp32"
        found.append(f"precision bf16 is emulated on {device}; {faster} may be faster")
    if config.compile and (lack := missing_compiler(device)):
        found.append(f"compile: {lack}; the networks run uncompiled")
    elif config.compile:
        found.append("compile: the first steps take about a minute, for the compiler")
    if why := why_not_recorded(config, device):
        found.append(not_recorded_text(why))
    return found


def why_not_recorded(config: TrialConfig, device: torch.device) -> str:
    """Why a config's training steps cannot be recorded on a GPU; empty where they can, and on other
    devices, where none are."""
    if device.type != "cuda":
        return ""
    if config.compile:
        return "compile is on"
    if compute_dtype(config, device) == torch.float16:
        return "fp16 adapts the scale of the loss"
    return ""


def not_recorded_text(why: str) -> str:
    """Says that steps are not recorded, and why."""
    return f"training steps are not recorded as CUDA graphs ({why}); small networks train slower so"


def rung_fallback(precision: str, device: torch.device | str) -> str:
    """A sentence for a precision of rungs that the device does not support; else empty."""
    device = torch.device(device)
    if precision == "tf32" and not has_tf32(device):
        return (
            f"objective.rung_precision tf32 needs {_NEEDS[precision]}; on {device.type} rungs are "
            "scored in full float32"
        )
    if precision == "bf16" and not has_native_bf16(device):
        return f"objective.rung_precision bf16 is emulated on {device}; fp32 may be faster"
    return ""


# ---- Memory and threads -------------------------------------------------------------------------


_MESSAGES = (  # of plain RuntimeErrors: torch's allocator on the CPU, and CUDA itself
    "DefaultCPUAllocator",
    "CUDA error: out of memory",
    "CUBLAS_STATUS_ALLOC_FAILED",
    "CUDNN_STATUS_ALLOC_FAILED",
)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error means that the device, or the machine, is out of memory."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and any(text in str(error) for text in _MESSAGES)


def peak_memory(device: torch.device) -> float:
    """Peak memory of this process, GiB: on a GPU since peaks began anew, with what torch keeps for
    later and for recorded steps, without the CUDA context."""
    if device.type == "cuda":
        return torch.cuda.max_memory_reserved(device) / 2**30
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20  # Linux counts in KiB


def release_memory(device: torch.device) -> None:
    """Frees unused memory for the next trial or another worker."""
    gc.collect()
    return_freed_memory()
    if device.type == "cuda":
        return_gpu_memory(device)


def return_gpu_memory(device: torch.device) -> None:
    """Gives a GPU's unused memory back once all work on it has ended: replays may be under way, and
    torch does not wait for them where its segments can grow."""
    torch.cuda.synchronize(device)
    torch.cuda.empty_cache()


def out_of_memory_text(config: AnyConfig, device: torch.device) -> str:
    """Says how much memory a run took that the device has no room for, and what takes less."""
    whose = "" if device.type == "cuda" else " of this process"
    where, remedy = "in the trainer", "a smaller batch or network takes less"
    if isinstance(config, TrialConfig):
        batch, parts = config.batch_size, config.accumulation
        where = f"at batch size {batch}"
        if parts > 1:
            where += f" in {parts} parts of {batch // parts} images"
        remedy = "a smaller batch_size or network, or more accumulation, takes less"
    elif isinstance(config, ExternalConfig) and isinstance(config.trainer, Command):
        return f"out of memory in the command, on {device}; {remedy}"
    peak = peak_memory(device)
    return f"out of memory on {device} {where}: peak {peak:.2f} GiB{whose}; {remedy}"


@contextmanager
def torch_threads(count: int) -> Iterator[None]:
    """Sets torch's number of threads within the block, and restores it afterwards."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
