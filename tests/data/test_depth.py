"""Values of few bits in 16-bit images, with the faults that real cameras have."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from gantune.config import DataConfig
from gantune.data import load_parts
from gantune.errors import DataError
from tests.data.making import load

Deep = NDArray[np.uint16]


def deep(count: int, top: int, side: int = 20, seed: int = 0) -> Deep:
    """Images whose values go from 0 to ``top``."""
    values = np.random.default_rng(seed).integers(0, top + 1, (count, side, side))
    values[:, 0, 0] = top
    return values.astype(np.uint16)


def write(folder: Path, images: Deep, first: int = 0, ending: str = "png") -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for number, pixels in enumerate(images):
        Image.fromarray(pixels).save(folder / f"{first + number}.{ending}")


def hot(images: Deep, which: slice, pixels: int = 1, value: int = 65_535) -> Deep:
    images[which, 5, 5 : 5 + pixels] = value
    return images


CASES: list[tuple[str, Deep, int, str]] = [
    ("12 bits", deep(20, 4095), 4095, "use 12 bits: scaled so that 4095 is white"),
    ("one hot pixel", hot(deep(20, 4095), slice(1)), 4095, "brighter values (up to 65535) are cli"),
    ("a hot pixel in every image", hot(deep(20, 4095), slice(None)), 4095, "up to 65535"),
    ("three stuck pixels", hot(deep(20, 1023), slice(None), 3, 40_000), 1023, "up to 40000"),
    ("10 bits", deep(20, 1000), 1023, "use 10 bits"),
    ("8 bits", deep(20, 255), 255, "use 8 bits"),
    ("one image of another camera", np.concatenate([deep(99, 4095), deep(1, 65_535)]), 4095, "12"),
    ("16 bits", deep(20, 65_535), 65_535, ""),
    ("16 bits, few images", deep(2, 65_535), 65_535, ""),
    ("stars: many bright pixels", hot(deep(20, 900), slice(None), 15, 60_000), 65_535, ""),
    ("small images", deep(12, 4095, side=8), 4095, "use 12 bits"),
    ("small images, one hot", hot(deep(12, 4095, side=8), slice(1)), 4095, "up to 65535"),
]


@pytest.mark.parametrize(
    ("images", "white", "said"), [case[1:] for case in CASES], ids=[case[0] for case in CASES]
)
@pytest.mark.parametrize("ending", ["png", "tif"])
def test_scaled_by_what_nearly_all_pixels_use(
    tmp_path: Path, images: Deep, white: int, said: str, ending: str
) -> None:
    write(tmp_path / "a", images, ending=ending)
    found = load(tmp_path / "a")
    order = sorted(range(len(images)), key=lambda n: f"{n}.{ending}")
    expected = np.rint(images[order].clip(0, white) * (255 / white))
    assert np.abs(found.array[:, 0].astype(int) - expected).max() <= 1
    assert said in found.found and ("values of over 8 bits" in found.found) == bool(said)


def write_tiff(path: Path, pixels: NDArray[Any]) -> None:
    """Gray of any number format, also signed, as Pillow cannot write it."""
    height, width = pixels.shape
    kind = {"u": 1, "i": 2}[pixels.dtype.kind]
    tags = [
        *((256, 3, width), (257, 3, height), (258, 3, 8 * pixels.itemsize), (259, 3, 1)),
        *((262, 3, 1), (273, 4, 8), (277, 3, 1), (278, 3, height), (279, 4, pixels.nbytes)),
        (339, 3, kind),
    ]
    body = struct.pack("<H", len(tags))
    body += b"".join(struct.pack("<HHII", tag, form, 1, value) for tag, form, value in tags)
    start = b"II*\0" + struct.pack("<I", 8 + pixels.nbytes)
    path.write_bytes(start + pixels.tobytes() + body + bytes(4))


@pytest.mark.parametrize("form", ["<u2", "<i2", "<u4", "<i4"])
@pytest.mark.parametrize("bits", [8, 10, 12, 14])
def test_any_format_of_whole_numbers(tmp_path: Path, form: str, bits: int) -> None:
    for number, pixels in enumerate(deep(10, (1 << bits) - 1)):
        write_tiff(tmp_path / f"{number}.tif", pixels.astype(form))
    images = load(tmp_path)
    assert f"values of over 8 bits use {bits} bits" in images.found and not images.warnings
    assert images.array.max() == 255 and 120 < images.array.mean() < 135


def test_32_bits_beside_8_and_16_bits(tmp_path: Path) -> None:
    for number, pixels in enumerate(deep(5, 4095)):
        write_tiff(tmp_path / f"a{number}.tif", pixels.astype("<i4"))
        Image.fromarray(pixels).save(tmp_path / f"b{number}.png")
        Image.fromarray((pixels >> 4).astype(np.uint8)).save(tmp_path / f"c{number}.png")
    images = load(tmp_path)
    assert (images.array.reshape(15, -1).max(axis=1) == 255).all()


@pytest.mark.parametrize(
    ("form", "low", "high"), [("<i2", -1024, 3071), ("<i4", 0, 70_000), ("<i4", -5, 200)]
)
def test_values_without_a_known_range(tmp_path: Path, form: str, low: int, high: int) -> None:
    for number in range(3):
        write_tiff(
            tmp_path / f"{number}.tif", np.linspace(low, high, 64).reshape(8, 8).astype(form)
        )
    with pytest.raises(DataError, match=f"pixels from {low} to {high} have no known range; scale"):
        load(tmp_path)


DARK: list[tuple[str, NDArray[Any], str]] = [
    (
        "masks",
        np.tile(np.eye(8, dtype=np.uint8), (20, 1, 1)),
        "0 to 1 of 0 to 255; multiply them b",
    ),
    ("classes", np.arange(20 * 64, dtype=np.uint8).reshape(20, 8, 8) % 11, "by 25, or scale"),
    ("zeros", np.zeros((20, 8, 8), np.uint8), "their values are 0 of 0 to 255; scale them"),
    ("masks of 16 bits", np.tile(np.eye(8, dtype=np.uint16), (20, 1, 1)), "multiply them by 255"),
]


@pytest.mark.parametrize(
    ("images", "said"), [case[1:] for case in DARK], ids=[case[0] for case in DARK]
)
@pytest.mark.parametrize("kind", ["files", "array"])
def test_black_sets_say_which_values_they_use(
    tmp_path: Path, images: NDArray[Any], said: str, kind: str
) -> None:
    if kind == "array":
        np.save(tmp_path / "a.npy", images.astype(np.uint8))
    else:
        write(tmp_path / "a", images)
    warning = load(tmp_path / ("a.npy" if kind == "array" else "a")).warnings[0]
    assert said in warning and "16 bits" not in warning


def test_dark_colours_of_16_bits(tmp_path: Path) -> None:
    path = tmp_path / "a" / "0.png"
    path.parent.mkdir()
    pixels = np.full((8, 8, 3), 4095, ">u2")
    rows = b"".join(b"\0" + row.tobytes() for row in pixels)

    def chunk(name: bytes, data: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(name + data))
        return struct.pack(">I", len(data)) + name + data + check

    header = struct.pack(">IIBBBBB", 8, 8, 16, 2, 0, 0, 0)
    parts = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + parts)
    assert "of their colours of 16 bits the upper 8 are read" in load(path.parent).warnings[0]


@pytest.mark.parametrize(("dark", "bright"), [(4095, 65_535), (255, 4095)])
def test_mixed_depths_are_warned_of(tmp_path: Path, dark: int, bright: int) -> None:
    write(tmp_path / "a", deep(10, dark))
    write(tmp_path / "a", deep(10, bright), first=10)
    (warning,) = load(tmp_path / "a").warnings
    bits = (dark.bit_length(), bright.bit_length())
    assert (
        f"10 of 20 images of over 8 bits that were looked at use {bits[0]} bits or fewer" in warning
    )
    assert f"scaled as {bits[1]} bits" in warning


def test_dark_images_stay_dark(tmp_path: Path) -> None:
    write(tmp_path / "a", deep(20, 4095))
    write(tmp_path / "a", deep(1, 400), first=20)
    images = load(tmp_path / "a")
    assert images.array.reshape(21, -1).max(axis=1).min() == 25 and not images.warnings


@pytest.mark.parametrize("which", ["train", "test"])
def test_all_parts_are_scaled_alike(tmp_path: Path, which: str) -> None:
    for part in ("train", "test"):
        write(tmp_path / "a" / part, deep(20, 4095 if part == which else 1023))
    settings: Any = {"source": str(tmp_path / "a")}
    learned, held_out = load_parts(DataConfig(**settings))
    assert held_out is not None
    assert sorted((int(learned.array.max()), int(held_out.array.max()))) == [64, 255]


def test_8_bit_images_beside_them_do_not_count(tmp_path: Path) -> None:
    write(tmp_path / "a", deep(10, 4095))
    for number in range(10, 20):
        Image.new("L", (20, 20), 200).save(tmp_path / "a" / f"{number}.png")
    images = load(tmp_path / "a")
    assert "use 12 bits" in images.found and sorted(images.array.max(axis=(1, 2, 3)))[0] == 200
