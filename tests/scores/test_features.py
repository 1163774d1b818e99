"""How images reach an extractor's size and colour."""

from __future__ import annotations

import pytest
import torch

from gantune.scores.features import resized, to_input


def test_levels_become_minus_one_to_one() -> None:
    images = torch.tensor([0, 255], dtype=torch.uint8).view(2, 1, 1, 1).expand(2, 1, 4, 4)
    x = to_input(images, 1, 4)
    assert x.dtype == torch.float32
    assert x[0].unique().tolist() == [-1]
    assert x[1].unique().tolist() == [1]


def test_colour_becomes_gray_by_luma_and_gray_becomes_colour() -> None:
    red = torch.zeros(1, 3, 4, 4, dtype=torch.uint8)
    red[:, 0] = 255
    assert to_input(red, 1, 4).mean().item() == pytest.approx(2 * 0.299 - 1, abs=1e-6)
    gray = torch.arange(16, dtype=torch.uint8).view(1, 1, 4, 4)
    assert torch.equal(to_input(gray, 3, 4)[:, 2:], to_input(gray, 1, 4))


def test_shrinking_averages_instead_of_skipping() -> None:
    stripes = torch.zeros(1, 1, 64, 64, dtype=torch.uint8)
    stripes[..., ::2] = 255
    inside = to_input(stripes, 1, 16)[..., 2:-2]
    assert inside.abs().max() < 0.05  # mid-gray: without antialiasing it would be -1 or 1


def test_resized_images_are_the_same_within_a_level() -> None:
    images = torch.randint(0, 256, (3, 3, 20, 20), dtype=torch.uint8)
    assert torch.equal(resized(images, 3, 20), images)
    back = resized(images, 1, 32)
    assert back.dtype == torch.uint8
    assert (to_input(back, 1, 32) - to_input(images, 1, 32)).abs().max() <= 0.5 / 127.5 + 1e-6
