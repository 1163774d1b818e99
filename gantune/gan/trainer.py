"""The core GAN trainer: an iterator that trains to the next tick and says what it saw."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch
from torch import Tensor

from gantune.config import TrialConfig
from gantune.data.device_images import DeviceImages
from gantune.data.image_set import ImageSet
from gantune.errors import CheckpointError, DataError
from gantune.gan.device_support import is_out_of_memory
from gantune.gan.networks import build_networks, image_shape
from gantune.gan.rng import InfiniteSampler, RngState
from gantune.gan.sampling import sample_images
from gantune.gan.statistics import TickStatistics
from gantune.gan.tick import Tick
from gantune.gan.training_step import RealBatch, TrainingStep

if TYPE_CHECKING:
    from gantune.gan.weights import Weights


class Trainer:
    """Trains one GAN. ``for tick in Trainer(config, images, device)`` is the whole training.

    Each step of the iteration trains to the next multiple of ``config.tick_kimg`` and yields a
    ``Tick``; the last one comes once ``config.kimg`` is reached. Between ticks nothing waits for
    the device, unless the images are too many to lie there (``DeviceImages``): then each batch of
    them does, once. The same config, images and device give the same weights: to the last bit on
    the CPU with the same number of threads.

    ``held_out``: real images of the same form that are never learned; each tick says what D makes
    of a batch of them, always the same one.

    Raises ``ConfigError`` where the config's data is not resolved and ``DataError`` where the
    images are not those that the config speaks of.
    """

    def __init__(
        self,
        config: TrialConfig,
        images: ImageSet,
        device: torch.device | str,
        held_out: ImageSet | None = None,
    ) -> None:
        _check_images(config, images)
        self.config, self.device = config, torch.device(device)
        self.seconds = 0.0

        # Dropout draws from torch's global state; latents, flips and penalties from an own source.
        self._global_random = RngState(config.seed, self.device)
        self._random = torch.Generator(self.device).manual_seed(config.seed)
        with self._global_random.active():
            networks = build_networks(config)

        # Channels last: as fast as the other order in fp32, and a third faster in bf16.
        for network in networks:
            network.to(device=self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._images = DeviceImages(images, self.device, flip=config.data.flip)
        self._labels = self._images.labels if config.network.conditional else None
        self._held_out = None if held_out is None else self._few(held_out)
        self._order = InfiniteSampler(len(images), config.seed, self.device)
        self._game = TrainingStep(config, networks, self.device, self._random)
        self._drawn = 0
        self.on_batch: Callable[[], None] | None = None
        """Called for every batch: a sign of life, however long a tick takes."""
        self._set_label_shares()

    @property
    def images_seen(self) -> int:
        """Real images shown to the discriminator so far."""
        return self._game.images_seen

    @property
    def kimg(self) -> float:
        """Thousands of real images shown to the discriminator so far."""
        return self.images_seen / 1000

    @property
    def step(self) -> int:
        """Generator steps so far."""
        return self._game.step

    @property
    def generator(self) -> torch.nn.Module:
        """The generator that is trained."""
        return self._game.g.network

    @property
    def discriminator(self) -> torch.nn.Module:
        """The discriminator."""
        return self._game.d.network

    @property
    def generator_ema(self) -> torch.nn.Module:
        """The generator with averaged weights, in eval mode: what samples are of."""
        return self._game.ema.generator

    def __iter__(self) -> Iterator[Tick]:
        interval = max(1, round(self.config.tick_kimg * 1000))
        end = max(1, round(self.config.kimg * 1000))
        while self.images_seen < end:
            next_tick = (self.images_seen // interval + 1) * interval
            yield self._train_to(min(next_tick, end))

    def _train_to(self, images: int) -> Tick:
        """Trains until at least so many real images were shown."""
        started, seen_before = time.perf_counter(), self.images_seen
        signals = TickStatistics(self.device)
        with self._global_random.active():
            while self.images_seen < images:
                self._game.turn(self._draw, signals)
            self._game.look(self._held_out, signals)
        means = signals.means()
        seconds = time.perf_counter() - started
        self.seconds += seconds
        return Tick(
            kimg=self.kimg,
            step=self.step,
            images_per_second=(self.images_seen - seen_before) / seconds,
            seconds=self.seconds,
            augment_probability=float(self._game.augment_probability),
            **means,
        )

    def _draw(self, number: int) -> RealBatch:
        if self.on_batch is not None:
            self.on_batch()
        indices = self._order.take(self._drawn, number)
        self._drawn += number
        labels = None if self._labels is None else self._labels[indices]
        return RealBatch(self._images.batch(indices, self._random), labels)

    def _few(self, images: ImageSet) -> RealBatch | None:
        """A batch's worth of images, evenly spaced; ``None`` where they are fewer than two."""
        count = min(self.config.batch_size, len(images))
        if count < 2:
            return None
        places = np.linspace(0, len(images) - 1, count).astype(np.int64)
        labels = None if images.labels is None else images.labels[places]
        few = DeviceImages(replace(images, array=images.array[places], labels=labels), self.device)
        indices = torch.arange(count, device=self.device)
        shown = few.labels if self.config.network.conditional else None
        return RealBatch(few.batch(indices, self._random), shown)

    def _set_label_shares(self) -> None:
        """Tells a conditional generator, and its average, how often this data has each class."""
        shares = self._images.label_shares
        if self.config.network.conditional and shares is not None:
            for generator in (self.generator, self.generator_ema):
                cast(Tensor, generator.label_shares).copy_(shares)

    # ---- Samples --------------------------------------------------------------------------

    def sample(self, number: int, generator: torch.Generator | None = None) -> Tensor:
        """Images of the averaged generator, uint8 [number, C, H, W]; float32 [number, 2] of points.

        ``generator``, on the trainer's device, draws the latents, and the classes where there are
        any; ``None``: the same ones at each call, so that grids of one run can be compared.
        Training goes on as if it was never called. Raises ``ScoreError`` where the generator's
        values are not finite.
        """
        if generator is None:
            generator = torch.Generator(self.device).manual_seed(self.config.seed)
        return sample_images(self.generator_ema, number, generator)

    # ---- State ----------------------------------------------------------------------------

    def start_from(self, weights: Weights) -> None:
        """Takes another run's weights, of both players and of the average, as this one's first.

        Raises ``CheckpointError`` where the networks are not of the same kind; the trainer is then
        as it was.
        """
        former = copy.deepcopy(self.state_dict())
        try:
            self.generator.load_state_dict(weights.generator)
            self.discriminator.load_state_dict(weights.discriminator)
            self.generator_ema.load_state_dict(weights.generator_ema)
        except RuntimeError as error:
            if is_out_of_memory(error):
                raise
            self._take(former)
            raise CheckpointError(
                f"its weights are of {_described(weights.config)}; this training's are of "
                f"{_described(self.config)}: start from a trial of the same networks"
            ) from error
        self._set_label_shares()
        # What was averaged over so many images is not given up for the first new ones.
        self._game.images_before = round(1000 * weights.kimg)

    def state_dict(self) -> dict[str, Any]:
        """All that the next step depends on, beside config and images."""
        return {
            "device": self.device.type,
            "seconds": self.seconds,
            "game": self._game.state_dict(),
            "random": self._random.get_state(),
            "global_random": self._global_random.states,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Goes on where ``state_dict()`` was taken, bit for bit; a longer ``kimg`` is no hindrance,
        but a schedule and instance noise then run over the new length.

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
            if is_out_of_memory(error):
                raise
            self._take(former)
            raise CheckpointError(
                f"the checkpoint does not fit {_described(self.config)} with these settings: "
                f"{error}; use the config that it was saved with"
            ) from error

    def _take(self, state: Mapping[str, Any]) -> None:
        self._game.load_state_dict(state["game"])
        self._random.set_state(state["random"].cpu())
        self._global_random.states = [part.cpu() for part in state["global_random"]]
        self.seconds = float(state["seconds"])
        self._drawn = self.images_seen


def _described(config: TrialConfig) -> str:
    """A config's networks in words."""
    network, data = config.network, config.data
    size = "" if data.is_points else f" for {data.resolution} pixels, {data.colour}"
    classes = f", {data.classes} classes" if network.conditional else ""
    norms = f"norms {config.generator.norm} and {config.discriminator.norm}"
    return (
        f"network {network.name!r}{size}, width {network.width}, latent {network.latent}, "
        f"{norms}{classes}"
    )


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
    if shape.classes and images.class_count != shape.classes:
        raise DataError(
            f"{images.source}: labels of {images.class_count} classes, but the config says "
            f"{shape.classes}; leave data.classes at auto, or set network.conditional false"
        )
