"""Which number format the networks compute in."""

from __future__ import annotations

import torch

from gantune.config import TrialConfig

__all__ = ["compute_dtype"]


def compute_dtype(config: TrialConfig, device: torch.device) -> torch.dtype:
    """The format of the networks' autocast: ``float32``, ``bfloat16`` or ``float16``.

    ``auto`` takes bfloat16 where the device computes in it natively, but never for points: its 8
    bits of mantissa are coarser than the modes that are to be learned. ``fp16`` is for GPUs; on
    another device it is ``auto``.
    """
    match config.precision:
        case "fp32":
            return torch.float32
        case "bf16":
            return torch.bfloat16
        case "fp16" if device.type == "cuda":
            return torch.float16
        case _:
            is_coarse = config.data.is_points or not _has_native_bf16(device)
            return torch.float32 if is_coarse else torch.bfloat16


def _has_native_bf16(device: torch.device) -> bool:
    if device.type == "cuda":
        with torch.cuda.device(device):
            return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.type == "cpu":
        found = torch.cpu.get_capabilities()
        return bool(found.get("avx512_bf16") or found.get("amx_bf16"))
    return False
