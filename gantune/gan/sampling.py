"""``sample_images``: what a generator makes, in the form in which real images come."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from gantune.errors import ScoreError

__all__ = ["sample_images"]

_BATCH = 256  # images in the network at once


@torch.inference_mode()
def sample_images(
    generator: nn.Module, number: int, random: torch.Generator, labels: Tensor | None = None
) -> Tensor:
    """Images uint8 [number, C, H, W] of a generator in eval mode; points come as float32 [n, 2].

    ``random``, on the generator's device, draws the latents and, for a conditional generator, the
    classes, each as often as the data has it; ``labels`` int64 [number] names them instead.
    Computed in fp32 whatever the training's precision, so that a score is that of the weights as
    they are saved. Waits for the device once. Raises ``ScoreError`` where a value is not finite: it
    would pass for black.
    """
    # All latents at once: what is drawn must not depend on how it is cut into batches.
    z = torch.randn(number, cast(int, generator.latent), generator=random, device=random.device)
    if labels is None and getattr(generator, "classes", False):
        shares = cast(Tensor, generator.label_shares)
        labels = torch.multinomial(shares, number, replacement=True, generator=random)
    if labels is None:
        images = torch.cat([generator(part) for part in torch.split(z, _BATCH)])
    else:
        parts = zip(torch.split(z, _BATCH), torch.split(labels, _BATCH), strict=True)
        images = torch.cat([generator(*part) for part in parts])
    if not images.isfinite().all():
        raise ScoreError("the generator gives values that are not numbers")
    if images.ndim == 2:
        return images
    return images.mul_(127.5).add_(128).clamp_(0, 255).to(torch.uint8)
