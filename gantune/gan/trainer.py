"""The core GAN trainer: an iterator that trains to the next tick and says what it saw."""

from __future__ import annotations

import copy
import time
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from gantune.config import TrialConfig
from gantune.data.device import DeviceImages
from gantune.data.image_set import ImageSet
from gantune.errors import CheckpointError, DataError
from gantune.gan.ema import Ema
from gantune.gan.losses import LOSSES
from gantune.gan.networks import build_networks, image_shape
from gantune.gan.order import ImageOrder
from gantune.gan.penalties import PENALTIES, weight_clip
from gantune.gan.player import Player
from gantune.gan.precision import compute_dtype
from gantune.gan.random_state import RandomState
from gantune.gan.sampling import sample_images
from gantune.gan.signals import Signals
from gantune.gan.tick import Tick

__all__ = ["Trainer"]


class Trainer:
    """Trains one GAN. ``for tick in Trainer(config, images, device)`` is the whole training.

    Each step of the iteration trains to the next multiple of ``config.tick_kimg`` and yields a
    ``Tick``; the last one comes once ``config.kimg`` is reached. Between ticks nothing waits for
    the device, unless the images are too many to lie there (``DeviceImages``): then each batch of
    them does, once. The same config, images and device give the same weights: to the last bit on
    the CPU with the same number of threads.

    Raises ``ConfigError`` where the config's data is not resolved and ``DataError`` where the
    images are not those that the config speaks of.
    """

    def __init__(self, config: TrialConfig, images: ImageSet, device: torch.device | str) -> None:
        _check_images(config, images)
        self.config, self.device = config, torch.device(device)
        self.images_seen, self.step, self.seconds = 0, 0, 0.0

        # Dropout draws from torch's global state; latents, flips and penalties from an own source.
        self._global_random = RandomState(config.seed, self.device)
        self._random = torch.Generator(self.device).manual_seed(config.seed)
        with self._global_random.active():
            networks = build_networks(config)

        # Channels last: as fast as the other order in fp32, and a third faster in bf16.
        for network in networks:
            network.to(device=self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._g = Player(networks.generator, config.generator)
        self._d = Player(networks.discriminator, config.discriminator)
        self._ema = Ema(networks.generator, config.ema)
        self._loss = LOSSES[config.loss]
        self._penalties = {
            name: settings for name, settings in config.penalties if settings and name in PENALTIES
        }
        self._dtype = compute_dtype(config, self.device)
        self._images = DeviceImages(images, self.device, flip=config.data.flip)
        self._order = ImageOrder(len(images), config.seed, self.device)

    @property
    def kimg(self) -> float:
        """Thousands of real images shown to the discriminator so far."""
        return self.images_seen / 1000

    @property
    def generator_ema(self) -> torch.nn.Module:
        """The generator with averaged weights, in eval mode: what samples are of."""
        return self._ema.generator

    def __iter__(self) -> Iterator[Tick]:
        interval = max(1, round(self.config.tick_kimg * 1000))
        end = max(1, round(self.config.kimg * 1000))
        while self.images_seen < end:
            next_tick = (self.images_seen // interval + 1) * interval
            yield self._train_to(min(next_tick, end))

    def _train_to(self, images: int) -> Tick:
        """Trains until at least so many real images were shown."""
        started, seen_before = time.perf_counter(), self.images_seen
        signals = Signals(self.device)
        with self._global_random.active():
            while self.images_seen < images:
                self._train_once(signals)
        means = signals.means()
        seconds = time.perf_counter() - started
        self.seconds += seconds
        return Tick(
            kimg=self.kimg,
            step=self.step,
            images_per_second=(self.images_seen - seen_before) / seconds,
            seconds=self.seconds,
            **means,
        )

    def _train_once(self, signals: Signals) -> None:
        """One step of G after ``discriminator.steps`` of D."""
        batch, steps = self.config.batch_size, self.config.discriminator.steps
        clip = self.config.penalties.weight_clip

        # ---- Discriminator ----------------------------------------------------------------
        for k in range(steps):
            indices = self._order.take(self.images_seen, batch)
            real = self._images.batch(indices, self._random)  # [N, C, H, W] or [N, 2]
            # The last step's images carry their graph on to the generator's own step.
            with torch.set_grad_enabled(k == steps - 1):
                fake = self._generate(batch)
            images = torch.stack([real, fake.detach()])  # [2, N, ...]
            logits = self._judge_both(images)  # [2, N]
            adversarial = self._loss.discriminator(logits[0], logits[1])
            penalty = self._penalise(images, self.step * steps + k, signals)
            update = self._d.step(adversarial if penalty is None else adversarial + penalty)
            if clip is not None:
                weight_clip(self._d.parameters, clip)
            signals.add_discriminator(adversarial, logits, images, update)
            self.images_seen += batch

        # ---- Generator --------------------------------------------------------------------
        loss = self._loss.generator(self._judge(fake), logits[0].detach())
        signals.add_generator(loss, self._g.step(loss))

        # ---- Average ----------------------------------------------------------------------
        self.step += 1
        self._ema.update(self.images_seen, batch * steps)

    def _generate(self, number: int) -> Tensor:
        z = torch.randn(
            number, self.config.network.latent, generator=self._random, device=self.device
        )
        with self._autocast():
            images: Tensor = self._g.network(z)
        return images.float()

    def _judge(self, images: Tensor) -> Tensor:
        with self._autocast():
            logits: Tensor = self._d.network(images)
        return logits.float()

    def _judge_both(self, images: Tensor) -> Tensor:
        """D's logits [2, N] on real and generated images [2, N, ...]."""
        if self.config.discriminator.norm == "batch":
            # Statistics of a mixed batch would tell D which images are real.
            return torch.stack([self._judge(images[0]), self._judge(images[1])])
        return self._judge(images.flatten(0, 1)).view(2, -1)

    def _penalise(self, images: Tensor, d_step: int, signals: Signals) -> Tensor | None:
        """The sum of the penalties that are due at this step of D, in fp32."""
        total = None
        for name, settings in self._penalties.items():
            if d_step % settings.interval == 0:
                penalise = PENALTIES[name]
                penalty = penalise(self._d.network, images[0], images[1], settings, self._random)
                penalty = penalty * settings.interval  # lazy: as much in all (Karras et al. 2020)
                signals.add_penalty(name, penalty)
                total = penalty if total is None else total + penalty
        return total

    def _autocast(self) -> torch.autocast:
        return torch.autocast(self.device.type, self._dtype, self._dtype != torch.float32)

    # ---- Samples --------------------------------------------------------------------------

    def sample(self, number: int, generator: torch.Generator | None = None) -> Tensor:
        """Images of the averaged generator, uint8 [number, C, H, W]; float32 [number, 2] of points.

        ``generator``, on the trainer's device, draws the latents; ``None``: the same ones at each
        call, so that grids of one run can be compared. Training goes on as if it was never called.
        Raises ``ScoreError`` where the generator's values are not finite.
        """
        if generator is None:
            generator = torch.Generator(self.device).manual_seed(self.config.seed)
        return sample_images(self._ema.generator, number, generator)

    # ---- State ----------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """All that the next step depends on, beside config and images."""
        return {
            "device": self.device.type,
            "images_seen": self.images_seen,
            "step": self.step,
            "seconds": self.seconds,
            "generator": self._g.state_dict(),
            "discriminator": self._d.state_dict(),
            "generator_ema": self._ema.generator.state_dict(),
            "random": self._random.get_state(),
            "global_random": self._global_random.states,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Goes on where ``state_dict()`` was taken, bit for bit; a longer ``kimg`` is no hindrance.

        Learning rates and all other settings are this trainer's own. Raises ``CheckpointError``
        where the state is of other networks or of another kind of device; the trainer is then as
        it was.
        """
        if state.get("device") != self.device.type:
            raise CheckpointError(
                f"the checkpoint was written on {state.get('device')!r}, whose random numbers "
                f"{self.device.type!r} cannot go on with; resume on the same kind of device"
            )
        former = copy.deepcopy(self.state_dict())
        try:
            self._take(state)
        except (KeyError, TypeError, ValueError, RuntimeError, AttributeError) as error:
            self._take(former)
            raise CheckpointError(
                f"the checkpoint does not fit network {self.config.network.name!r} of width "
                f"{self.config.network.width} with these settings: {error}; "
                "use the config that it was saved with"
            ) from error

    def _take(self, state: Mapping[str, Any]) -> None:
        self._g.load_state_dict(state["generator"])
        self._d.load_state_dict(state["discriminator"])
        self._ema.generator.load_state_dict(state["generator_ema"])
        self._random.set_state(state["random"].cpu())
        self._global_random.states = [part.cpu() for part in state["global_random"]]
        self.images_seen, self.step = int(state["images_seen"]), int(state["step"])
        self.seconds = float(state["seconds"])


def _check_images(config: TrialConfig, images: ImageSet) -> None:
    """Raises ``DataError`` where the images are not those of the config."""
    shape = image_shape(config)
    given = images.array.shape[1:]
    if given != ((2,) if config.data.is_points else (shape.channels, *[shape.resolution] * 2)):
        raise DataError(
            f"{images.source}: images of shape {tuple(given)}, but the config says "
            f"{shape.channels} channels of {shape.resolution} pixels; load them with its own data "
            "settings (gantune.data.load_images(config.data))"
        )
    if config.batch_size > len(images):
        raise DataError(
            f"batch_size {config.batch_size} is above the {len(images)} images of "
            f"{images.source}; take at most {len(images)}"
        )
