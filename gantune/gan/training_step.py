"""``TrainingStep``: two players, and how one turn of their game goes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from gantune.config import TrialConfig
from gantune.config.loss_families import loss_facts
from gantune.gan.augment import AdaptiveProbability, augment, instance_noise_std
from gantune.gan.device_support import compiled, compute_dtype
from gantune.gan.losses import make_loss
from gantune.gan.networks import Networks
from gantune.gan.networks.norms import largest_singular_value
from gantune.gan.penalties import PenaltyInputs, weight_clip
from gantune.gan.penalties.regularizer import Regularizer
from gantune.gan.player import Player
from gantune.gan.schedule import Schedule, Settings
from gantune.gan.statistics import TickStatistics
from gantune.gan.weights import Ema, ema_weight


@dataclass(frozen=True)
class RealBatch:
    """A batch of real images [N, C, H, W] in [-1, 1], or points [N, 2], and their classes [N]."""

    images: Tensor
    labels: Tensor | None


Draw = Callable[[int], RealBatch]
"""The next so many real images."""


@dataclass(frozen=True)
class _Batch:
    """Real images, and the generated ones that face them: of the same classes."""

    real: RealBatch
    z: Tensor
    fake: Tensor


class TrainingStep:
    """Both players with all that they play by, on one device."""

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
        self.g = Player(networks.generator, config.generator, scaled=is_scaled)
        self.d = Player(networks.discriminator, config.discriminator, scaled=is_scaled)
        self._run_g = compiled(networks.generator, device, wanted=config.compile)
        self._run_d = compiled(networks.discriminator, device, wanted=config.compile)
        self.ema = Ema(networks.generator)
        self._loss = make_loss(config)
        self._regularizer = Regularizer(config, device)
        self._schedule = Schedule(config)
        self._adaptive = None
        if config.augment.probability == "adaptive":
            threshold = loss_facts(config.loss, config.label_smoothing).threshold
            self._adaptive = AdaptiveProbability(config.augment, threshold, device)
        self.step, self.images_seen = 0, 0
        self.images_before = 0
        """Real images that the first weights had learned from, in another run."""

    @property
    def augment_probability(self) -> Tensor | float:
        """With which each transformation is applied to an image."""
        if self._adaptive is not None:
            return self._adaptive.value
        chosen = self.config.augment.probability
        return chosen if self.config.augment.is_on and chosen != "adaptive" else 0.0

    def turn(self, draw: Draw, signals: TickStatistics) -> None:
        """One step of G after ``discriminator.steps`` of D."""
        config, steps, is_first = self.config, self.config.discriminator.steps, signals.is_empty
        now = self._schedule.at(self.images_seen / 1000)
        clip = config.penalties.weight_clip

        # ---- Discriminator ----------------------------------------------------------------
        for k in range(steps):
            # The last step's images carry their graph on to the generator's own step, unless
            # batches are computed in parts to spare the memory that graphs take.
            with_graph = k == steps - 1 and config.accumulation == 1
            batches, seen = [], []
            for _ in range(config.accumulation):
                batch = self._batch(draw, with_graph)
                seen.append(self._teach_discriminator(batch, self.step * steps + k, now, signals))
                batches.append(batch)
            self._observe(torch.cat(seen, 1))
            is_measured = is_first and k == 0
            update = self.d.step(now.rate, now.discriminator_beta2, measured=is_measured)
            signals.add_update("d", update)
            if clip is not None:
                weight_clip(self.d.parameters, clip)
            self.images_seen += config.batch_size

        # ---- Generator --------------------------------------------------------------------
        for batch in batches:
            self._teach_generator(batch, now, signals)
        signals.add_update("g", self.g.step(now.rate, now.generator_beta2, measured=is_first))

        # ---- Average ----------------------------------------------------------------------
        self.step += 1
        shown, ramp = config.batch_size * steps, config.ema.ramp
        learned = self.images_before + self.images_seen
        self.ema.update(ema_weight(now.ema_half_life, ramp, learned, shown))

    def look(self, held_out: RealBatch | None, signals: TickStatistics) -> None:
        """What is measured at a tick's end, and taught to nobody."""
        for name, player in (("d_sigma", self.d), ("g_sigma", self.g)):
            sigma = largest_singular_value(player.network)
            if sigma is not None:
                signals.add_measure(name, sigma)
        if held_out is not None:
            signals.add_held_out(self._judge_unseen(held_out))

    def _judge_unseen(self, real: RealBatch) -> Tensor:
        """D's logits [N] on images that it does not learn from, as it is when it does not learn."""
        self.d.network.eval()
        with torch.no_grad(), self._autocast():
            logits: Tensor = self.d.network(real.images, real.labels)
        self.d.network.train()
        return logits.float()

    def _batch(self, draw: Draw, with_graph: bool) -> _Batch:
        number = self.config.batch_size // self.config.accumulation
        real, latent = draw(number), self.config.network.latent
        z = torch.randn(number, latent, generator=self._random, device=self._device)
        with torch.set_grad_enabled(with_graph):
            return _Batch(real, z, self._generate(z, real.labels))

    def _teach_discriminator(
        self, batch: _Batch, number: int, now: Settings, signals: TickStatistics
    ) -> Tensor:
        """D learns from a batch, or a part of one; what it said of it, [2, N]."""
        images = torch.stack([batch.real.images, batch.fake.detach()])  # [2, N, ...]
        shown = self._shown(images.flatten(0, 1)).view_as(images)
        logits = self._judge_both(shown, batch.real.labels)  # [2, N]
        adversarial = self._loss.discriminator(logits[0], logits[1])
        step = PenaltyInputs(
            judge=lambda seen: self._judge_exactly(seen, batch.real.labels),
            network=self.d.network,
            real=shown[0],
            fake=shown[1],
            logits=logits,
            anchors=self._regularizer.anchors,
            kimg=self.images_seen / 1000,
            random=self._random,
        )
        penalties = self._regularizer.penalise(step, number, now.penalty)
        total = adversarial + sum(penalties.values())
        self.d.learn(total / self.config.accumulation)
        signals.add_discriminator(adversarial, logits, images)
        for name, penalty in penalties.items():
            signals.add_penalty(name, penalty)
        return logits.detach()

    def _observe(self, logits: Tensor) -> None:
        """What follows D's outputs [2, N], once each of its steps."""
        self._regularizer.observe(logits)
        if self._adaptive is not None:
            self._adaptive.update(logits)

    def _teach_generator(self, batch: _Batch, now: Settings, signals: TickStatistics) -> None:
        labels, fake = batch.real.labels, batch.fake
        if not fake.requires_grad:
            fake = self._generate(batch.z, labels)
        logits = self._judge(self._shown(fake), labels)
        real_logits = logits
        if self._loss.needs_real:
            with torch.no_grad():
                real_logits = self._judge(self._shown(batch.real.images), labels)
        loss = self._loss.generator(logits, real_logits)
        signals.add_generator(loss)
        factor = now.penalty
        penalty = self._regularizer.penalise_generator(self.g.network, self.step, factor)
        if penalty is not None:
            signals.add_penalty("generator_orthogonal", penalty)
            loss = loss + penalty
        self.g.learn(loss / self.config.accumulation)

    # ---- Networks -------------------------------------------------------------------------

    def _generate(self, z: Tensor, labels: Tensor | None) -> Tensor:
        with self._autocast():
            images: Tensor = self._run_g(z, labels)
        return images.float()

    def _shown(self, images: Tensor) -> Tensor:
        """Images [M, ...] as D is shown them: augmented, and under noise that fades out."""
        if self.config.augment.is_on:
            chance = self.augment_probability
            images = augment(images, self.config.augment, chance, self._random)
        progress = self.images_seen / (1000 * self.config.kimg)
        std = instance_noise_std(self.config.instance_noise, progress)
        if std == 0:
            return images
        noise = torch.randn(images.shape, generator=self._random, device=self._device)
        return images + std * noise

    def _judge(self, images: Tensor, labels: Tensor | None) -> Tensor:
        with self._autocast():
            logits: Tensor = self._run_d(images, labels)
        return logits.float()

    def _judge_both(self, images: Tensor, labels: Tensor | None) -> Tensor:
        """D's logits [2, N] on real and generated images [2, N, ...]."""
        if self.config.discriminator.norm == "batch":
            # Statistics of a mixed batch would tell D which images are real.
            return torch.stack([self._judge(images[0], labels), self._judge(images[1], labels)])
        both = None if labels is None else labels.repeat(2)
        return self._judge(images.flatten(0, 1), both).view(2, -1)

    def _judge_exactly(self, images: Tensor, labels: Tensor | None) -> Tensor:
        """D's logits of images that may be several times the batch, in fp32, to be differentiated
        twice; compiled networks cannot be."""
        if labels is not None:
            labels = labels.repeat(len(images) // len(labels))
        logits: Tensor = self.d.network(images, labels)
        return logits

    def _autocast(self) -> torch.autocast:
        return torch.autocast(self._device.type, self._dtype, self._dtype != torch.float32)

    # ---- State ----------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """All that the next turn depends on, beside config and real images."""
        adaptive = self._adaptive
        return {
            "images_seen": self.images_seen,
            "images_before": self.images_before,
            "step": self.step,
            "generator": self.g.state_dict(),
            "discriminator": self.d.state_dict(),
            "generator_ema": self.ema.generator.state_dict(),
            "regularizer": self._regularizer.state_dict(),
            "augment": {} if adaptive is None else adaptive.state_dict(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Reads back what ``state_dict`` gave; errors of torch's where the networks differ."""
        self.g.load_state_dict(state["generator"])
        self.d.load_state_dict(state["discriminator"])
        self.ema.generator.load_state_dict(state["generator_ema"])
        self._regularizer.load_state_dict(state["regularizer"])
        if self._adaptive is not None:
            self._adaptive.load_state_dict(state["augment"])
        self.images_seen, self.step = int(state["images_seen"]), int(state["step"])
        self.images_before = int(state["images_before"])
