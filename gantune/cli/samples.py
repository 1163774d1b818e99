"""``sample``: pictures from a trained generator."""

from __future__ import annotations

from pathlib import Path

import typer

from gantune.cli import options
from gantune.report.exits import writing

__all__ = ["sample"]


def sample(
    checkpoint: options.Checkpoint,
    number: options.Count = 64,
    out: options.GridFile = Path("grid.png"),
    seed: options.LatentSeed = 0,
) -> None:
    """Draw a grid of samples from a trained generator."""
    import torch

    from gantune.gan.checkpoint import load_generator
    from gantune.gan.grid import save_grid
    from gantune.gan.sampling import sample_images
    from gantune.report.picks import find_checkpoint

    if out.suffix.lower() != ".png":
        raise typer.BadParameter(f"-o {out}: the picture is a PNG; give a name that ends in .png")
    generator = load_generator(find_checkpoint(checkpoint))
    images = sample_images(generator, number, torch.Generator().manual_seed(seed))
    with writing(out):
        save_grid(images, out)
    print(f"wrote {out}")
