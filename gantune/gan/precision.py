"""Precision: the number formats in which a training, a sample and a score are computed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import torch

from gantune.config import TrialConfig


def compute_dtype(config: TrialConfig, device: torch.device) -> torch.dtype:
    """The dtype of the networks' autocast: ``float32``, ``bfloat16`` or ``float16``.

    ``auto`` takes bfloat16 where the device supports it natively, but never for points: its 8 bits
    of mantissa are coarser than the modes. ``fp16`` is for GPUs; on other devices it is ``auto``.
    """
    match config.precision:
        case "fp32" | "tf32":
            return torch.float32
        case "bf16":
            return torch.bfloat16
        case "fp16" if device.type == "cuda":
            return torch.float16
        case _:
            is_coarse = config.data.is_points or not has_native_bf16(device)
            return torch.float32 if is_coarse else torch.bfloat16


def has_native_bf16(device: torch.device) -> bool:
    """Whether the device computes in bfloat16 by itself, without emulation."""
    if device.type == "cuda":
        with torch.cuda.device(device):
            return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.type == "cpu":
        found = torch.cpu.get_capabilities()
        return bool(found.get("avx512_bf16") or found.get("amx_bf16"))
    return False


def used_precision(config: TrialConfig, device: torch.device) -> str:
    """``fp32``, ``tf32``, ``bf16`` or ``fp16``: what ``config.precision`` means on a device."""
    match compute_dtype(config, device):
        case torch.bfloat16:
            return "bf16"
        case torch.float16:
            return "fp16"
        case _:
            return "tf32" if config.precision == "tf32" and has_tf32(device) else "fp32"


def has_tf32(device: torch.device) -> bool:
    """Whether the device computes in TF32."""
    if device.type != "cuda":
        return False
    return torch.cuda.get_device_capability(device) >= (8, 0)


# ---- float32 ------------------------------------------------------------------------------------

_GENERAL = (("generic", "all"), ("cuda", "all"), ("mkldnn", "all"))
"""torch's general settings of float32, which stand for those that have no value of their own."""
_PRODUCTS = ("cuda", "matmul"), ("mkldnn", "matmul")
_OTHERS = tuple((backend, kind) for backend in ("cuda", "mkldnn") for kind in ("conv", "rnn"))


def training_float32(config: TrialConfig, device: torch.device) -> Literal["ieee", "tf32"]:
    """How a training computes in float32 on GPUs: in full where it is of ``fp32``, else by TF32,
    whose mantissa of 10 bits is still longer than bfloat16's."""
    return "ieee" if used_precision(config, device) == "fp32" else "tf32"


@contextmanager
def float32_computed(on_gpus: Literal["ieee", "tf32"]) -> Iterator[None]:
    """Within the block float32 means float32, whatever the process has set: ``ieee`` everywhere, or
    ``tf32`` on GPUs, where matrix products and convolutions then round their inputs to 10 bits.

    torch has an older and a newer interface to this, and reading the older one raises once both
    were used. All settings of both are restored after the block. A setting that has never been set
    cannot be made so again, so where the general one serves, it stays as it is.
    """
    get, set_to = torch._C._get_fp32_precision_getter, torch._C._set_fp32_precision_setter
    wanted = {"cuda": on_gpus, "mkldnn": "ieee"}
    before = {}
    for setting in (*_GENERAL, *_PRODUCTS):  # the general ones first: each is read without them
        before[setting] = get(*setting)
        set_to(*setting, "none")
    older = torch.get_float32_matmul_precision()  # without the newer settings it can be read
    try:
        torch.set_float32_matmul_precision("high" if on_gpus == "tf32" else "highest")
        for backend, name in (*_GENERAL[1:], *_PRODUCTS):
            set_to(backend, name, wanted[backend])
        for backend, name in _OTHERS:
            if (own := get(backend, name)) != wanted[backend]:
                before[backend, name] = own
                set_to(backend, name, wanted[backend])
        yield
    finally:
        torch.set_float32_matmul_precision(older)
        for setting, value in before.items():
            set_to(*setting, value)
