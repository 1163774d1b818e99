"""Augmentation: its ranges, how often it is applied, and that gradients pass through it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor

from gantune.config.loss_families import LOSSES
from gantune.config.sections import AugmentConfig, InstanceNoiseConfig
from gantune.gan.augment import AdaptiveProbability, augment, instance_noise_std, shift
from gantune.gan.rng import BatchDraws

ALL = AugmentConfig(colour=True, translation=True, cutout=True)
ONE = {name: AugmentConfig(**{name: True}) for name in ("colour", "translation", "cutout")}
MANY = 2000


def rng(seed: int = 0) -> BatchDraws:
    return BatchDraws(torch.Generator().manual_seed(seed))


def random_images(*shape: int) -> Tensor:
    return rng(9).uniform(*shape) * 2 - 1


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
def test_each_transformation_is_applied_with_its_probability(
    probability: float, as_tensor: bool
) -> None:
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


def test_probability_one_as_a_number_or_a_tensor() -> None:
    images = random_images(64, 3, 8, 8)
    for chance in (1, 1.0, torch.tensor(1.0)):
        assert share_changed(images, augment(images, ALL, chance, rng())) == 1


def test_no_transformation_changes_nothing() -> None:
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
    brightness, contrast = (random.uniform(8, 1, 1, 1) - 0.5 for _ in range(2))
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


def test_both_axes_are_shifted_independently() -> None:
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


def test_each_image_is_augmented_independently() -> None:
    # Real and generated images are augmented in one batch: equal ones must come out different.
    images = random_images(1, 3, 16, 16).expand(64, 3, 16, 16)
    new = augment(images, ALL, 1.0, rng())
    assert len({tuple(image.flatten().tolist()) for image in new}) == 64
    offsets = augment(torch.zeros(MANY, 1, 4, 4), ONE["colour"], 1.0, rng())[:, 0, 0, 0]
    real, fake = offsets.view(2, -1)
    correlation = torch.corrcoef(torch.stack([real, fake]))[0, 1].item()
    assert correlation == pytest.approx(0, abs=4 / (MANY / 2) ** 0.5)


@pytest.mark.integration
@pytest.mark.parametrize("probability", [0.5, 1.0])
def test_differentiable_twice(probability: float) -> None:
    images = random_images(2, 3, 6, 6).double().requires_grad_()

    def curved(given: Tensor) -> Tensor:
        new = augment(given, ALL, probability, rng(3))
        return new.square().sum((1, 2, 3)) * new[:, :, 3, 3].sum(1)

    assert torch.autograd.gradcheck(curved, (images,))
    assert torch.autograd.gradgradcheck(curved, (images,))


def test_gradients_reach_the_generator() -> None:
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
    chance = torch.tensor(0.5, device="cuda")
    random = BatchDraws(torch.Generator("cuda").manual_seed(0))
    torch.cuda.set_sync_debug_mode("error")
    try:
        augment(images, ALL, chance, random)
    finally:
        torch.cuda.set_sync_debug_mode("default")


# ---- ADA: direction and speed of the probability, and broken logits ------------------------------


def adaptive(
    threshold: float | None = 0.0, target: float = 0.6, speed: float = 1.0
) -> AdaptiveProbability:
    config = AugmentConfig(cutout=True, probability="adaptive", target=target, speed=speed)
    return AdaptiveProbability(config, threshold, "cpu")


def update(probability: AdaptiveProbability, logits: Tensor) -> None:
    """A step of D with these logits [2, N]."""
    probability.observe(logits)
    probability.count(1)


def logits(real: float, fake: float = 0.0, number: int = 10) -> Tensor:
    return torch.tensor([[real], [fake]], dtype=torch.float32).repeat(1, number)


def after(steps: int, of: Tensor, probability: AdaptiveProbability | None = None) -> float:
    probability = probability or adaptive()
    for _ in range(steps):
        update(probability, of)
    return probability.value.item()


def test_starts_at_zero_as_a_scalar() -> None:
    value = adaptive().value
    assert value.shape == () and value.item() == 0


def test_from_zero_to_one_in_the_kimg_of_its_speed_and_back() -> None:
    probability = adaptive(speed=2.0)
    # 2 kimg are 200 steps of 10 images.
    assert after(196, logits(1), probability) == pytest.approx(0.98)
    assert after(4, logits(1), probability) == pytest.approx(1.0)
    assert after(40, logits(1), probability) == 1.0
    assert after(100, logits(-1), probability) == pytest.approx(0.5)
    assert after(200, logits(-1), probability) == 0.0


def test_moves_at_every_fourth_step() -> None:
    probability = adaptive()
    values = [after(1, logits(1), probability) for _ in range(9)]
    assert values == pytest.approx([0, 0, 0, 0.04, 0.04, 0.04, 0.04, 0.08, 0.08])


@pytest.mark.parametrize(("positive", "rises"), [(17, True), (15, False)])
def test_the_mean_sign_is_compared_with_the_target(positive: int, rises: bool) -> None:
    # Of 20 real images 16 positive and 4 negative have the mean sign 0.6.
    real = torch.tensor([1.0] * positive + [-5.0] * (20 - positive))
    probability = adaptive()
    after(8, logits(1, number=20), probability)
    before = probability.value.item()
    now = after(4, torch.stack([real, -torch.ones(20)]), probability)
    assert now == pytest.approx(before + (0.08 if rises else -0.08))


def test_at_the_target_nothing_moves() -> None:
    real = torch.tensor([1.0, 1.0, 1.0, -1.0])  # mean sign 0.5
    assert after(8, torch.stack([real, -real]), adaptive(target=0.5)) == 0


def test_the_mean_is_of_all_four_steps() -> None:
    probability = adaptive()
    for real in (
        1,
        1,
        1,
        -1,
    ):  # mean 0.5, below 0.6; the first or the last one is above or below it
        update(probability, logits(real))
    assert probability.value == 0
    for real in (-1, 1, 1, 1):
        update(probability, logits(real))
    assert probability.value == 0


@pytest.mark.parametrize("loss", LOSSES)
def test_the_sign_uses_the_threshold_of_the_loss(loss: str) -> None:
    threshold = LOSSES[loss].threshold
    middle = 3.0 if threshold is None else threshold
    assert after(4, logits(middle + 0.1, middle), adaptive(threshold)) > 0
    assert after(4, logits(middle - 0.1, middle), adaptive(threshold)) == 0


def test_only_real_images_count_where_there_is_a_threshold() -> None:
    assert after(4, logits(1, fake=5), adaptive(0.0)) > 0
    assert after(4, logits(1, fake=5), adaptive(None)) == 0


@given(st.lists(st.floats(allow_nan=True, allow_infinity=True, width=32), max_size=40))
def test_always_in_its_range(reals: list[float]) -> None:
    probability = adaptive(speed=0.05)
    for real in reals:
        update(probability, logits(real, number=3))
        assert 0 <= probability.value.item() <= 1


def test_ada_resumes_from_its_state() -> None:
    one, other = adaptive(), adaptive()
    after(6, logits(1), one)
    state = one.state_dict()
    assert after(2, logits(1), one) == pytest.approx(0.08)
    other.load_state_dict(state)
    assert other.value.item() == pytest.approx(0.04)
    assert after(1, logits(1), other) == pytest.approx(0.04)
    assert after(1, logits(1), other) == one.value.item()


def test_a_broken_step_counts_as_undecided() -> None:
    probability = adaptive(target=0.4)
    broken = logits(torch.nan)
    for outputs in (logits(1), broken, logits(1), broken):  # mean sign 0.5
        update(probability, outputs)
    assert probability.value.item() == pytest.approx(0.04)
    assert after(4, logits(1, fake=torch.nan), adaptive(None)) == 0


def test_carries_no_graph() -> None:
    probability = adaptive()
    after(4, logits(1).requires_grad_(), probability)
    assert not probability.value.requires_grad


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_ada_never_waits_for_the_device() -> None:
    config = AugmentConfig(cutout=True, probability="adaptive")
    probability, given = AdaptiveProbability(config, 0.0, "cuda"), logits(1).cuda()
    torch.cuda.set_sync_debug_mode("error")
    try:
        for _ in range(4):
            update(probability, given)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert probability.value > 0


# ---- Shifts against an image that is moved by hand ----------


SIDE = 5
steps = st.integers(-(SIDE - 1), SIDE - 1)


def moved(image: NDArray[np.float64], down: int, right: int, mode: str) -> NDArray[np.float64]:
    """Cut out of the image with a wide edge around it."""
    edge = SIDE - 1
    wide = np.pad(image, [(0, 0), (edge, edge), (edge, edge)], mode=mode)  # type: ignore[call-overload]
    top, left = edge - down, edge - right
    cut: NDArray[np.float64] = wide[:, top : top + SIDE, left : left + SIDE]
    return cut


@given(down=steps, right=steps, other=steps)
def test_each_image_is_shifted_by_its_own_number(down: int, right: int, other: int) -> None:
    images = np.random.default_rng(0).normal(size=(2, 3, SIDE, SIDE))
    for edge, mode in (("zero", "constant"), ("mirror", "reflect")):
        result = shift(
            torch.from_numpy(images),
            torch.tensor([down, other]),
            torch.tensor([right, 0]),
            edge,  # type: ignore[arg-type]
        )
        expected = [moved(images[0], down, right, mode), moved(images[1], other, 0, mode)]
        np.testing.assert_array_equal(result.numpy(), np.stack(expected))


@pytest.mark.parametrize("edge", ["zero", "mirror"])
def test_a_shift_is_differentiable_twice(edge: str) -> None:
    images = torch.rand(2, 1, 4, 4, dtype=torch.float64, requires_grad=True)
    by = torch.tensor([1, -2])

    def curved(given: torch.Tensor) -> torch.Tensor:
        return shift(given, by, -by, edge).pow(3)  # type: ignore[arg-type]

    assert torch.autograd.gradcheck(curved, (images,))
    assert torch.autograd.gradgradcheck(curved, (images,))
