"""``sample``: pictures from a trained generator."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, cast

import typer

from gantune.cli.options import training as options
from gantune.errors import RunError
from gantune.io.files import writing

if TYPE_CHECKING:
    from torch import Tensor, nn

__all__ = ["sample"]


def sample(
    checkpoint: options.Checkpoint,
    number: options.Count = 64,
    class_number: options.Class = None,
    out: options.GridFile = Path("grid.png"),
    seed: options.LatentSeed = 0,
) -> None:
    """Draw a grid of samples from a trained generator."""
    import torch

    from gantune.gan.checkpoint import load_generator
    from gantune.gan.sampling import sample_images, save_grid
    from gantune.report.selection import find_checkpoint

    if out.suffix.lower() != ".png":
        raise typer.BadParameter(f"-o {out}: the picture is a PNG; give a name that ends in .png")
    generator = load_generator(find_checkpoint(checkpoint))
    labels = None if class_number is None else _labels(generator, number, class_number)
    images = sample_images(generator, number, torch.Generator().manual_seed(seed), labels)
    with writing(out):
        save_grid(images, out)
    print(f"wrote {out}")


def _labels(generator: nn.Module, number: int, class_number: int) -> Tensor:
    """So many times one class, int64 [number]. Raises ``RunError`` where there is no such class."""
    import torch

    classes = cast(int, generator.classes)
    if classes == 0:
        raise RunError(
            f"--class {class_number}: this generator was trained without classes; leave --class "
            "out, or train one with network.conditional true"
        )
    if class_number >= classes:
        raise RunError(f"--class {class_number}: the classes are 0 to {classes - 1}")
    return torch.full((number,), class_number)
