"""``TrainingStep``: one step of GAN training, and everything that it changes."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from gantune.config import TrialConfig
from gantune.config.loss_families import loss_facts
from gantune.gan.augment import AdaptiveProbability, augment, instance_noise_std
from gantune.gan.device_support import compiled
from gantune.gan.losses import make_loss
from gantune.gan.networks import Networks
from gantune.gan.networks.norms import largest_singular_value
from gantune.gan.penalties import PenaltyInputs
from gantune.gan.penalties.regularizer import Regularizer
from gantune.gan.penalties.weights import weight_clip
from gantune.gan.player import Player
from gantune.gan.precision import compute_dtype
from gantune.gan.schedule import ScheduledValues, scheduled_values
from gantune.gan.statistics import TickStatistics
from gantune.gan.weights import Ema, ema_weight


@dataclass(frozen=True)
class RealBatch:
    """Real images [N, C, H, W] in [-1, 1], or points [N, 2], and their labels int64 [N]."""

    images: Tensor
    labels: Tensor | None


DrawBatch = Callable[[int], RealBatch]
"""Draws the next so many real images."""


class TrainingStep:
    """Both players, the EMA of the generator, and what else a training step reads and changes."""

    def __init__(
        self,
        config: TrialConfig,
        networks: Networks,
        device: torch.device,
        random: torch.Generator,
    ) -> None:
        self.config, self._device, self._random = config, device, random
        self._dtype = compute_dtype(config, device)
        is_scaled = self._dtype == torch.float16
        parts = config.accumulation
        self.g = Player(networks.generator, config.generator, parts, scaled=is_scaled)
        self.d = Player(networks.discriminator, config.discriminator, parts, scaled=is_scaled)
        self._run_g = compiled(networks.generator, device, wanted=config.compile)
        self._run_d = compiled(networks.discriminator, device, wanted=config.compile)
        self.ema = Ema(networks.generator)
        self._loss = make_loss(config)
        self._regularizer = Regularizer(config, device)
        self._adaptive = None
        if config.augment.probability == "adaptive":
            threshold = loss_facts(config.loss, config.label_smoothing).threshold
            self._adaptive = AdaptiveProbability(config.augment, threshold, device)
        self.step, self.images_seen = 0, 0
        self.images_before = 0
        """Real images that the initial weights were trained on, in another run."""

    def train_step(self, draw: DrawBatch, statistics: TickStatistics) -> None:
        """``discriminator.steps`` steps of D, one step of G, one update of the EMA."""
        config, d_steps = self.config, self.config.discriminator.steps
        now = scheduled_values(config, self.images_seen / 1000)
        is_first = statistics.is_empty  # of the tick: measures how far the weights move

        # ---- Discriminator ----------------------------------------------------------------
        for k in range(d_steps):
            batches, d_logits = [], []
            for real, z, fake in self._batches(draw, is_last=k == d_steps - 1):
                images = torch.stack([real.images, fake.detach()])  # [2, N, ...]
                seen = self._augmented(images.flatten(0, 1)).view_as(images)
                logits = self._discriminate_pair(seen, real.labels)  # [2, N]
                loss = self._loss.discriminator(*logits)
                penalties = self._penalties(seen, logits, real.labels, k, now)
                self.d.backward(sum(penalties.values(), loss))
                statistics.add_discriminator(loss, logits, images, penalties)
                batches.append((real, z, fake if fake.requires_grad else None))
                d_logits.append(logits.detach())
                # G's step needs none of this memory.
                del fake, images, seen, logits, loss, penalties
            all_logits = torch.cat(d_logits, 1)
            self._regularizer.observe(all_logits)
            if self._adaptive is not None:
                self._adaptive.update(all_logits)
            beta2, measured = now.discriminator_beta2, is_first and k == 0
            statistics.add_step("d", self.d.step(now.lr_factor, beta2, measured=measured))
            if config.penalties.weight_clip is not None:
                weight_clip(self.d.parameters, config.penalties.weight_clip)
            self.images_seen += config.batch_size

        # ---- Generator --------------------------------------------------------------------
        for real, z, kept in batches:  # those of D's last step
            fake = self._generate(z, real.labels) if kept is None else kept
            fake_logits = self._discriminate(self._augmented(fake), real.labels)
            real_logits = fake_logits
            if self._loss.needs_real:  # relativistic ones, without gradients
                with torch.no_grad():
                    real_logits = self._discriminate(self._augmented(real.images), real.labels)
            loss = self._loss.generator(fake_logits, real_logits)
            penalties = self._regularizer.generator_penalties(
                self.g.network, self.step, now.penalty_factor
            )
            self.g.backward(sum(penalties.values(), loss))
            statistics.add_generator(loss, penalties)
        beta2, measured = now.generator_beta2, is_first
        statistics.add_step("g", self.g.step(now.lr_factor, beta2, measured=measured))
        self.step += 1

        # ---- EMA --------------------------------------------------------------------------
        trained_on, shown = self.images_before + self.images_seen, config.batch_size * d_steps
        self.ema.update(ema_weight(now.ema_half_life, config.ema.ramp, trained_on, shown))

    def measure(self, held_out: RealBatch | None, statistics: TickStatistics) -> None:
        """Adds what is measured once a tick: singular values, D's logits on held-out images."""
        for name, player in (("d_sigma", self.d), ("g_sigma", self.g)):
            sigma = largest_singular_value(player.network)
            if sigma is not None:
                statistics.add_measure(name, sigma)
        if held_out is not None:
            self.d.network.eval()
            with torch.no_grad(), self._autocast():
                logits: Tensor = self.d.network(held_out.images, held_out.labels)
            self.d.network.train()
            statistics.add_held_out(logits.float())

    # ---- Batches --------------------------------------------------------------------------

    def _batches(
        self, draw: DrawBatch, *, is_last: bool
    ) -> Iterator[tuple[RealBatch, Tensor, Tensor]]:
        """The parts of one batch of D, drawn when needed: real images, latents, generated images.

        At D's last step the images keep their graph, for the step of G. Not with accumulation,
        which is there to save the memory that graphs take.
        """
        parts, latent = self.config.accumulation, self.config.network.latent
        for _ in range(parts):
            real = draw(self.config.batch_size // parts)
            shape = (len(real.images), latent)
            z = torch.randn(shape, generator=self._random, device=self._device)
            with torch.set_grad_enabled(is_last and parts == 1):
                fake = self._generate(z, real.labels)
            yield real, z, fake

    def _penalties(
        self, seen: Tensor, logits: Tensor, labels: Tensor | None, k: int, now: ScheduledValues
    ) -> dict[str, Tensor]:
        inputs = PenaltyInputs(
            discriminate=lambda images: self._discriminate_fp32(images, labels),
            network=self.d.network,
            real=seen[0],
            fake=seen[1],
            logits=logits,
            anchors=self._regularizer.anchors,
            kimg=self.images_seen / 1000,
            random=self._random,
        )
        step = self.step * self.config.discriminator.steps + k
        return self._regularizer.penalties(inputs, step, now.penalty_factor)

    # ---- Augmentation ---------------------------------------------------------------------

    @property
    def augment_probability(self) -> Tensor | float:
        """With which each transformation is applied to an image."""
        if self._adaptive is not None:
            return self._adaptive.value
        probability = self.config.augment.probability
        return probability if self.config.augment.is_on and probability != "adaptive" else 0.0

    def _augmented(self, images: Tensor) -> Tensor:
        """Images [M, ...] as D sees them: augmented, and with instance noise that fades out."""
        if self.config.augment.is_on:
            images = augment(images, self.config.augment, self.augment_probability, self._random)
        progress = self.images_seen / (1000 * self.config.kimg)
        std = instance_noise_std(self.config.instance_noise, progress)
        if std == 0:
            return images
        noise = torch.randn(images.shape, generator=self._random, device=self._device)
        return images + std * noise

    # ---- Networks -------------------------------------------------------------------------

    def _generate(self, z: Tensor, labels: Tensor | None) -> Tensor:
        with self._autocast():
            images: Tensor = self._run_g(z, labels)
        return images.float()

    def _discriminate(self, images: Tensor, labels: Tensor | None) -> Tensor:
        with self._autocast():
            logits: Tensor = self._run_d(images, labels)
        return logits.float()

    def _discriminate_pair(self, images: Tensor, labels: Tensor | None) -> Tensor:
        """D's logits [2, N] on real and generated images [2, N, ...]."""
        if self.config.discriminator.norm == "batch":
            # Statistics of a mixed batch would tell D which images are real.
            return torch.stack([self._discriminate(part, labels) for part in images])
        both = None if labels is None else labels.repeat(2)
        return self._discriminate(images.flatten(0, 1), both).view(2, -1)

    def _discriminate_fp32(self, images: Tensor, labels: Tensor | None) -> Tensor:
        """D's logits [M] in fp32, to be differentiated twice, which compiled networks cannot be.

        M may be a multiple of the batch; the labels repeat.
        """
        if labels is not None:
            labels = labels.repeat(len(images) // len(labels))
        logits: Tensor = self.d.network(images, labels)
        return logits

    def _autocast(self) -> torch.autocast:
        return torch.autocast(self._device.type, self._dtype, self._dtype != torch.float32)

    # ---- State ----------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """All that the next step depends on, besides config and real images."""
        return {
            "images_seen": self.images_seen,
            "images_before": self.images_before,
            "step": self.step,
            "generator": self.g.state_dict(),
            "discriminator": self.d.state_dict(),
            "generator_ema": self.ema.generator.state_dict(),
            "regularizer": self._regularizer.state_dict(),
            "augment": {} if self._adaptive is None else self._adaptive.state_dict(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restores a ``state_dict``. Raises torch's errors where the networks differ."""
        self.g.load_state_dict(state["generator"])
        self.d.load_state_dict(state["discriminator"])
        self.ema.generator.load_state_dict(state["generator_ema"])
        self._regularizer.load_state_dict(state["regularizer"])
        if self._adaptive is not None:
            self._adaptive.load_state_dict(state["augment"])
        self.images_seen, self.step = int(state["images_seen"]), int(state["step"])
        self.images_before = int(state["images_before"])
