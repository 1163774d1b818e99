"""What a device cannot do as a config asks, what is done instead, and what takes its time."""

from __future__ import annotations

import torch

from gantune.config import TrialConfig
from gantune.gan.compiling import missing_compiler
from gantune.gan.precision import compute_dtype

__all__ = ["fallbacks"]


def fallbacks(config: TrialConfig, device: torch.device) -> list[str]:
    """A sentence for each thing that will be done otherwise, or that looks like standing still;
    none where all is done as asked and at once."""
    found = []
    if config.precision == "fp16" and device.type != "cuda":
        instead = "bf16" if compute_dtype(config, device) == torch.bfloat16 else "fp32"
        found.append(f"precision fp16 needs a GPU; on {device.type} training computes in {instead}")
    if config.compile and (lack := missing_compiler(device)):
        found.append(f"compile: {lack}; the networks run as they are")
    elif config.compile:
        found.append("compile: the first steps wait a minute or so for the compiler")
    return found
