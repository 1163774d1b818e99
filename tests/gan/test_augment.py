"""Augmentation: its ranges, how often it is applied, and that gradients pass through it."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from gantune.config import AugmentConfig, InstanceNoiseConfig
from gantune.gan.augment import augment, instance_noise_std

ALL = AugmentConfig(colour=True, translation=True, cutout=True)
ONE = {name: AugmentConfig(**{name: True}) for name in ("colour", "translation", "cutout")}
MANY = 2000


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def random_images(*shape: int) -> Tensor:
    return torch.rand(shape, generator=rng(9)) * 2 - 1


def share_changed(before: Tensor, after: Tensor) -> float:
    return (before != after).flatten(1).any(1).double().mean().item()


# ---- How often --------------------------------------------------------------------------------


@pytest.mark.parametrize("probability", [0, 0.0, torch.tensor(0.0)])
@pytest.mark.parametrize("config", [ALL, *ONE.values()])
def test_probability_zero_gives_the_images_back(
    config: AugmentConfig, probability: float | Tensor
) -> None:
    images = random_images(16, 3, 8, 8)
    assert torch.equal(augment(images, config, probability, rng()), images)


@pytest.mark.parametrize("as_tensor", [False, True])
@pytest.mark.parametrize("probability", [0.25, 1.0])
def test_each_transformation_is_applied_so_often(probability: float, as_tensor: bool) -> None:
    images = random_images(MANY, 3, 16, 16)
    chance = torch.tensor(probability) if as_tensor else probability
    # Two of five shifts are by 0 along one axis: 1/25 of all leave an image as it is.
    visible = {"translation": 24 / 25, "cutout": 1.0}
    for name, share in visible.items():
        changed = share_changed(images, augment(images, ONE[name], chance, rng()))
        assert changed == pytest.approx(probability * share, abs=4 * 0.5 / MANY**0.5)
    # Brightness, saturation and contrast, each for itself.
    changed = share_changed(images, augment(images, ONE["colour"], chance, rng()))
    assert changed == pytest.approx(1 - (1 - probability) ** 3, abs=4 * 0.5 / MANY**0.5)


def test_probability_one_is_the_same_as_a_number_or_a_tensor_in_what_it_does() -> None:
    images = random_images(64, 3, 8, 8)
    for chance in (1, 1.0, torch.tensor(1.0)):
        assert share_changed(images, augment(images, ALL, chance, rng())) == 1


def test_nothing_turned_on_changes_nothing() -> None:
    images = random_images(4, 3, 8, 8)
    assert augment(images, AugmentConfig(), 1.0, rng()) is images


# ---- Colour -----------------------------------------------------------------------------------


def test_brightness_moves_all_pixels_by_up_to_a_half() -> None:
    # A gray image of one value has no saturation and no contrast to change.
    images = torch.full((MANY, 3, 4, 4), 0.25)
    by = augment(images, ONE["colour"], 1.0, rng()) - images
    assert torch.allclose(by, by[:, :1, :1, :1].expand_as(by), atol=1e-6)
    each = by[:, 0, 0, 0]
    assert -0.5 <= each.min() < -0.49 and 0.49 < each.max() <= 0.5
    assert each.mean().item() == pytest.approx(0, abs=4 * 0.29 / MANY**0.5)


def test_contrast_scales_what_differs_from_the_mean_of_an_image() -> None:
    images = random_images(MANY, 1, 4, 4)
    new = augment(images, ONE["colour"], 1.0, rng())
    before, after = (x - x.mean(dim=(1, 2, 3), keepdim=True) for x in (images, new))
    factor = (after / before).flatten(1).median(1).values
    torch.testing.assert_close(after, before * factor.view(-1, 1, 1, 1), atol=1e-5, rtol=1e-4)
    assert 0.5 <= factor.min() < 0.51 and 1.49 < factor.max() <= 1.5


def test_saturation_scales_what_differs_from_the_gray_of_a_pixel() -> None:
    images = random_images(MANY, 3, 4, 4)
    new = augment(images, ONE["colour"], 1.0, rng())
    grays = [x.mean(dim=1, keepdim=True) for x in (images, new)]
    of_colour = ((new - grays[1]) / (images - grays[0])).flatten(1).median(1).values
    spread = [gray - gray.mean(dim=(1, 2, 3), keepdim=True) for gray in grays]
    contrast = (spread[1] / spread[0]).flatten(1).median(1).values
    factor = of_colour / contrast
    assert -1e-3 <= factor.min() < 0.01 and 1.99 < factor.max() <= 2.001
    assert factor.mean().item() == pytest.approx(1, abs=4 * 0.58 / MANY**0.5)


def test_gray_images_keep_their_saturation() -> None:
    # The draws of brightness and contrast are then the first two.
    images, random = random_images(8, 1, 4, 4), rng()
    brightness, contrast = (torch.rand(8, 1, 1, 1, generator=random) - 0.5 for _ in range(2))
    bright = images + brightness
    mean = bright.mean(dim=(1, 2, 3), keepdim=True)
    expected = mean + (1 + contrast) * (bright - mean)
    torch.testing.assert_close(augment(images, ONE["colour"], 1.0, rng()), expected)


# ---- Place ------------------------------------------------------------------------------------


@pytest.mark.parametrize("side", [8, 16, 28])
def test_translation_by_up_to_an_eighth_with_gray_at_the_edge(side: int) -> None:
    images = torch.ones(MANY, 1, side, side)
    rows = augment(images, ONE["translation"], 1.0, rng())[:, 0].amax(2)  # 1 where a row is left
    lost_above = rows.argmax(1)
    lost_below = rows.flip(1).argmax(1)
    assert ((lost_above == 0) | (lost_below == 0)).all()
    shifts = lost_above - lost_below
    most = {8: 1, 16: 2, 28: 4}[side]  # an eighth, rounded
    assert set(shifts.tolist()) == set(range(-most, most + 1))
    assert set(rows.unique().tolist()) <= {0.0, 1.0}


def test_both_axes_are_moved_each_for_itself() -> None:
    index = torch.arange(16.0).expand(MANY, 1, 16, 16)
    moved = augment(index + 100 * index.transpose(2, 3), ONE["translation"], 1.0, rng())
    middle = moved[:, 0, 8, 8]
    pairs = {(int(value) // 100 - 8, int(value) % 100 - 8) for value in middle.tolist()}
    assert pairs == {(a, b) for a in range(-2, 3) for b in range(-2, 3)}


def test_cutout_makes_a_square_of_half_the_side_gray() -> None:
    images = torch.ones(MANY, 2, 16, 16)
    holes = augment(images, ONE["cutout"], 1.0, rng()) == 0
    assert torch.equal(holes[:, 0], holes[:, 1])
    height, width = holes[:, 0].any(2).sum(1), holes[:, 0].any(1).sum(1)
    assert torch.equal(holes[:, 0].sum((1, 2)), height * width)
    # Its centre lies from edge to edge, so half of it may hang over.
    assert set(height.tolist()) == set(width.tolist()) == set(range(4, 9))
    assert holes[:, 0].any(0).all()


# ---- Randomness and gradients -----------------------------------------------------------------


def test_the_same_generator_state_gives_the_same_images() -> None:
    images = random_images(32, 3, 16, 16)
    one, same, other = (augment(images, ALL, 0.5, rng(seed)) for seed in (1, 1, 2))
    assert torch.equal(one, same) and not torch.equal(one, other)


def test_no_other_random_numbers_are_drawn() -> None:
    before = torch.random.get_rng_state()
    augment(random_images(4, 3, 8, 8), ALL, 0.5, rng())
    assert torch.equal(torch.random.get_rng_state(), before)


def test_images_are_changed_each_in_its_own_way() -> None:
    # Real and generated images are augmented in one batch: equal ones must come out different.
    images = random_images(1, 3, 16, 16).expand(64, 3, 16, 16)
    new = augment(images, ALL, 1.0, rng())
    assert len({tuple(image.flatten().tolist()) for image in new}) == 64
    offsets = augment(torch.zeros(MANY, 1, 4, 4), ONE["colour"], 1.0, rng())[:, 0, 0, 0]
    real, fake = offsets.view(2, -1)
    correlation = torch.corrcoef(torch.stack([real, fake]))[0, 1].item()
    assert correlation == pytest.approx(0, abs=4 / (MANY / 2) ** 0.5)


@pytest.mark.parametrize("probability", [0.5, 1.0])
def test_differentiable_twice(probability: float) -> None:
    images = random_images(2, 3, 8, 8).double().requires_grad_()

    def curved(given: Tensor) -> Tensor:
        new = augment(given, ALL, probability, rng(3))
        return new.square().sum((1, 2, 3)) * new[:, :, 4, 4].sum(1)

    assert torch.autograd.gradcheck(curved, (images,))
    assert torch.autograd.gradgradcheck(curved, (images,))


def test_a_generator_learns_through_it() -> None:
    images = random_images(64, 3, 16, 16).requires_grad_()
    config = AugmentConfig(translation=True, cutout=True)
    new = augment(images, config, 1.0, rng())
    new.sum().backward()
    # All pixels but those that were cut out or moved over the edge.
    assert images.grad is not None and set(images.grad.unique().tolist()) == {0.0, 1.0}
    assert torch.equal(images.grad.sum((1, 2, 3)), (new != 0).float().sum((1, 2, 3)))


# ---- Instance noise ---------------------------------------------------------------------------


def test_instance_noise_falls_to_zero_at_its_span() -> None:
    config = InstanceNoiseConfig(std=0.2, span=0.5)
    at = [instance_noise_std(config, progress) for progress in (0.0, 0.25, 0.5, 0.75, 1.0)]
    assert at == pytest.approx([0.2, 0.1, 0, 0, 0])


@given(std=st.floats(0, 10), span=st.floats(0.01, 1), progress=st.floats(0, 1.5))
def test_instance_noise_stays_in_its_range(std: float, span: float, progress: float) -> None:
    config = InstanceNoiseConfig(std=std, span=span)
    assert 0 <= instance_noise_std(config, progress) <= std
    assert instance_noise_std(config, span) == 0


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_nothing_waits_for_the_device() -> None:
    images = random_images(8, 3, 16, 16).cuda()
    chance, random = torch.tensor(0.5, device="cuda"), torch.Generator("cuda").manual_seed(0)
    torch.cuda.set_sync_debug_mode("error")
    try:
        augment(images, ALL, chance, random)
    finally:
        torch.cuda.set_sync_debug_mode("default")
