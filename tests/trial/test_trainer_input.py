"""Which samples an external trainer may return, and which are refused."""

from __future__ import annotations

import math
import random
import warnings
from datetime import datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from gantune.data import ImageSet
from gantune.data.sources.arrays import array_images
from gantune.errors import ScoreError, TrainerError
from gantune.trial.trainer_input import UserSamples, check_value_range, plain_number, seeded

CPU = torch.device("cpu")
REAL = ImageSet(np.zeros((4, 1, 8, 8), np.uint8), "digits", "hash")
POINTS = ImageSet(np.zeros((4, 2), np.float32), "gaussians:ring", "hash")


def drawn(draw: Any, real: ImageSet = REAL, count: int = 3) -> torch.Tensor:
    return UserSamples(draw, real, CPU)(count, torch.Generator().manual_seed(1))


def test_bytes_and_floats_of_arrays_and_tensors() -> None:
    levels = np.array([-1.0, 0.0, 1.0, 0.5], np.float32)
    images = np.resize(levels, (3, 1, 8, 8))
    for given in (images, torch.tensor(images), images.astype(np.float64)):
        made = drawn(lambda n, given=given: given)
        assert made.dtype == torch.uint8
        assert made.flatten()[:4].tolist() == [0, 128, 255, 191]
    whole = np.arange(192, dtype=np.uint8).reshape(3, 1, 8, 8)
    assert np.array_equal(drawn(lambda n: whole).numpy(), whole)
    points = drawn(lambda n: torch.full((n, 2), 7.0), POINTS)
    assert points.tolist() == [[7.0, 7.0]] * 3


def test_a_second_argument_gets_the_generator() -> None:
    def takes(n: int, generator: torch.Generator) -> torch.Tensor:
        return torch.rand(n, 1, 8, 8, generator=generator)

    def may_take(n: int, rng: torch.Generator | None = None) -> torch.Tensor:
        assert rng is not None
        return torch.rand(n, 1, 8, 8, generator=rng)

    def has_another(n: int, noise: float = 0.5) -> torch.Tensor:
        return torch.full((n, 1, 8, 8), noise)

    assert torch.equal(drawn(takes), drawn(takes))
    assert torch.equal(drawn(takes), drawn(may_take))
    assert drawn(has_another).float().mean() == 128


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (torch.zeros(2, 1, 8, 8), r"asked for 3 images, got the shape \[2, 1, 8, 8\]"),
        (torch.zeros(3, 1, 16, 16), r"\[3, 1, 8, 8\] is needed, the form of the real images"),
        (torch.zeros(3, 1, 8, 8).long(), "got int64; uint8 from 0 to 255 or floats"),
        (torch.full((3, 1, 8, 8), 255.0), r"floats from 255 to 255, which are read as \[0, 1\]"),
        ("images", "got a str, not an array or tensor"),
        (None, "got a NoneType, not an array or tensor"),
    ],
)
def test_what_is_wrong_is_named(given: Any, message: str) -> None:
    with pytest.raises(TrainerError, match=message):
        drawn(lambda n: given)


def test_non_finite_samples_are_not_an_error_of_the_code() -> None:
    with pytest.raises(ScoreError, match="not finite"):
        drawn(lambda n: torch.full((n, 1, 8, 8), math.nan))


def test_seeding_restores_the_random_state() -> None:
    def three() -> list[float]:
        return [torch.rand(1).item(), float(np.random.rand()), random.random()]

    torch.manual_seed(5), np.random.seed(5), random.seed(5)
    expected = three()
    torch.manual_seed(5), np.random.seed(5), random.seed(5)
    with seeded(1, CPU):
        first = three()
    assert three() == expected
    with seeded(1, CPU):
        assert three() == first
    with seeded(2, CPU):
        assert three() != first


@pytest.mark.parametrize(
    "value",
    [
        2,
        2.0,
        Decimal(2),
        Fraction(2),
        np.float16(2),
        np.int64(2),
        np.array(2.0),
        np.longdouble(2),
        torch.tensor(2),
        torch.tensor(2.0, requires_grad=True),
        torch.tensor(2.0, dtype=torch.bfloat16),
    ],
)
def test_real_numbers_of_any_library_are_scores(value: Any) -> None:
    assert plain_number("score", "value", value) == 2.0


@pytest.mark.parametrize(
    "value",
    [
        True,
        np.True_,
        np.array(True),
        torch.tensor(True),
        2 + 0j,
        np.complex64(2),
        torch.tensor(2 + 0j),
        np.datetime64("2026-01-01"),
        np.timedelta64(2, "s"),
        datetime(2026, 1, 1),
        timedelta(seconds=2),
        pd.NaT,
        pd.Timedelta(2),
        "2",
        b"2",
        np.str_("2"),
        np.array("2"),
        np.array(None),
        [2],
        None,
        object(),
        np.zeros(1),
        torch.zeros(2),
    ],
)
def test_what_is_no_real_number_by_its_type_is_refused(value: Any) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for method in ("score", "report"):
            with pytest.raises(TrainerError, match="a number is needed"):
                plain_number(method, "value", value)


UNIT = torch.linspace(0, 1, 192).reshape(3, 1, 8, 8)
LEVELS = torch.arange(192).mul(255 / 191).round().reshape(3, 1, 8, 8)


@pytest.mark.parametrize(
    ("images", "value_range", "is_asked"),
    [
        (UNIT, None, True),
        (2 * UNIT - 1, None, False),
        (UNIT, (0, 1), False),
        (2 * UNIT - 1, (-1, 1), False),
        (255 * UNIT, (0, 255), False),
        (UNIT - 0.5, [-0.5, 0.5], False),
        (LEVELS.byte(), None, False),
    ],
)
def test_floats_of_any_range_are_the_same_images(
    images: torch.Tensor, value_range: Any, is_asked: bool
) -> None:
    """As for ``evaluate``: [0, 1] if none is negative, else [-1, 1]; or what the trainer says."""
    samples = UserSamples(lambda n: images, REAL, CPU, value_range=value_range)
    assert torch.equal(samples(3, torch.Generator()).float(), LEVELS)
    assert ("Then say value_range=(0, 1), else (-1, 1)" in samples.doubt) == is_asked
    if value_range is None:
        from_array = array_images(images.numpy(), "samples")
        assert [float(np.asarray(from_array.read(k)).max()) for k in range(3)] == [
            float(LEVELS[k].max()) for k in range(3)
        ]


def test_images_without_dark_pixels_are_read_as_told() -> None:
    """A collapse to bright images changes nothing once the range is known."""
    left = [0 * UNIT + 0.5, 2 * UNIT - 1]
    samples = UserSamples(lambda n: left.pop(), REAL, CPU)
    means = [samples(3, torch.Generator()).float().mean().item() for _ in range(2)]
    assert means[1] == 191 and not samples.doubt
    left = [2 * UNIT - 1, UNIT]
    guessed = UserSamples(lambda n: left.pop(), REAL, CPU)
    guessed(3, torch.Generator())
    with pytest.raises(TrainerError, match=r"from -1 to 1, which are read as \[0, 1\]; say what"):
        guessed(3, torch.Generator())


@pytest.mark.parametrize("given", ["01", 1, (1,), (0, 1, 2), (1, 0), (0, math.inf), (0, "1")])
def test_a_range_is_two_rising_numbers(given: Any) -> None:
    with pytest.raises(TrainerError, match="value_range is "):
        check_value_range(given)


@pytest.mark.parametrize("form", [">f4", "<f8", "f2"])
def test_arrays_of_any_memory_layout_are_images(form: str) -> None:
    images = np.full((3, 1, 8, 8), 1, form)[:, :, ::-1]
    assert drawn(lambda n: images).float().mean() == 255
