"""``Trainer``: gantune's own GAN trainer, an iterator over ticks."""

import copy
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, cast

import torch
from torch import Tensor

from gantune.config import TrialConfig
from gantune.data.device_images import DeviceImages
from gantune.data.image_set import ImageSet, random_subset
from gantune.errors import CheckpointError
from gantune.events import warn_once
from gantune.gan.device_support import is_out_of_memory, not_recorded_text, why_not_recorded
from gantune.gan.networks import build_networks, check_images, describe_networks
from gantune.gan.precision import training_float32
from gantune.gan.ranks import ALONE, Ranks, joined
from gantune.gan.recorded_step import CudaGraphs, NotReplayed, Recorder
from gantune.gan.rng import BatchDraws, InfiniteSampler, RngState
from gantune.gan.sampling import sample_images
from gantune.gan.statistics import TickStatistics
from gantune.gan.tick import Tick
from gantune.gan.training_step import DrawBatch, RealBatch, TrainingStep
from gantune.gan.weights import Weights


class Trainer:
    """Trains one GAN: ``for tick in Trainer(config, images, device)`` is the whole training.

    Each iteration trains to the next multiple of ``config.tick_kimg`` and yields a ``Tick``; the
    last one comes at ``config.kimg``. Between ticks nothing waits for the device, except where the
    images do not fit into its memory (``DeviceImages``): then each batch waits once. What is no
    replay also waits for a score that another thread takes (``not_replayed``). The same config,
    images and device give the same weights: to the last bit on the CPU with the same number
    of threads.

    ``held_out``: real images of the same format that are never trained on; each tick has D's logits
    on a fixed batch of them. ``ranks``: the processes that share each batch, all with the same
    config and images; ``check_ranks`` says whether they can. ``recorder``: records training steps
    and replays them; ``None``: CUDA graphs on CUDA, where the config's steps can be recorded, else
    nothing is recorded.

    Raises ``ConfigError`` where the config's data is not resolved and ``DataError`` where the
    images do not match the config.
    """

    def __init__(
        self,
        config: TrialConfig,
        images: ImageSet,
        device: torch.device | str,
        held_out: ImageSet | None = None,
        ranks: Ranks = ALONE,
        recorder: Recorder | None = None,
    ) -> None:
        check_images(config, images)
        self.config, self.device, self._ranks = config, torch.device(device), ranks
        self.seconds = 0.0
        self.not_replayed = NotReplayed(training_float32(config, self.device))

        # Initial weights and dropout draw from torch's global state, all else from a generator.
        self._global_random = RngState(config.seed, self.device)
        self._random = torch.Generator(self.device).manual_seed(config.seed)
        with self._global_random.active():
            networks = build_networks(config)

        share = config.batch_size // config.accumulation // ranks.count
        # Channels last: as fast as the other order in fp32, and a third faster in native bf16.
        # Images too, but not before augmentation, which is faster on the other order.
        for network in networks:
            if ranks.count > 1:
                joined(network, ranks, share)
            network.to(device=self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        layout = torch.contiguous_format if config.augment.is_on else torch.channels_last
        self._images = DeviceImages(images, self.device, flip=config.data.flip, layout=layout)
        self._labels = self._images.labels if config.network.conditional else None
        self._held_out = None if held_out is None else self._held_out_batch(held_out)
        self._sampler = InfiniteSampler(len(images), config.seed, self.device)
        self._drawn = 0
        recorder = recorder or self._graphs()
        self._static_indices = None
        if recorder is not None:
            number = config.batch_size * config.discriminator.steps
            self._static_indices = torch.zeros(number, dtype=torch.long, device=self.device)
        draws = BatchDraws(self._random, ranks, share)
        self._training = TrainingStep(
            config, networks, self.device, draws, ranks, recorder, self.not_replayed
        )
        self._statistics = TickStatistics(self.device, ranks)
        self.on_batch: Callable[[], None] | None = None
        """Called for every batch: a heartbeat, however long a tick takes."""
        self._set_label_shares()

    @property
    def images_seen(self) -> int:
        """Real images shown to the discriminator so far."""
        return self._training.images_seen

    @property
    def kimg(self) -> float:
        """Thousands of real images shown to the discriminator so far."""
        return self.images_seen / 1000

    @property
    def step(self) -> int:
        """Generator steps so far."""
        return self._training.step

    @property
    def recorded_phases(self) -> int:
        """How many phases of the training step are recorded and replayed; 0 without a recorder."""
        return self._training.recorded_phases

    @property
    def generator(self) -> torch.nn.Module:
        """The generator in training."""
        return self._training.g.network

    @property
    def discriminator(self) -> torch.nn.Module:
        """The discriminator."""
        return self._training.d.network

    @property
    def generator_ema(self) -> torch.nn.Module:
        """The EMA of the generator, in eval mode: samples come from it."""
        return self._training.ema.generator

    @property
    def weights(self) -> Weights:
        """The weights of both players and of the EMA, which change with training."""
        networks = (self.generator, self.discriminator, self.generator_ema)
        return Weights(self.config, self.kimg, *(network.state_dict() for network in networks))

    # ---- Training -------------------------------------------------------------------------

    def __iter__(self) -> Iterator[Tick]:
        interval = max(1, round(self.config.tick_kimg * 1000))
        end = max(1, round(self.config.kimg * 1000))
        while self.images_seen < end:
            next_tick = (self.images_seen // interval + 1) * interval
            yield self._train_to(min(next_tick, end))

    def _train_to(self, images: int) -> Tick:
        """Trains until at least so many real images were shown."""
        started, seen_before = time.perf_counter(), self.images_seen
        waited_before = self.not_replayed.waited
        statistics = self._statistics
        statistics.restart()
        with self._global_random.active():
            while self.images_seen < images:
                self._training.train_step(self._batches(), statistics)
            self._training.measure(self._held_out, statistics)
        means = statistics.means()
        seconds = time.perf_counter() - started - (self.not_replayed.waited - waited_before)
        self.seconds += seconds
        return Tick(
            kimg=self.kimg,
            step=self.step,
            images_per_second=(self.images_seen - seen_before) / seconds,
            seconds=self.seconds,
            augment_probability=float(self._training.augment_probability),
            **means,
        )

    def _batches(self) -> DrawBatch:
        """Draws the real images of the next step: of so many for all ranks those of this one.

        For a recorder their indices lie in the same memory at each step.
        """
        static = self._static_indices
        if static is None:
            return lambda _, number: self._batch(self._next_indices(number))
        static.copy_(self._next_indices(len(static)))
        return lambda at, number: self._batch(static[at : at + number])

    def _next_indices(self, number: int) -> Tensor:
        if self.on_batch is not None:
            self.on_batch()
        self._drawn += number
        return self._sampler.take(self._drawn - number, number)

    def _batch(self, indices: Tensor) -> RealBatch:
        mine = self._ranks.part(len(indices))
        labels = None if self._labels is None else self._labels[indices[mine]]
        return RealBatch(self._images.batch(indices, self._random, mine), labels)

    def _graphs(self) -> CudaGraphs | None:
        """Records CUDA graphs on CUDA; ``None`` elsewhere, and where steps cannot be recorded."""
        if self.device.type != "cuda":
            return None
        if why_not_recorded(self.config, self.device) or self._ranks.count > 1:
            return None  # which is told where the training is planned
        lack = "" if self._images.resident else "the images do not fit into the GPU's memory"
        if CudaGraphs.are_broken:
            lack = "an earlier recording of this process could not be ended"
        if lack:
            warn_once(not_recorded_text(lack))
            return None
        return CudaGraphs(self.device, self._random)

    def _held_out_batch(self, images: ImageSet) -> RealBatch | None:
        """One batch of images, chosen at random; ``None`` where there are fewer than two."""
        count = min(self.config.batch_size, len(images))
        if count < 2:
            return None
        rows = random_subset(len(images), count)
        labels = None if images.labels is None else images.labels[rows]
        batch = DeviceImages(replace(images, array=images.array[rows], labels=labels), self.device)
        indices = torch.arange(count, device=self.device)
        return RealBatch(
            batch.batch(indices, self._random),
            batch.labels if self.config.network.conditional else None,
        )

    def _set_label_shares(self) -> None:
        """Gives a conditional generator, and its EMA, each class's share of this data."""
        shares = self._images.label_shares
        if self.config.network.conditional and shares is not None:
            for generator in (self.generator, self.generator_ema):
                cast(Tensor, generator.label_shares).copy_(shares)

    # ---- Samples --------------------------------------------------------------------------

    def sample(self, number: int, generator: torch.Generator | None = None) -> Tensor:
        """Samples of the EMA, uint8 [number, C, H, W]; of points float32 [number, 2].

        ``generator``, on the trainer's device, draws the latents and a conditional generator's
        classes; ``None``: the same ones at each call, so that grids of one run can be compared.
        Does not affect training. Raises ``ScoreError`` where a value is not finite.
        """
        if generator is None:
            generator = torch.Generator(self.device).manual_seed(self.config.seed)
        return sample_images(self.generator_ema, number, generator)

    def frozen_sampler(self) -> Callable[[int, torch.Generator], Tensor]:
        """Samples as ``sample`` gives them now, also in another thread while training goes on."""
        frozen = copy.deepcopy(self.generator_ema)
        return lambda number, generator: sample_images(frozen, number, generator)

    # ---- State ----------------------------------------------------------------------------

    def start_from(self, weights: Weights) -> None:
        """Takes the weights of another run, of both players and the EMA, as initial weights.

        Raises ``CheckpointError`` where the networks differ, and leaves the trainer unchanged.
        """
        misfit = (
            f"its weights are of {describe_networks(weights.config)}; this training's are of "
            f"{describe_networks(self.config)}: start from a trial of the same networks"
        )
        with self._unchanged_on_error(lambda error: misfit):
            self.generator.load_state_dict(weights.generator)
            self.discriminator.load_state_dict(weights.discriminator)
            self.generator_ema.load_state_dict(weights.generator_ema)
        self._training.forget_recordings()
        self._set_label_shares()
        # The EMA's ramp counts the images of the earlier run, so that the first steps do not
        # replace the average.
        self._training.images_before = round(1000 * weights.kimg)

    def state_dict(self) -> dict[str, Any]:
        """All that the next step depends on, besides config and images."""
        return {
            "device": self.device.type,
            "seconds": self.seconds,
            "game": self._training.state_dict(),
            "random": self._random.get_state(),
            "global_random": self._global_random.states,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Resumes from a ``state_dict``, bit for bit.

        Learning rates and all other settings are those of this trainer's config. ``kimg`` may be
        longer, but a schedule and instance noise then run over the new length. Raises
        ``CheckpointError`` where the state is of other networks or of another kind of device, and
        leaves the trainer unchanged.
        """
        if state.get("device") != self.device.type:
            raise CheckpointError(
                f"the checkpoint was written on {state.get('device')!r}, and {self.device.type!r} "
                "cannot continue its random numbers; resume on the same kind of device"
            )
        misfit = f"the checkpoint does not fit {describe_networks(self.config)} with these settings"
        remedy = "use the config that it was saved with"
        with self._unchanged_on_error(lambda error: f"{misfit}: {error}; {remedy}"):
            self._restore(state)

    def _restore(self, state: Mapping[str, Any]) -> None:
        self._training.load_state_dict(state["game"])
        self._random.set_state(state["random"].cpu())
        self._global_random.states = [part.cpu() for part in state["global_random"]]
        self.seconds = float(state["seconds"])
        self._drawn = self.images_seen

    @contextmanager
    def _unchanged_on_error(self, message: Callable[[Exception], str]) -> Iterator[None]:
        """Restores the state and raises ``CheckpointError`` where what is loaded does not fit."""
        before = copy.deepcopy(self.state_dict())
        try:
            yield
        except (KeyError, TypeError, ValueError, RuntimeError, AttributeError) as error:
            if is_out_of_memory(error):
                raise
            self._restore(before)
            raise CheckpointError(message(error)) from error
