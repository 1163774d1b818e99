"""Where the real images come from."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from gantune.config.base import ConfigModel

LAYOUTS = ("grid", "ring")
"""Of gaussians."""


class DataConfig(ConfigModel):
    """Where the real images come from, and in what form they are learned."""

    source: str = Field(default="digits", min_length=1)
    """``digits``, ``gaussians:grid``, ``gaussians:ring``, or a path: a folder or zip of images, an
    ``.npy`` or ``.npz`` file, a folder of IDX files (MNIST) or of CIFAR-10 batches."""
    key: str | None = None
    """The array of an ``.npz`` file that holds the images; ``null``: the one that looks like it."""
    split: Literal["train", "test"] = "train"
    """Which part of a source that comes in two parts (IDX, CIFAR-10)."""
    held_out: Literal["auto"] | Annotated[float, Field(ge=0, le=0.5)] = "auto"
    """Share of the images that is set aside, always the same ones; they are never learned, and only
    scores look at them. ``auto``: the test part, where the source comes with one and ``split`` is
    ``train``, else none; 0: none."""
    resolution: Literal["auto"] | Annotated[int, Field(ge=4, le=1024)] = "auto"
    """Side of the square images, pixels; ``auto``: the size, of those that the network makes, that
    is nearest above the source's own."""
    colour: Literal["auto", "gray", "rgb"] = "auto"
    """Channels that are learned; ``auto``: the source's own."""
    classes: Literal["auto"] | Annotated[int, Field(ge=0, le=100_000)] = "auto"
    """How many classes the labels tell apart, 0 without labels; ``auto``: the source's own. Only a
    conditional network looks at them."""
    flip: bool = False
    """Mirror half of the real images left to right, on the device."""

    @property
    def is_points(self) -> bool:
        """Whether the source gives points in the plane, not images."""
        return self.source.partition(":")[0] == "gaussians"
