"""``TrainingStep``: one step of GAN training, and everything that it changes."""

from collections.abc import Callable, Hashable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
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
from gantune.gan.ranks import ALONE, Ranks
from gantune.gan.recorded_step import RecordedStep, Recorder
from gantune.gan.rng import BatchDraws
from gantune.gan.schedule import (
    DeviceNumbers,
    ScheduledValues,
    StepNumbers,
    scheduled_values,
)
from gantune.gan.statistics import TickStatistics
from gantune.gan.weights import Ema, ema_weight


@dataclass(frozen=True)
class RealBatch:
    """Real images [N, C, H, W] in [-1, 1], or points [N, 2], and their labels int64 [N]."""

    images: Tensor
    labels: Tensor | None


DrawBatch = Callable[[int, int], RealBatch]
"""``draw(at, number)``: so many real images, the first of which is the step's ``at``-th. Each is
drawn once, in order; a step that is done again begins anew."""


class TrainingStep:
    """Both players, the EMA of the generator, and what else a training step reads and changes."""

    def __init__(
        self,
        config: TrialConfig,
        networks: Networks,
        device: torch.device,
        random: BatchDraws,
        ranks: Ranks = ALONE,
        recorder: Recorder | None = None,
        not_replayed: Callable[[], AbstractContextManager[None]] = nullcontext,
    ) -> None:
        """``recorder``: records the step and replays it; ``None``: each step runs as it is.
        ``not_replayed``: the context of all work that is no replay."""
        self.config, self._device = config, device
        self._random, self._ranks = random, ranks
        self._dtype = compute_dtype(config, device)
        is_scaled = self._dtype == torch.float16
        self._device_numbers, moves_beta2 = None, False
        if recorder is not None or device.type == "cuda":
            moves_beta2 = config.schedule.beta2_end is not None
            steps = config.discriminator.steps
            self._device_numbers = DeviceNumbers(device, steps, moves_beta2=moves_beta2)
        self.g, self.d = (
            Player(
                *(network, settings, config.accumulation),
                scaled=is_scaled,
                ranks=ranks,
                moves_beta2=moves_beta2,
            )
            for network, settings in (
                (networks.generator, config.generator),
                (networks.discriminator, config.discriminator),
            )
        )
        self._run_g = compiled(networks.generator, device, wanted=config.compile)
        self._run_d = compiled(networks.discriminator, device, wanted=config.compile)
        self.ema = Ema(networks.generator)
        self._loss = make_loss(config)
        self._regularizer = Regularizer(config, device)
        self._adaptive = None
        if config.augment.probability == "adaptive":
            threshold = loss_facts(config.loss, config.label_smoothing).threshold
            self._adaptive = AdaptiveProbability(config.augment, threshold, device)
        self._recorded = None if recorder is None else RecordedStep(recorder, not_replayed)
        self._not_replayed = not_replayed
        self.step, self.images_seen = 0, 0
        self.images_before = 0
        """Real images that the initial weights were trained on, in another run."""

    def train_step(self, draw: DrawBatch, statistics: TickStatistics) -> None:
        """``discriminator.steps`` steps of D, one step of G, one update of the EMA.

        ``draw`` must read the same memory at each step where there is a recorder.
        """
        d_steps = self.config.discriminator.steps
        numbers = self._numbers(scheduled_values(self.config, self.images_seen / 1000))
        if self._device_numbers is not None:
            numbers = self._device_numbers.fill(numbers)
        is_first = statistics.is_empty  # of the tick: measures how far the weights move

        def work() -> None:
            self._train(draw, statistics, numbers, measured=is_first)

        if self._recorded is None:
            with self._not_replayed():
                work()
        else:
            phase = is_first, self._phase(numbers)
            self._recorded.run(phase, work, statistics, self._clear)
        self.images_seen += d_steps * self.config.batch_size
        self.step += 1
        if self._adaptive is not None:
            self._adaptive.count(d_steps)

    def _train(
        self,
        draw: DrawBatch,
        statistics: TickStatistics,
        numbers: StepNumbers,
        *,
        measured: bool,
    ) -> None:
        """The work of a step on the device. It changes no counter on the host."""
        config, d_steps = self.config, self.config.discriminator.steps

        # ---- Discriminator ----------------------------------------------------------------
        for k in range(d_steps):
            batches, d_logits = [], []
            for real, z, fake in self._batches(draw, k, is_last=k == d_steps - 1):
                images = torch.stack([real.images, fake.detach()])  # [2, N, ...]
                seen = self._augmented(images.flatten(0, 1), numbers.noise[k]).view_as(images)
                logits = self._discriminate_pair(seen, real.labels)  # [2, N]
                loss = self._loss.discriminator(*logits)
                penalties = self._penalties(seen, logits, real.labels, k, numbers.penalty_factor)
                self.d.backward(sum(penalties.values(), loss))
                d_logits.append(self._ranks.gather(logits.detach()))
                statistics.add_discriminator(loss, d_logits[-1], images, penalties)
                batches.append((real, z, fake if fake.requires_grad else None))
                # G's step needs none of this memory.
                del fake, images, seen, logits, loss, penalties
            all_logits = d_logits[0] if len(d_logits) == 1 else torch.cat(d_logits, 1)
            self._regularizer.observe(all_logits)
            if self._adaptive is not None:
                self._adaptive.observe(all_logits, ahead=k)
            lr_factor, beta2 = numbers.lr_factor, numbers.discriminator_beta2
            is_measured = measured and k == 0
            statistics.add_step("d", self.d.step(lr_factor, beta2, measured=is_measured))
            if config.penalties.weight_clip is not None:
                weight_clip(self.d.parameters, config.penalties.weight_clip)

        # ---- Generator --------------------------------------------------------------------
        for real, z, kept in batches:  # those of D's last step
            fake = self._generate(z, real.labels) if kept is None else kept
            noise = numbers.noise[-1]
            fake_logits = self._discriminate(self._augmented(fake, noise), real.labels)
            real_logits = fake_logits
            if self._loss.needs_real:  # relativistic ones, without gradients
                with torch.no_grad():
                    seen = self._augmented(real.images, noise)
                    real_logits = self._discriminate(seen, real.labels)
            loss = self._loss.generator(fake_logits, real_logits)
            penalties = self._regularizer.generator_penalties(
                self.g.network, self.step, numbers.penalty_factor
            )
            self.g.backward(sum(penalties.values(), loss))
            statistics.add_generator(loss, penalties)
        beta2 = numbers.generator_beta2
        statistics.add_step("g", self.g.step(numbers.lr_factor, beta2, measured=measured))
        self.ema.update(numbers.ema_weight)

    def _numbers(self, now: ScheduledValues) -> StepNumbers:
        """The numbers of the next step."""
        config, d_steps = self.config, self.config.discriminator.steps
        kimg = self._kimg(d_steps)
        stds = [instance_noise_std(config.instance_noise, at / config.kimg) for at in kimg]
        shown = config.batch_size * d_steps
        trained_on = self.images_before + self.images_seen + shown
        return StepNumbers(
            lr_factor=now.lr_factor,
            penalty_factor=now.penalty_factor,
            ema_weight=ema_weight(now.ema_half_life, config.ema.ramp, trained_on, shown),
            generator_beta2=now.generator_beta2,
            discriminator_beta2=now.discriminator_beta2,
            noise=tuple(std or None for std in stds),
        )

    def _kimg(self, d_steps: int) -> list[float]:
        """Kimg before each of the next steps of D, and after the last."""
        batch = self.config.batch_size
        return [(self.images_seen + k * batch) / 1000 for k in range(d_steps + 1)]

    def _phase(self, numbers: StepNumbers) -> Hashable:
        """What decides which work the next step does: equal for steps that do the same."""
        d_steps = self.config.discriminator.steps
        due = self._regularizer.phase(
            self.step * d_steps, d_steps, self._kimg(d_steps)[:-1], self.step
        )
        noisy = tuple(std is not None for std in numbers.noise)
        adaptive = None if self._adaptive is None else self._adaptive.phase
        return due, noisy, adaptive

    def _clear(self) -> None:
        """Forgets the gradients of a step that was not finished."""
        for player in (self.g, self.d):
            player.clear()

    def measure(self, held_out: RealBatch | None, statistics: TickStatistics) -> None:
        """Adds what is measured once a tick: singular values, D's logits on held-out images."""
        with self._not_replayed():
            self._measure(held_out, statistics)

    def _measure(self, held_out: RealBatch | None, statistics: TickStatistics) -> None:
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
        self, draw: DrawBatch, k: int, *, is_last: bool
    ) -> Iterator[tuple[RealBatch, Tensor, Tensor]]:
        """Parts of D's ``k``-th batch, drawn when needed: real images, latents, generated images.

        At D's last step the images keep their graph, for the step of G. Not with accumulation,
        which is there to save the memory that graphs take.
        """
        parts, latent = self.config.accumulation, self.config.network.latent
        share = self.config.batch_size // parts
        for part in range(parts):
            real = draw(k * self.config.batch_size + part * share, share)
            z = self._random.normal(len(real.images), latent)
            with torch.set_grad_enabled(is_last and parts == 1):
                fake = self._generate(z, real.labels)
            yield real, z, fake

    def _penalties(
        self,
        seen: Tensor,
        logits: Tensor,
        labels: Tensor | None,
        k: int,
        factor: float | Tensor,
    ) -> dict[str, Tensor]:
        inputs = PenaltyInputs(
            discriminate=lambda images: self._discriminate_fp32(images, labels),
            network=self.d.network,
            real=seen[0],
            fake=seen[1],
            logits=logits,
            anchors=self._regularizer.anchors,
            kimg=self._kimg(k)[-1],
            random=self._random,
            ranks=self._ranks,
        )
        step = self.step * self.config.discriminator.steps + k
        return self._regularizer.penalties(inputs, step, factor)

    # ---- Augmentation ---------------------------------------------------------------------

    @property
    def augment_probability(self) -> Tensor | float:
        """With which each transformation is applied to an image."""
        if self._adaptive is not None:
            return self._adaptive.value
        probability = self.config.augment.probability
        return probability if self.config.augment.is_on and probability != "adaptive" else 0.0

    def _augmented(self, images: Tensor, std: float | Tensor | None) -> Tensor:
        """Images [M, ...] as D sees them: augmented, and with instance noise that fades out.

        ``std``: that of the noise; ``None``: without.
        """
        if self.config.augment.is_on:
            images = augment(images, self.config.augment, self.augment_probability, self._random)
        if std is None:
            return images
        return images + std * self._random.normal(*images.shape)

    # ---- Networks -------------------------------------------------------------------------

    def _generate(self, z: Tensor, labels: Tensor | None) -> Tensor:
        with self._autocast():
            images: Tensor = self._run_g(z, labels)
        return images.to(z.dtype)

    def _discriminate(self, images: Tensor, labels: Tensor | None) -> Tensor:
        with self._autocast():
            logits: Tensor = self._run_d(images, labels)
        return logits.to(images.dtype)

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

    @property
    def recorded_phases(self) -> int:
        """How many phases of the step are replayed."""
        return 0 if self._recorded is None else len(self._recorded)

    def forget_recordings(self) -> None:
        """Records anew: what follows replaces memory that recordings use."""
        if self._recorded is not None:
            self._recorded.drop()

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
        self.forget_recordings()
        self.g.load_state_dict(state["generator"])
        self.d.load_state_dict(state["discriminator"])
        self.ema.generator.load_state_dict(state["generator_ema"])
        self._regularizer.load_state_dict(state["regularizer"])
        if self._adaptive is not None:
            self._adaptive.load_state_dict(state["augment"])
        self.images_seen, self.step = int(state["images_seen"]), int(state["step"])
        self.images_before = int(state["images_before"])
