"""``compiled``: a network by way of ``torch.compile``, where there is a compiler."""

from __future__ import annotations

from functools import cache
from typing import cast

import torch
from torch import nn

__all__ = ["compiled", "missing_compiler"]


def compiled(network: nn.Module, device: torch.device, *, wanted: bool) -> nn.Module:
    """``network`` compiled for batches of fixed sizes; itself where that is not wanted or cannot
    be. Both share their weights."""
    if not wanted or missing_compiler(device):
        return network
    return cast(nn.Module, torch.compile(network, dynamic=False))


def missing_compiler(device: torch.device) -> str:
    """What ``torch.compile`` lacks on a device, in words; empty where it lacks nothing.

    Compiles a small function once in a process, for a compiler may be there and not work.
    """
    return _missing_tool(device) or _failure(device.type)


@cache
def _failure(device: str) -> str:
    try:
        torch.compile(lambda x: x.sin() + 1)(torch.ones(2, device=device))
    except Exception as error:  # whatever stops it, there is a way without
        return f"the compiler does not work ({str(error).strip().splitlines()[0]})"
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
