"""How a run is scored: its images, those held out, and the protocols that its space asks for."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gantune.config import DataConfig
from gantune.data import ImageSet
from gantune.data.image_set import random_subset
from gantune.errors import DataError
from gantune.gan import device_support
from gantune.scores import resolve_extractor
from gantune.space import load_space
from gantune.trial.pictures import draw_real_images
from gantune.trial.scoring import load_real_images, make_study_protocols


@pytest.fixture
def source(tmp_path: Path) -> str:
    array = np.random.default_rng(0).integers(0, 256, (50, 20, 20, 3), dtype=np.uint8)
    np.save(tmp_path / "images.npy", array)
    return str(tmp_path / "images.npy")


def test_both_sides_have_the_form_that_the_network_makes(source: str) -> None:
    seen: list[tuple[int, int]] = []
    config = DataConfig(source=source, held_out=0.2, colour="gray")
    real = load_real_images(config, (16, 32), lambda done, total: seen.append((done, total)))
    assert real.held_out is not None
    assert real.learned.array.shape == (40, 1, 32, 32)
    assert real.held_out.array.shape == (10, 1, 32, 32)
    assert (40, 40) in seen and (10, 10) in seen
    settled = config.model_copy(update={"resolution": 32})
    again = load_real_images(settled)
    assert again.held_out is not None
    assert again.learned.content_hash == real.learned.content_hash
    assert again.held_out.content_hash == real.held_out.content_hash


def test_none_are_held_out_unless_asked_for(source: str) -> None:
    assert load_real_images(DataConfig(source=source)).held_out is None
    assert load_real_images(DataConfig(source="gaussians:ring", held_out=0.2)).held_out is None


def test_too_few_to_hold_out_is_an_error(source: str) -> None:
    with pytest.raises(DataError):
        load_real_images(DataConfig(source=source, held_out=0.001))


def test_picture_shows_images_from_the_whole_set_and_is_drawn_once(tmp_path: Path) -> None:
    array = np.repeat(np.arange(128, dtype=np.uint8), 16 * 16).reshape(128, 1, 16, 16)
    images = ImageSet(array, "made", "0" * 64)
    draw_real_images(images, tmp_path / "real.png")
    with Image.open(tmp_path / "real.png") as picture:
        assert picture.size == (530, 530)
        first, last = random_subset(128, 64)[[0, -1]]
        assert (picture.getpixel((2, 2)), picture.getpixel((520, 520))) == (first, last)
    draw_real_images(ImageSet(array[:1], "other", "1" * 64), tmp_path / "real.png")
    with Image.open(tmp_path / "real.png") as picture:
        assert picture.size == (530, 530)


def test_points_are_drawn_as_points(tmp_path: Path) -> None:
    points = np.zeros((50, 2), np.float32)
    draw_real_images(ImageSet(points, "made", "0" * 64), tmp_path / "real.png")
    with Image.open(tmp_path / "real.png") as picture:
        assert picture.size == (512, 512) and picture.getpixel((256, 256)) < 100


@pytest.mark.parametrize(
    ("precision", "dtype"), [("fp32", "float32"), ("tf32", "tf32"), ("bf16", "bfloat16")]
)
def test_a_space_names_what_rungs_are_computed_in(
    precision: str, dtype: str, tmp_path: Path
) -> None:
    space = load_space("dcgan", [f"objective.rung_precision={precision}"])
    real = load_real_images(DataConfig(source="digits", resolution=16))
    extractor = resolve_extractor("random", real.learned, tmp_path)
    protocols = make_study_protocols(extractor, real, space.objective)
    assert (protocols.rung.dtype, protocols.full.dtype) == (dtype, "float32")
    assert (protocols.rung.generated, protocols.full.generated) == (
        space.objective.rung_samples,
        space.objective.samples,
    )


@pytest.mark.parametrize(
    ("precision", "is_native", "told"),
    [
        ("fp32", False, ""),
        ("tf32", False, "on cpu rungs are scored in full float32"),
        ("bf16", False, "bf16 is emulated on cpu"),
        ("bf16", True, ""),
    ],
)
def test_a_precision_that_the_device_lacks_is_told(
    precision: str, is_native: bool, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(device_support, "has_native_bf16", lambda device: is_native)
    sentence = device_support.rung_fallback(precision, "cpu")
    assert told in sentence and bool(told) == bool(sentence)
