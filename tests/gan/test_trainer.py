"""The trainer: ticks, determinism, resuming, and that it learns."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Any, cast

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from gantune.config import TrialConfig
from gantune.data.image_set import ImageSet
from gantune.errors import CheckpointError, ConfigError, DataError
from gantune.gan.losses import LOSSES
from gantune.gan.networks import build_networks
from gantune.gan.rng import InfiniteSampler
from gantune.gan.tick import Tick
from gantune.gan.trainer import Trainer
from tests.examples import in_integration
from tests.gan import test_training_step
from tests.gan.builders import assert_same_state, config_of, images_for

# All that has a state of its own: dropout, flips, penalties, several steps, spectral norm.
EVERYTHING: dict[str, Any] = {
    "data": {"resolution": 28, "colour": "gray", "flip": True},
    "discriminator": {"steps": 2, "norm": "spectral"},
    "penalties": {"gradient_penalty": {"interval": 3}, "r1": {"interval": 2}},
}


def trainer_of(config: TrialConfig) -> Trainer:
    return Trainer(config, images_for(config), "cpu")


def timeless(tick: Tick) -> Tick:
    return dataclasses.replace(tick, seconds=0, images_per_second=0)


def test_a_tick_at_every_interval_and_at_the_end() -> None:
    config = config_of("mlp", kimg=0.1, tick_kimg=0.03, discriminator={"steps": 2})
    trainer = trainer_of(config)
    ticks = list(trainer)
    # 16 images a step of G: the first multiple at or after 30, 60, 90 and 100.
    assert [tick.kimg for tick in ticks] == [0.032, 0.064, 0.096, 0.112]
    assert [tick.step for tick in ticks] == [2, 4, 6, 7]
    assert trainer.kimg == 0.112 and trainer.step == 7
    assert list(trainer) == []
    assert ticks[0].seconds < ticks[-1].seconds
    assert all(tick.images_per_second > 0 for tick in ticks)


def test_a_batch_longer_than_a_tick() -> None:
    ticks = list(trainer_of(config_of("mlp", kimg=0.02, tick_kimg=0.001)))
    assert [tick.kimg for tick in ticks] == [0.008, 0.016, 0.024]


@pytest.mark.parametrize("network", ["mlp", "dcgan28"])
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("norm", ["none", "batch", "spectral"])
def test_all_numbers_are_finite(network: str, loss: str, norm: str) -> None:
    config = config_of(
        network,
        loss=loss,
        kimg=0.016,
        discriminator={"norm": norm},
        penalties={"gradient_penalty": {}, "r1": {"interval": 1}},
    )
    (tick,) = trainer_of(config)
    assert all(math.isfinite(value) for value in tick.signals().values())
    assert set(tick.penalties) == {"gradient_penalty", "r1"}
    assert all(math.isfinite(value) for value in tick.penalties.values())
    assert tick.non_finite == 0 and tick.d_grad > 0 and tick.g_grad > 0 and tick.spread > 0
    assert tick.d_update > 0 and tick.g_update > 0
    assert (tick.d_sigma is not None) == (norm == "spectral")


def test_singular_values_are_those_that_spectral_norm_divides_by() -> None:
    """Orthogonal rows of length 3 are divided by 3; a small step changes that little."""
    trainer = trainer_of(
        config_of("mlp", kimg=0.016, discriminator={"norm": "spectral", "lr": 1e-9})
    )
    layers = [m for m in trainer.discriminator.modules() if hasattr(m, "parametrizations")]
    for layer in layers:
        weight = cast(Any, layer).parametrizations.weight.original
        torch.nn.init.orthogonal_(weight, gain=3.0)
    (tick,) = trainer
    assert tick.d_sigma == pytest.approx(3.0, rel=0.05)
    assert tick.g_sigma is None


def test_the_update_is_relative_to_the_weights() -> None:
    config = config_of("mlp", kimg=0.008, discriminator={"optimizer": "sgd", "lr": 1e-3})
    trainer = trainer_of(config)
    before = [weight.detach().clone() for weight in trainer.discriminator.parameters()]
    (tick,) = trainer  # of a single step
    moved = [
        new.detach() - old
        for new, old in zip(trainer.discriminator.parameters(), before, strict=True)
    ]
    norms = [torch.cat([part.flatten() for part in each]).norm() for each in (moved, before)]
    assert tick.d_update == pytest.approx(float(norms[0] / norms[1]), rel=1e-4)
    assert tick.d_update == pytest.approx(1e-3 * tick.d_grad / float(norms[1]), rel=1e-3)


def test_measuring_held_out_images_changes_nothing() -> None:
    config = config_of(kimg=0.064, discriminator={"norm": "batch"})
    images = images_for(config)
    with_them, without = (Trainer(config, images, "cpu", held_out) for held_out in (images, None))
    ticks = [list(trainer)[-1] for trainer in (with_them, without)]
    assert ticks[0].d_held_out is not None and math.isfinite(ticks[0].d_held_out)
    assert ticks[0].d_held_out_std > 0
    assert -1 <= ticks[0].d_held_out_sign <= 1
    assert ticks[1].d_held_out is None and "d_held_out" not in ticks[1].signals()
    weights = [trainer.discriminator.state_dict() for trainer in (with_them, without)]
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])
    assert with_them.discriminator.training


@pytest.mark.parametrize("norm", ["none", "batch", "spectral"])
def test_bf16_stays_close_to_fp32(norm: str) -> None:
    settings: dict[str, Any] = {"kimg": 0.016, "penalties": {"gradient_penalty": {}}}
    settings["discriminator"] = {"norm": norm}
    (exact,) = trainer_of(config_of(**settings))
    (rough,) = trainer_of(config_of(**settings, precision="bf16"))
    assert rough.d_loss == pytest.approx(exact.d_loss, rel=0.05)
    assert rough.d_loss != exact.d_loss
    assert rough.spread == pytest.approx(exact.spread, rel=0.05)


def test_colour_images_train() -> None:
    config = config_of(kimg=0.016, data={"resolution": 16, "colour": "rgb"})
    trainer = trainer_of(config)
    list(trainer)
    assert trainer.sample(3).shape == (3, 3, 16, 16)


@pytest.mark.parametrize("penalties", [{}, {"r1_r2": {"weight": 1.0}}])
def test_images_come_to_the_discriminator_in_the_order_of_its_weights(
    penalties: dict[str, Any],
) -> None:
    config = config_of(data={"resolution": 16, "colour": "rgb"}, kimg=0.016, penalties=penalties)
    trainer = Trainer(config, images_for(config), "cpu")
    orders: list[bool] = []
    trainer.discriminator.register_forward_pre_hook(
        lambda network, inputs: orders.append(
            inputs[0].is_contiguous(memory_format=torch.channels_last)
        )
    )
    list(trainer)
    assert orders and all(orders)


def test_the_same_seed_gives_the_same_run_to_the_last_bit() -> None:
    config = config_of("dcgan28", **EVERYTHING)
    one, other = trainer_of(config), trainer_of(config)
    for first, second in zip(one, other, strict=True):  # in turns: neither disturbs the other
        torch.rand(3)
        assert timeless(first) == timeless(second)
    assert_same_state(one.state_dict(), other.state_dict())
    different = trainer_of(config.model_copy(update={"seed": 1}))
    assert timeless(next(iter(different))) != timeless(next(iter(trainer_of(config))))


def test_it_does_not_change_the_callers_random_state() -> None:
    torch.manual_seed(9)
    before = torch.get_rng_state()
    trainer = trainer_of(config_of("dcgan28", kimg=0.016))
    list(trainer)
    trainer.sample(2)
    assert torch.equal(torch.get_rng_state(), before)


def test_resuming_is_exact_and_kimg_may_grow() -> None:
    config = config_of("dcgan28", **EVERYTHING)
    whole, first = trainer_of(config), trainer_of(config.model_copy(update={"kimg": 0.08}))
    ticks = [timeless(tick) for tick in whole]
    list(first)
    second = trainer_of(config)
    second.load_state_dict(first.state_dict())
    assert second.kimg == first.kimg and second.seconds == first.seconds
    assert [timeless(tick) for tick in second] == ticks[-1:]
    assert_same_state(whole.state_dict(), second.state_dict())


def test_learning_rates_are_the_configs_own() -> None:
    first = trainer_of(config_of("mlp", kimg=0.04))
    list(first)
    frozen = trainer_of(config_of("mlp", generator={"lr": 1e-12}))
    frozen.load_state_dict(first.state_dict())
    list(frozen)
    torch.testing.assert_close(
        frozen.state_dict()["game"]["generator"]["network"],
        first.state_dict()["game"]["generator"]["network"],
    )


@pytest.mark.parametrize(
    "settings",
    [
        {"network": {"name": "dcgan", "width": 8, "latent": 8}},
        {"data": {"resolution": 32, "colour": "gray"}},
        {"discriminator": {"norm": "spectral"}},
    ],
)
def test_a_state_of_other_networks_is_refused(settings: dict[str, Any]) -> None:
    other = trainer_of(config_of(**settings))
    with pytest.raises(CheckpointError, match="width 4"):
        trainer_of(config_of()).load_state_dict(other.state_dict())
    with pytest.raises(CheckpointError):
        other.load_state_dict({"device": "cpu", "step": 3})


@pytest.mark.parametrize("foreign", ["generator", "discriminator", "generator_ema", "random"])
def test_a_refused_state_changes_nothing(foreign: str) -> None:
    trainer, undisturbed = trainer_of(config_of()), trainer_of(config_of())
    if foreign != "random":  # one case before the first step
        assert timeless(next(iter(trainer))) == timeless(next(iter(undisturbed)))
    donor, other = trainer_of(config_of(seed=1)), trainer_of(config_of(network={"width": 8}))
    list(donor)
    misfit = donor.state_dict()
    if foreign == "random":
        misfit["random"] = misfit["random"][:3]
    else:
        misfit["game"][foreign] = other.state_dict()["game"][foreign]
    with pytest.raises(CheckpointError):
        trainer.load_state_dict(misfit)
    assert_same_state(trainer.state_dict(), undisturbed.state_dict())
    assert timeless(next(iter(trainer))) == timeless(next(iter(undisturbed)))


def test_a_state_of_another_device_is_refused() -> None:
    trainer = trainer_of(config_of("mlp"))
    with pytest.raises(CheckpointError, match="written on 'cuda'"):
        trainer.load_state_dict({**trainer.state_dict(), "device": "cuda"})


def test_samples_come_from_the_ema_and_change_nothing() -> None:
    config = config_of()
    undisturbed, sampled = trainer_of(config), trainer_of(config)
    for _ in zip(undisturbed, sampled, strict=True):
        first = sampled.sample(5)
        assert torch.equal(first, sampled.sample(5))  # without a generator: the same latents
        given = [torch.Generator().manual_seed(2) for _ in range(2)]
        assert torch.equal(sampled.sample(9, given[0]), sampled.sample(9, given[1]))
        assert not torch.equal(first, sampled.sample(5, given[0]))
    assert first.shape == (5, 1, 16, 16) and first.dtype == torch.uint8
    assert_same_state(undisturbed.state_dict(), sampled.state_dict())
    assert not sampled.generator_ema.training


def test_it_equals_the_plain_algorithm() -> None:
    """The same weights as a loop without any of the trainer's shortcuts, in doubled steps of D."""
    config = config_of(kimg=0.048, tick_kimg=0.048, discriminator={"steps": 2, "lr": 1e-3})
    trainer, images = trainer_of(config), images_for(config)
    ticks = list(trainer)

    torch.manual_seed(config.seed)
    g, d = build_networks(config)
    players = ((g, config.generator), (d, config.discriminator))
    g_adam, d_adam = (torch.optim.Adam(n.parameters(), s.lr, (0.5, 0.999)) for n, s in players)
    loss, order = (
        LOSSES[config.loss],
        InfiniteSampler(len(images), config.seed, torch.device("cpu")),
    )
    random, d_losses = torch.Generator().manual_seed(config.seed), []
    for step in range(6):
        indices = order.take(8 * step, 8)
        real = torch.from_numpy(images.array)[indices] / 127.5 - 1
        fake = g(torch.randn(8, config.network.latent, generator=random))
        d.zero_grad()
        d_loss = loss.discriminator(d(real), d(fake.detach()))
        d_loss.backward()
        d_adam.step()
        d_losses.append(d_loss.item())
        if step % 2:
            g.zero_grad()
            loss.generator(d(fake), d(real)).backward()
            g_adam.step()

    assert ticks[-1].step == 3
    assert ticks[0].d_loss == pytest.approx(np.mean(d_losses), rel=1e-4)
    for name, network in (("generator", g), ("discriminator", d)):
        found = trainer.state_dict()["game"][name]["network"]
        torch.testing.assert_close(found, network.state_dict(), rtol=1e-3, atol=1e-5)


class _Waits(TorchDispatchMode):
    """Lists the reads that would make the host wait for the device, if the tensors were on one."""

    READS = (
        *(torch.ops.aten._local_scalar_dense, torch.ops.aten.equal, torch.ops.aten.is_nonzero),
        *(torch.ops.aten.nonzero, torch.ops.aten.masked_select, torch.ops.aten._unique2),
    )
    INDEXED = (torch.ops.aten.index, torch.ops.aten.index_put, torch.ops.aten.index_put_)
    # On the CPU these read without an operator that a dispatch mode could see.
    METHODS = ("tolist", "numpy", "cpu", "__array__")

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        super().__init__()
        self.found: list[str] = []
        for name in self.METHODS:
            self._watch(monkeypatch, name, lambda *args, **kwargs: True)
        self._watch(monkeypatch, "to", _waits_for_the_host)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        packet = func.overloadpacket
        by_mask = packet in self.INDEXED and any(
            part is not None and part.dtype in (torch.bool, torch.uint8) for part in args[1]
        )
        if packet in self.READS or by_mask:
            self.found.append(str(func))
        return func(*args, **(kwargs or {}))

    def _watch(
        self, monkeypatch: pytest.MonkeyPatch, name: str, is_read: Callable[..., bool]
    ) -> None:
        method = getattr(torch.Tensor, name)

        def watched(tensor: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
            if is_read(*args, **kwargs):
                self.found.append(name)
            return method(tensor, *args, **kwargs)

        monkeypatch.setattr(torch.Tensor, name, watched)


def _waits_for_the_host(*args: Any, non_blocking: bool = False, **kwargs: Any) -> bool:
    places = [p for p in (*args, *kwargs.values()) if isinstance(p, str | torch.device)]
    return not non_blocking and any(torch.device(place).type == "cpu" for place in places)


READS: dict[str, Callable[[torch.Tensor], object]] = {
    "item": lambda t: t[0].item(),
    "float": lambda t: float(t[0]),
    "bool": lambda t: bool(t.any()),
    "tolist": lambda t: t.tolist(),
    "cpu": lambda t: t.cpu(),
    "numpy": lambda t: t.numpy(),
    "asarray": lambda t: np.asarray(t),
    "to": lambda t: t.to("cpu", non_blocking=False),
    "to device": lambda t: t.to(device=torch.device("cpu")),
    "nonzero": lambda t: t.nonzero(),
    "mask": lambda t: t[t > 0],
    "unique": lambda t: t.unique(),
}


@pytest.mark.parametrize("read", READS.values(), ids=READS)
def test_every_kind_of_wait_is_seen(
    read: Callable[[torch.Tensor], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    tensor = torch.arange(3.0)
    with _Waits(monkeypatch) as waits:
        read(tensor)
    assert waits.found


def test_no_step_waits_for_the_device(monkeypatch: pytest.MonkeyPatch) -> None:
    trainer = trainer_of(config_of("dcgan28", kimg=0.08, tick_kimg=0.04, **EVERYTHING))
    with _Waits(monkeypatch) as waits:
        ticks = list(trainer)
    assert waits.found == ["tolist"] * len(ticks)  # where each tick's numbers are read


@pytest.mark.parametrize("optimizer", ["adam", *in_integration("adamw", "rmsprop", "sgd")])
def test_no_setting_makes_a_step_wait(optimizer: str, monkeypatch: pytest.MonkeyPatch) -> None:
    player = {"optimizer": optimizer, "clip_norm": 1.0}
    settings = {**test_training_step.EVERYTHING, "generator": player, "discriminator": player}
    trainer = trainer_of(config_of("dcgan", kimg=0.08, tick_kimg=0.04, **settings))
    with _Waits(monkeypatch) as waits:
        ticks = list(trainer)
    # torch's own SGD asks for its flag on the device where it lies already.
    found = [wait for wait in waits.found if not (optimizer == "sgd" and wait == "to")]
    reads = ["tolist", "aten._local_scalar_dense.default"]  # a tick's numbers; its probability
    assert found == reads * len(ticks)


def test_a_poisoned_player_is_counted_and_stops_learning() -> None:
    trainer = trainer_of(config_of(kimg=0.16))
    ticks = iter(trainer)
    next(ticks)
    state = trainer.state_dict()
    state["game"]["discriminator"]["network"]["layers.0.weight"][0, 0, 0, 0] = math.nan
    trainer.load_state_dict(state)
    before = {name: w.clone() for name, w in state["game"]["generator"]["network"].items()}
    tick = next(ticks)
    assert tick.non_finite == 1
    assert math.isnan(tick.d_loss) and math.isnan(tick.g_loss)
    after = trainer.state_dict()["game"]["generator"]["network"]
    assert all(torch.equal(after[n], w) for n, w in before.items() if "running" not in n and w.ndim)


def test_non_finite_statistics_are_reset() -> None:
    trainer = trainer_of(config_of(kimg=0.16))
    ticks, poisoned = iter(trainer), 0
    next(ticks)
    for name, statistics in trainer.state_dict()["game"]["generator"]["network"].items():
        if "running" in name:  # as a forward pass that overflowed leaves them
            statistics[0] = math.nan
            poisoned += 1
    next(ticks)
    assert poisoned
    assert trainer.sample(4).float().std() > 0


def test_weights_are_clipped_after_each_step() -> None:
    trainer = trainer_of(config_of(penalties={"weight_clip": {"limit": 0.003}}, loss="wgan"))
    list(trainer)
    weights = trainer.state_dict()["game"]["discriminator"]["network"].values()
    assert max(weight.abs().max().item() for weight in weights) == pytest.approx(0.003)


def test_a_lazy_penalty_is_multiplied_by_its_interval() -> None:
    def penalty(interval: int) -> float:
        r1 = {"weight": 10.0, "interval": interval}
        (tick,) = trainer_of(config_of(kimg=0.008, penalties={"r1": r1}))
        return tick.penalties["r1"]

    assert penalty(8) == pytest.approx(8 * penalty(1))


@pytest.mark.parametrize("colour", ["gray", "rgb"])
def test_other_images_than_the_configs_are_refused(colour: str) -> None:
    config = config_of()
    wrong = config_of(data={"resolution": 16 if colour == "rgb" else 32, "colour": colour})
    with pytest.raises(DataError, match="the config says 1 channels of 16 pixels"):
        Trainer(config, images_for(wrong), "cpu")


def test_points_and_images_are_not_confused() -> None:
    with pytest.raises(DataError, match="ring"):
        Trainer(config_of(), images_for(config_of("mlp")), "cpu")


def test_a_batch_above_the_data_is_refused() -> None:
    config = config_of("mlp", batch_size=31)
    with pytest.raises(DataError, match="batch_size 31 is above the 30 images"):
        Trainer(config, images_for(config, 30), "cpu")


def test_unresolved_data_is_refused() -> None:
    with pytest.raises(ConfigError, match="resolve_data"):
        Trainer(config_of(data={}), images_for(config_of()), "cpu")


@pytest.mark.integration
def test_it_learns_points() -> None:
    config = config_of(
        "mlp",
        kimg=120.0,
        tick_kimg=10.0,
        batch_size=128,
        network={"name": "mlp", "width": 64, "latent": 4},
        generator={"lr": 1e-3},
        discriminator={"lr": 1e-3},
        ema={"half_life": 1.0},
    )
    trainer = Trainer(config, images_for(config, 1000), "cpu")
    assert trainer.sample(500).norm(dim=1).mean() < 0.3
    ticks = list(trainer)
    x, y = trainer.sample(1000).numpy().T
    on_ring = np.abs(np.hypot(x, y) - 0.7) < 0.1
    modes = np.round(np.arctan2(y, x) / (np.pi / 4)).astype(int) % 8
    assert on_ring.mean() > 0.8
    assert np.bincount(modes[on_ring], minlength=8).min() > 1000 / 8 / 4
    assert ticks[-1].spread == pytest.approx(1, abs=0.1)


@pytest.mark.parametrize("loss", LOSSES)
def test_a_discriminator_learns_to_recognise_white_images(loss: str) -> None:
    config = config_of(
        loss=loss, tick_kimg=0.06, discriminator={"lr": 2e-3}, generator={"lr": 1e-9}
    )
    white = ImageSet(np.full((30, 1, 16, 16), 255, np.uint8), "white", "white")
    first, last = Trainer(config, white, "cpu")
    assert last.d_loss < first.d_loss
    assert last.d_real > last.d_fake
