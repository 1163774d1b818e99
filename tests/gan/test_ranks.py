"""Several ranks beside one process, in double precision: the same training, up to rounding."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from gantune.config import RESOLUTIONS, TrialConfig
from gantune.config.sections import GeneratorConfig
from gantune.data import ImageSet, load_images, resolved
from gantune.errors import DeviceError
from gantune.gan.player import Player
from gantune.gan.ranks import ALONE, RankBatchNorm, Ranks, check_ranks
from gantune.gan.rng import BatchDraws
from gantune.gan.trainer import Trainer
from gantune.space import load_space
from tests.gan.builders import config_of, images_for
from tests.gan.in_ranks import in_ranks

TOLERANCE = 1e-10
PENALISED: dict[str, Any] = {
    "data": {"resolution": 16, "colour": "gray", "classes": 3, "flip": True},
    "network": {"name": "dcgan", "width": 4, "latent": 8, "conditional": True},
    "augment": {"colour": True, "translation": True, "cutout": True, "probability": "adaptive"},
    "instance_noise": {"std": 0.1},
    "accumulation": 2,
    "penalties": {"r1": {"interval": 4}, "dragan": {}, "lecam": {}, "consistency": {}},
    "discriminator": {"norm": "spectral", "clip_norm": 1.0},
}
DROPPED: dict[str, Any] = {"loss": "relativistic", "discriminator": {"norm": "batch", "steps": 2}}


@pytest.fixture
def double() -> Iterator[None]:
    """Networks, images and random numbers in double precision."""
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def trained(config: TrialConfig, images: ImageSet, ranks: Ranks, state: Any = None) -> Any:
    """The state after a training, with numbers instead of times, and its ticks."""
    trainer = Trainer(config, images, "cpu", images, ranks)
    if state is not None:
        trainer.load_state_dict(state)
    ticks = [vars(tick) for tick in trainer]
    times = {"seconds": 0.0, "images_per_second": 0.0}
    return trainer.state_dict() | {"seconds": 0.0}, [tick | times for tick in ticks]


def assert_same_training(config: TrialConfig, images: ImageSet, folder: Path) -> None:
    one = trained(config, images, ALONE)
    first, second = in_ranks(2, lambda ranks: trained(config, images, ranks), folder)
    assert one[0]["game"]["step"] >= 50
    assert_close(first, second, 0)
    assert_close(first, one, TOLERANCE)


def assert_close(result: Any, other: Any, tolerance: float) -> None:
    """Of states and ticks, but for the name of the device."""
    ours, theirs = ([{**one[0], "device": 0}, *one[1:]] for one in (result, other))
    torch.testing.assert_close(ours, theirs, rtol=0, atol=tolerance, equal_nan=True)


@pytest.mark.integration
@pytest.mark.usefixtures("double")
def test_two_ranks_train_a_shipped_recipe_as_one_process(tmp_path: Path) -> None:
    space = load_space("dcgan", ["network.width=4"])
    config = space.configs_of(space.start_points()[0])
    assert isinstance(config, TrialConfig) and config.discriminator.norm == "batch"
    images = load_images(config.data, RESOLUTIONS[config.network.name])
    steps = {"kimg": 50 * config.batch_size / 1000, "precision": "fp32"}
    config = resolved(config, images).model_copy(update=steps)
    assert_same_training(config, images, tmp_path)


@pytest.mark.integration
@pytest.mark.usefixtures("double")
@pytest.mark.parametrize(("network", "settings"), [("dcgan", PENALISED), ("dcgan28", DROPPED)])
def test_two_ranks_see_what_one_process_sees(
    network: str, settings: dict[str, Any], tmp_path: Path
) -> None:
    """Penalties, noise, augmentation, dropout, batch norm of parts, classes, running means."""
    config = config_of(network, kimg=0.8, tick_kimg=0.2, **settings)
    assert_same_training(config, images_for(config), tmp_path)


@pytest.mark.integration
@pytest.mark.usefixtures("double")
def test_a_run_of_two_ranks_goes_on_with_one(tmp_path: Path) -> None:
    config = config_of(kimg=0.08, tick_kimg=0.04, **PENALISED)
    images = images_for(config)

    def begin(ranks: Ranks) -> dict[str, Any]:
        trainer = Trainer(config, images, "cpu", images, ranks)
        next(iter(trainer))
        return trainer.state_dict()

    whole, (_, last) = trained(config, images, ALONE)
    resumed = trained(config, images, ALONE, in_ranks(2, begin, tmp_path)[0])
    assert_close(resumed, (whole, [last]), TOLERANCE)


def test_a_gradient_that_is_not_finite_on_one_rank_skips_the_step_of_all(tmp_path: Path) -> None:
    def step(ranks: Ranks) -> tuple[Tensor, Tensor]:
        torch.manual_seed(0)
        player = Player(nn.Linear(3, 1), GeneratorConfig(), scaled=False, ranks=ranks)
        factor = float("inf") if ranks.rank == 1 else 1.0
        player.backward(player.network(torch.ones(2, 3)).sum() * factor)
        before = player.parameters[0].detach().clone()
        skipped = player.step(1.0, 0.999).skipped
        return skipped, player.parameters[0].detach() - before

    for skipped, change in in_ranks(2, step, tmp_path):
        assert skipped == 1 and change.abs().max() == 0


@pytest.mark.usefixtures("double")
@pytest.mark.parametrize("affine", [True, False])
def test_batch_norm_of_all_images_is_differentiable_twice(affine: bool, tmp_path: Path) -> None:
    def normalise(ranks: Ranks) -> tuple[list[Tensor], dict[str, Tensor]]:
        torch.manual_seed(0)
        whole, weights = torch.randn(6, 3, 2, 2) + 5, torch.randn(6, 3, 2, 2)
        plain = nn.BatchNorm2d(3, affine=affine)
        norm = RankBatchNorm(plain, ranks) if ranks.count > 1 else plain
        images = whole[ranks.part(6)].clone().requires_grad_()
        weighted = norm(images).square() * weights[ranks.part(6)]
        (slope,) = torch.autograd.grad(weighted.sum(), images, create_graph=True)
        slope.square().sum().backward()
        norm.eval()
        return [slope.detach(), images.grad, norm(images).detach()], norm.state_dict()

    wanted, state = normalise(ALONE)
    (first, state_0), (second, state_1) = in_ranks(2, normalise, tmp_path)
    joined = [torch.cat(parts) for parts in zip(first, second, strict=True)]
    torch.testing.assert_close(joined, wanted, rtol=0, atol=1e-12)
    torch.testing.assert_close(state_0, state_1, rtol=0, atol=0)
    torch.testing.assert_close(state_0, state, rtol=0, atol=1e-14)


@pytest.mark.usefixtures("double")
def test_what_ranks_exchange(tmp_path: Path) -> None:
    values = torch.randn(2, 6)

    def exchange(ranks: Ranks) -> Any:
        mine = values[:, ranks.part(6)]
        averaged = [torch.tensor(float(ranks.rank)), mine.clone()]
        ranks.average(averaged)
        told = ranks.share("from the first" if ranks.rank == 0 else None)
        return ranks.gather(mine), ranks.std(mine), averaged, told

    for gathered, std, averaged, told in in_ranks(2, exchange, tmp_path):
        assert torch.equal(gathered, values)
        torch.testing.assert_close(std, values.std())
        torch.testing.assert_close(averaged[1], (values[:, :3] + values[:, 3:]) / 2)
        assert averaged[0] == 0.5 and told == "from the first"


@pytest.mark.parametrize("rank", [0, 1])
def test_each_rank_draws_its_rows_of_every_batch(rank: int) -> None:
    def draws(ranks: Ranks, share: int) -> BatchDraws:
        return BatchDraws(torch.Generator().manual_seed(0), ranks, share)

    two, one = draws(Ranks(rank, 2), 3), draws(ALONE, 6)
    rows = [0, 1, 2, 6, 7, 8] if rank == 0 else [3, 4, 5, 9, 10, 11]  # of two batches of six
    assert torch.equal(two.uniform(6, 2), one.uniform(12, 2)[rows])
    assert torch.equal(two.normal(3, 4), one.normal(6, 4)[rows[:3]])
    assert torch.equal(two.integers(0, 9, 2, 6, dim=1), one.integers(0, 9, 2, 12, dim=1)[:, rows])


def test_what_ranks_cannot_share_is_refused() -> None:
    check_ranks(config_of(), 2, "--device cuda:0,1")
    with pytest.raises(DeviceError, match=r"^--device cuda:0,1,2: 3 .*batch_size 8 equally"):
        check_ranks(config_of(), 3, "--device cuda:0,1,2")
    with pytest.raises(DeviceError, match=r"4 parts each, cannot share .* a multiple of 16"):
        check_ranks(config_of(accumulation=4), 4, "--device cuda:0,1,2,3")
    mixed = config_of(penalties={"r1": {}}, discriminator={"norm": "batch"})
    with pytest.raises(DeviceError, match=r"discriminator.norm batch .* penalties.r1 "):
        check_ranks(mixed, 2, "--device cuda:0,1")
