"""The core GAN trainer: networks, losses, penalties, averaged weights, checkpoints, the loop.

Nothing is imported here, so that ``gantune.gan.tick`` needs no torch.
"""

from __future__ import annotations

__all__: list[str] = []
