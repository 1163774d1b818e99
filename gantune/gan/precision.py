"""Which number format the networks compute in."""

from __future__ import annotations

import torch

from gantune.config import TrialConfig

__all__ = ["compute_dtype"]


def compute_dtype(config: TrialConfig, device: torch.device) -> torch.dtype:
    """The format of the networks' autocast: ``float32`` or ``bfloat16``.

    ``auto`` takes bfloat16 where the device computes in it natively, but never for points: its 8
    bits of mantissa are coarser than the modes that are to be learned.
    """
    if config.precision == "auto":
        bf16 = not config.data.is_points and _has_native_bf16(device)
    else:
        bf16 = config.precision == "bf16"
    return torch.bfloat16 if bf16 else torch.float32


def _has_native_bf16(device: torch.device) -> bool:
    if device.type == "cuda":
        with torch.cuda.device(device):
            return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.type == "cpu":
        found = torch.cpu.get_capabilities()
        return bool(found.get("avx512_bf16") or found.get("amx_bf16"))
    return False
