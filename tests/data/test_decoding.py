from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from gantune.data.decoding import ImageFormat, convert, convert_image
from gantune.data.image_set import from_arrays
from tests.data.making import noise


def test_the_centre_is_kept() -> None:
    image = Image.new("L", (12, 4), 0)
    image.paste(200, (4, 0, 8, 4))
    assert (convert_image(image, ImageFormat(4, "gray")) == 200).all()
    assert (
        convert_image(image.transpose(Image.Transpose.ROTATE_90), ImageFormat(4, "gray")) == 200
    ).all()


def test_shrinking_does_not_alias() -> None:
    stripes = np.zeros((64, 64), np.uint8)
    stripes[:, ::2] = 255
    shrunk = convert_image(Image.fromarray(stripes), ImageFormat(20, "gray")).astype(int)
    assert np.abs(shrunk - 127).max() < 16


def test_images_of_the_same_size_are_unchanged() -> None:
    pixels = noise(16, 16, 3)
    found = convert_image(Image.fromarray(pixels), ImageFormat(16, "rgb"))
    assert np.array_equal(found, pixels.transpose(2, 0, 1))


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr", "PA"])
@pytest.mark.parametrize("colour", ["gray", "rgb"])
def test_white_is_white_in_every_mode(mode: str, colour) -> None:  # type: ignore[no-untyped-def]
    white = Image.new("RGB", (8, 8), "white")
    image = white.convert("P").convert(mode) if mode == "PA" else white.convert(mode)
    assert (convert_image(image, ImageFormat(8, colour)) == 255).all()


def test_transparency_is_composed_on_white() -> None:
    half = Image.new("RGBA", (8, 8), (0, 0, 0, 127))
    assert (convert_image(half, ImageFormat(8, "gray")) == 128).all()
    palette = Image.new("P", (8, 8), 0)
    palette.putpalette([0, 0, 0, 255, 0, 0])
    palette.info["transparency"] = 0
    assert (convert_image(palette, ImageFormat(8, "rgb")) == 255).all()


def test_16_bits_become_8_and_nothing_wraps() -> None:
    levels = np.array([[0, 257], [65_535, 32_896]], np.uint16)
    for image in (Image.fromarray(levels), Image.fromarray(levels.astype(np.int32))):
        assert convert_image(image, ImageFormat(2, "gray"))[0].tolist() == [[0, 1], [255, 128]]


def test_pixels_without_a_range_are_refused() -> None:
    for array in (np.full((4, 4), 70_000, np.int32), np.full((4, 4), 0.5, np.float32)):
        with pytest.raises(ValueError, match="no known range"):
            convert_image(Image.fromarray(array), ImageFormat(4, "gray"))


def test_a_photograph_is_rotated_by_its_exif_tag() -> None:
    image = Image.new("L", (8, 8), 0)
    image.paste(255, (0, 0, 8, 4))  # white above
    exif = Image.Exif()
    exif[0x0112] = 3  # upside down
    file = io.BytesIO()
    image.save(file, "PNG", exif=exif)
    found = convert_image(Image.open(file), ImageFormat(8, "gray"))
    assert (found[0, :4] == 0).all()
    assert (found[0, 4:] == 255).all()


def test_pieces_come_in_order_with_progress() -> None:
    images = noise(700, 4, 4)
    pieces: list[np.ndarray] = []
    seen: list[tuple[int, int]] = []
    raw = from_arrays(700, images.__getitem__)
    kept, skipped, _ = convert(
        raw, ImageFormat(4, "gray"), pieces.append, lambda *at: seen.append(at)
    )
    assert np.array_equal(np.concatenate(pieces), images[:, None])
    assert kept.tolist() == list(range(700))
    assert skipped == ()
    assert seen == [(256, 700), (512, 700), (700, 700)]
