"""One training step: each setting of a config against a plain loop."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.functional import softplus
from torch.utils._python_dispatch import TorchDispatchMode

from gantune.config import TrialConfig
from gantune.gan.checkpoint import load_weights, save_weights
from gantune.gan.losses import LOSSES
from gantune.gan.networks import build_networks
from gantune.gan.rng import InfiniteSampler
from gantune.gan.statistics import TickStatistics
from gantune.gan.trainer import Trainer
from tests.gan.builders import assert_same_state, config_of, images_for

CPU = torch.device("cpu")
LABELLED: dict[str, Any] = {
    "data": {"resolution": 16, "colour": "gray", "classes": 3},
    "network": {"name": "dcgan", "width": 4, "latent": 8, "conditional": True},
}


def trained(config: TrialConfig) -> Trainer:
    trainer = Trainer(config, images_for(config), "cpu")
    list(trainer)
    return trainer


def real_batch(config: TrialConfig, step: int) -> Tensor:
    images = images_for(config)
    order = InfiniteSampler(len(images), config.seed, CPU)
    indices = order.take(config.batch_size * step, config.batch_size)
    return torch.from_numpy(images.array)[indices] / 127.5 - 1


def assert_same_players(trainer: Trainer, g: torch.nn.Module, d: torch.nn.Module) -> None:
    for ours, theirs in ((trainer.generator, g), (trainer.discriminator, d)):
        torch.testing.assert_close(ours.state_dict(), theirs.state_dict(), rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("loss", ["vanilla", "relativistic"])
def test_accumulation_gives_the_same_step(loss: str) -> None:
    """Without batch norm, whose statistics are those of a part."""
    settings: dict[str, Any] = {
        "loss": loss,
        "kimg": 0.016,
        "generator": {"norm": "none", "optimizer": "sgd"},
        "discriminator": {"optimizer": "sgd"},
        "penalties": {"r1": {"interval": 1}, "orthogonal": {"player": "both"}},
    }
    whole, parts = (trained(config_of(**settings, accumulation=n)) for n in (1, 4))
    torch.testing.assert_close(whole.generator.state_dict(), parts.generator.state_dict())
    torch.testing.assert_close(whole.discriminator.state_dict(), parts.discriminator.state_dict())


def test_the_relativistic_generator_uses_the_updated_discriminator() -> None:
    # Not by Adam: the gradient of D's last bias is only rounding error, which Adam amplifies.
    rates = {"generator": 0.1, "discriminator": 0.5}
    players = {p: {"optimizer": "sgd", "beta1": 0.0, "lr": lr} for p, lr in rates.items()}
    config = config_of(loss="relativistic", kimg=0.016, **players)
    torch.manual_seed(config.seed)
    g, d = build_networks(config)
    g_sgd, d_sgd = torch.optim.SGD(g.parameters(), 0.1), torch.optim.SGD(d.parameters(), 0.5)
    random = torch.Generator().manual_seed(config.seed)
    for step in range(2):
        real = real_batch(config, step)
        fake = g(torch.randn(8, 8, generator=random))
        d.zero_grad()
        softplus(d(fake.detach()) - d(real)).mean().backward()
        d_sgd.step()
        g.zero_grad()
        softplus(d(real) - d(fake)).mean().backward()
        g_sgd.step()
    assert_same_players(trained(config), g, d)


def test_instance_noise_fades_out() -> None:
    noisy = {"instance_noise": {"std": 0.5, "span": 0.5}}
    config = config_of(kimg=0.12, tick_kimg=0.06, **noisy)
    trainer = Trainer(config, images_for(config), "cpu")
    clean = config_of(kimg=0.12, tick_kimg=0.06)
    other = Trainer(clean, images_for(clean), "cpu")
    ticks, theirs = iter(trainer), iter(other)
    assert next(ticks).d_loss != next(theirs).d_loss
    # Noise is over by now: both continue alike from the same state.
    other.load_state_dict(trainer.state_dict())
    assert next(ticks).d_loss == next(theirs).d_loss


def test_label_smoothing_reaches_the_loss() -> None:
    smooth, sharp = (trained(config_of(kimg=0.008, label_smoothing=s)) for s in (0.4, 0.0))
    with pytest.raises(AssertionError):
        torch.testing.assert_close(
            smooth.discriminator.state_dict(), sharp.discriminator.state_dict()
        )


def test_augmentation_changes_only_what_the_discriminator_sees() -> None:
    plain, augmented = (
        Trainer(config, images_for(config), "cpu")
        for config in (config_of(kimg=0.008), config_of(kimg=0.008, augment={"colour": True}))
    )
    (a,), (b,) = plain, augmented
    assert a.d_loss != b.d_loss and b.augment_probability == 1 and a.augment_probability == 0
    assert a.spread == b.spread  # of the images as they were made


def test_adaptive_augmentation_rises_when_the_discriminator_overfits() -> None:
    config = config_of(
        kimg=0.4,
        tick_kimg=0.4,
        augment={"translation": True, "probability": "adaptive", "target": 0.01, "speed": 0.5},
        discriminator={"lr": 1e-2},
        generator={"lr": 1e-9},
    )
    (tick,) = Trainer(config, images_for(config), "cpu")
    assert 0.2 < tick.augment_probability <= 1


@pytest.mark.parametrize("parts", [2, 4])
def test_anchors_and_ada_are_updated_once_a_step(parts: int) -> None:
    settings: dict[str, Any] = {
        "kimg": 0.064,
        "generator": {"norm": "none", "optimizer": "sgd"},
        "discriminator": {"optimizer": "sgd", "lr": 1.0},
        "penalties": {"lecam": {"decay": 0.5}},
        "augment": {"cutout": True, "probability": "adaptive", "target": 0.01, "speed": 0.1},
    }
    whole, split = (trained(config_of(**settings, accumulation=n)) for n in (1, parts))
    ours, theirs = whole.state_dict()["game"], split.state_dict()["game"]
    assert ours["augment"]["steps"] == theirs["augment"]["steps"] == 0
    # One step of 8 images by hand: the anchors are plain means over all parts.
    one, other = (
        trained(config_of(**{**settings, "kimg": 0.008}, accumulation=n)) for n in (1, parts)
    )
    torch.testing.assert_close(
        one.state_dict()["game"]["regularizer"], other.state_dict()["game"]["regularizer"]
    )


def test_lecam_is_zero_at_the_first_step() -> None:
    (tick,) = Trainer(c := config_of(kimg=0.008, penalties={"lecam": {}}), images_for(c), "cpu")
    assert tick.penalties["lecam"] == 0 and tick.non_finite == 0


@pytest.mark.integration
def test_start_from_keeps_the_ema(tmp_path: Path) -> None:
    config = config_of("mlp", kimg=4.0, tick_kimg=4.0)
    donor = trained(config)
    save_weights(tmp_path / "best.pt", donor.weights)
    trainer = Trainer(config_of("mlp", kimg=0.008, seed=3), images_for(config), "cpu")
    trainer.start_from(load_weights(tmp_path / "best.pt"))
    list(trainer)
    name = "layers.0.weight"
    raw, average = (g.state_dict()[name] for g in (donor.generator, donor.generator_ema))
    after = trainer.generator_ema.state_dict()[name]
    assert (after - average).norm() < 0.1 * (raw - average).norm()


def test_the_anchors_of_lecam_follow_the_discriminator() -> None:
    trainer = trained(config_of(penalties={"lecam": {"weight": 0.3, "decay": 0.5}}, kimg=0.12))
    anchors = trainer.state_dict()["game"]["regularizer"]["anchors"]
    assert anchors.isfinite().all() and anchors.abs().sum() > 0


def test_the_auto_weight_is_the_rule_of_stylegan2() -> None:
    def r1(weight: float | str) -> float:
        penalties = {"r1": {"weight": weight, "interval": 1}}
        (tick,) = Trainer(c := config_of(kimg=0.008, penalties=penalties), images_for(c), "cpu")
        return tick.penalties["r1"]

    assert r1("auto") == pytest.approx(r1(0.0002 * 16**2 / 8))


def test_the_schedule_reaches_rates_and_penalties() -> None:
    schedule = {"name": "linear", "lr_end": 0.0, "penalty_end": 0.0, "span": 0.5}
    config = config_of(
        kimg=0.08,
        tick_kimg=0.04,
        schedule=schedule,
        penalties={"r1": {"weight": 10.0, "interval": 1}},
    )
    trainer = Trainer(config, images_for(config), "cpu")
    ticks = iter(trainer)
    assert next(ticks).penalties["r1"] > 0
    before = {name: w.clone() for name, w in trainer.discriminator.state_dict().items()}
    assert next(ticks).penalties["r1"] == 0
    torch.testing.assert_close(trainer.discriminator.state_dict(), before, rtol=0, atol=0)


def test_orthogonal_regularisation_of_each_player() -> None:
    def tick(player: str) -> dict[str, float]:
        penalties = {"orthogonal": {"player": player}}
        (found,) = Trainer(c := config_of(kimg=0.008, penalties=penalties), images_for(c), "cpu")
        return dict(found.penalties)

    assert set(tick("generator")) == {"generator_orthogonal"}
    assert set(tick("discriminator")) == {"orthogonal"}
    assert set(tick("both")) == {"generator_orthogonal", "orthogonal"}


class Needless(TorchDispatchMode):
    """Notes tensors that are filled with a constant, and arithmetic that changes nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name, _, _ = func.__name__.partition(".")
        neutral = {"add": (0,), "mul": (0, 1), "div": (1,)}.get(name, ())
        is_neutral = len(args) > 1 and isinstance(args[1], int | float) and args[1] in neutral
        kind = name.removeprefix("new_").removesuffix("_like")
        if is_neutral or kind in ("zeros", "ones", "full"):
            self.found.append(name)
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("optimizer", ["adam", "rmsprop", "sgd"])
def test_a_step_computes_nothing_that_it_does_not_need(optimizer: str) -> None:
    player = {"optimizer": optimizer}
    config = config_of(kimg=0.04, generator=player, discriminator=player)
    trainer = Trainer(config, images_for(config), "cpu")
    statistics = TickStatistics(trainer.device)
    with Needless() as needless:
        trainer._training.train_step(trainer._batches(), statistics)
        needless.found.clear()  # of the first step: sums and moments begin at zero
        trainer._training.train_step(trainer._batches(), statistics)
    assert needless.found == []


@pytest.mark.parametrize("network", ["dcgan", "mlp"])
def test_fp16_has_a_scaler_for_each_player(network: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """By float16 on the CPU, which computes it although no one would train so."""
    monkeypatch.setattr(
        "gantune.gan.training_step.compute_dtype", lambda config, device: torch.float16
    )
    settings: dict[str, Any] = {"kimg": 0.04, "tick_kimg": 0.04, "penalties": {"r1": {}}}
    config = config_of(network, **settings)
    trainer = Trainer(config, images_for(config), "cpu")
    (rough,) = trainer
    state = trainer.state_dict()["game"]
    assert state["generator"]["scaler"]["_growth_tracker"] == 5
    assert state["discriminator"]["scaler"]["_growth_tracker"] == 5
    monkeypatch.undo()
    (exact,) = Trainer(config, images_for(config), "cpu")
    assert rough.non_finite == 0
    assert rough.d_loss == pytest.approx(exact.d_loss, rel=0.01) and rough.d_loss != exact.d_loss
    assert rough.d_grad == pytest.approx(exact.d_grad, rel=0.05)


# ---- Classes ------------------------------------------------------------------------------------


def test_generated_images_have_the_classes_of_the_real_ones() -> None:
    config = config_of(kimg=0.016, **LABELLED)
    images = images_for(config)
    assert images.labels is not None
    labels, shape = torch.from_numpy(images.labels), len(images)
    torch.manual_seed(config.seed)
    g, d = build_networks(config)
    g.label_shares.copy_(torch.bincount(labels, minlength=3) / shape)
    g_adam, d_adam = (torch.optim.Adam(n.parameters(), 2e-4, (0.5, 0.999)) for n in (g, d))
    random, order = (
        torch.Generator().manual_seed(config.seed),
        InfiniteSampler(shape, config.seed, CPU),
    )
    loss = LOSSES["vanilla"]
    for step in range(2):
        real, classes = real_batch(config, step), labels[order.take(8 * step, 8)]
        fake = g(torch.randn(8, 8, generator=random), classes)
        d.zero_grad()
        loss.discriminator(d(real, classes), d(fake.detach(), classes)).backward()
        d_adam.step()
        g.zero_grad()
        logits = d(fake, classes)
        loss.generator(logits, logits).backward()
        g_adam.step()
    assert_same_players(trained(config), g, d)


def test_samples_have_the_classes_of_the_data() -> None:
    config = config_of(kimg=0.016, **LABELLED)
    trainer = trained(config)
    images = images_for(config)
    assert images.labels is not None
    shares = trainer.generator_ema.state_dict()["label_shares"]
    counts = torch.bincount(torch.from_numpy(images.labels), minlength=3)
    torch.testing.assert_close(shares, counts / len(images))
    assert trainer.sample(5).shape == (5, 1, 16, 16)


def test_start_from_keeps_the_label_shares_of_its_own_data(tmp_path: Path) -> None:
    config = config_of(kimg=0.016, **LABELLED)
    donor, trainer = trained(config), Trainer(config, images_for(config), "cpu")
    for generator in (donor.generator, donor.generator_ema):
        generator.label_shares.copy_(torch.tensor([1.0, 0.0, 0.0]))
    shares = trainer.generator_ema.label_shares.clone()
    save_weights(tmp_path / "best.pt", donor.weights)
    trainer.start_from(load_weights(tmp_path / "best.pt"))
    for ours, theirs in (
        (trainer.generator, donor.generator),
        (trainer.discriminator, donor.discriminator),
        (trainer.generator_ema, donor.generator_ema),
    ):
        for name, weight in theirs.state_dict().items():
            if name == "label_shares":
                assert torch.equal(ours.state_dict()[name], shares)
            else:
                assert torch.equal(ours.state_dict()[name], weight)


@pytest.mark.parametrize("penalty", ["gradient_penalty", "dragan", "r1", "r2", "r1_r2", "lecam"])
def test_every_penalty_is_conditional(penalty: str) -> None:
    config = config_of(kimg=0.016, penalties={penalty: {}}, **LABELLED)
    (tick,) = Trainer(config, images_for(config), "cpu")
    assert math.isfinite(tick.penalties[penalty]) and tick.non_finite == 0


# ---- Everything at once -------------------------------------------------------------------------

EVERYTHING: dict[str, Any] = {
    **LABELLED,
    "loss": "hinge",
    "augment": {"colour": True, "translation": True, "cutout": True, "probability": "adaptive"},
    "instance_noise": {"std": 0.1},
    "penalties": {"lecam": {}, "consistency": {}, "dragan": {"interval": 2}, "orthogonal": {}},
    "schedule": {"name": "cosine", "warmup": 0.02, "beta2_end": 0.9, "ema_half_life_end": 1.0},
    "generator": {"optimizer": "rmsprop", "clip_norm": 1.0},
    "discriminator": {"optimizer": "adamw", "norm": "spectral", "weight_decay": 0.01},
    "accumulation": 2,
}


def test_a_run_with_everything_resumes_bit_for_bit() -> None:
    config = config_of(kimg=0.12, tick_kimg=0.04, **EVERYTHING)
    whole, first = trained(config), Trainer(config, images_for(config), "cpu")
    next(iter(first))
    second = Trainer(config, images_for(config), "cpu")
    second.load_state_dict(first.state_dict())
    list(second)
    assert_same_state(whole.state_dict(), second.state_dict())
