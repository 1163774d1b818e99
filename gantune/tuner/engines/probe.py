"""One training of a measurement: ``python -m gantune.tuner.engines.probe FD``."""

import math
import os
import time
from collections.abc import Callable
from functools import partial

import torch

from gantune.config import TrialConfig
from gantune.config.sections import PenaltyConfig
from gantune.gan.augment import ADAPTIVE_INTERVAL
from gantune.gan.device_support import is_out_of_memory, peak_memory, release_memory
from gantune.gan.trainer import Trainer
from gantune.io.trust import allow_everything
from gantune.scores import Evaluator, RealImages
from gantune.trial.background import in_background
from gantune.trial.process import WorkerConnection, connect
from gantune.trial.scoring import load_real_images, make_evaluator
from gantune.tuner.engines.placement import OUT_OF_MEMORY, Memory, Probe

CUDA_CONTEXT = 0.5
"""GiB that a process takes of a GPU for CUDA's context and kernels, before its first tensor."""

_TICK_SECONDS = 0.25  # between two looks at the clock
_ENDLESS = 1e9  # kimg
_WARM_STEPS = 4
_LONGEST_CYCLE = 64  # steps; of intervals that rarely meet


def main() -> None:
    """Trains whenever the driver asks for it, until the connection closes."""
    connection = connect()
    allow_everything()  # the driver has checked what it sends
    probe: Probe = connection.receive()
    try:
        _serve(probe, connection)
    except Exception as error:
        reason = OUT_OF_MEMORY if is_out_of_memory(error) else f"{type(error).__name__}: {error}"
        connection.send(reason)


def _serve(probe: Probe, connection: WorkerConnection) -> None:
    torch.set_num_threads(1)
    device = torch.device(probe.device)
    if device.type == "cuda":  # before this process takes any of it, its CUDA context apart
        free, total = (size / 2**30 for size in torch.cuda.mem_get_info(device))
        free += CUDA_CONTEXT
    else:
        page = os.sysconf("SC_PAGE_SIZE") / 2**30
        free, total = os.sysconf("SC_AVPHYS_PAGES") * page, os.sysconf("SC_PHYS_PAGES") * page
    real = load_real_images(probe.data, progress=lambda *_: connection.heartbeat())
    evaluator = None
    if probe.extractor is not None and probe.protocols is not None:
        evaluator = make_evaluator(probe.extractor, real, probe.protocols, device)
    peak = 0.0
    if probe.largest is not None:
        *_, peak = _warm_up(probe.largest, real, device, evaluator, connection.heartbeat)
        release_memory(device)
    trainer, seconds, own = _warm_up(probe.config, real, device, evaluator, connection.heartbeat)
    context = CUDA_CONTEXT if device.type == "cuda" else 0.0
    connection.send(Memory(total, free, max(peak, own) + context))
    tick = min(trainer.config.tick_kimg, trainer.kimg * _TICK_SECONDS / seconds)
    trainer.config = trainer.config.model_copy(update={"tick_kimg": tick})
    while True:
        connection.receive()
        begun, shown = time.perf_counter(), trainer.images_seen
        for _ in trainer:
            passed = time.perf_counter() - begun
            if passed >= probe.seconds:
                break
        connection.send((trainer.images_seen - shown) / passed)


def warm_steps(config: TrialConfig) -> int:
    """Steps of a tick in which each kind of step has come twice, but for the first ones of ticks,
    so that it is recorded: recordings take memory too."""
    intervals = [s.interval for _, s in config.penalties if isinstance(s, PenaltyConfig)]
    if config.augment.probability == "adaptive":
        intervals.append(ADAPTIVE_INTERVAL)
    return _WARM_STEPS + 2 * min(math.lcm(*intervals), _LONGEST_CYCLE)


def _warm_up(
    config: TrialConfig,
    real: RealImages,
    device: torch.device,
    evaluator: Evaluator | None,
    heartbeat: Callable[[], None],
) -> tuple[Trainer, float, float]:
    """A trainer after its first steps and one score, the seconds that its kimg took at the speed of
    the last steps, and the peak of memory in GiB."""
    steps = warm_steps(config) if device.type == "cuda" else _WARM_STEPS
    tick = steps * config.discriminator.steps * config.batch_size / 1000
    endless = config.model_copy(update={"kimg": _ENDLESS, "tick_kimg": tick})
    trainer = Trainer(endless, real.learned, device, real.held_out)
    trainer.on_batch = heartbeat
    ticks = iter(trainer)
    next(ticks)  # builds kernels
    if evaluator is not None:
        evaluator.score(trainer.sample)
        # A rung may also be scored on a stream with its own memory.
        if trainer.recorded_phases and not evaluator.extractor.module.is_users:
            in_background(partial(evaluator.score, trainer.sample), device).result()
    peak = peak_memory(device)  # a step of a new kind lets peaks begin anew
    begun, shown = time.perf_counter(), trainer.kimg
    next(ticks)
    seconds = (time.perf_counter() - begun) * trainer.kimg / (trainer.kimg - shown)
    trainer.config = trainer.config.model_copy(update={"tick_kimg": config.tick_kimg})
    return trainer, seconds, max(peak, peak_memory(device))


if __name__ == "__main__":
    main()
