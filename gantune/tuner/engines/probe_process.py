"""One training of a probe: ``python -m gantune.tuner.engines.probe_process FD``."""

from __future__ import annotations

import os
import time
from dataclasses import replace

import torch

from gantune.config import TrialConfig
from gantune.gan.device_support import is_out_of_memory, peak_memory, release_memory
from gantune.gan.trainer import Trainer
from gantune.scores import Evaluator, RealImages
from gantune.trial.scoring import load_real_images, make_evaluator
from gantune.tuner.engines.probe import CONTEXT, Failed, Memory, Probe, Speed
from gantune.tuner.engines.process import WorkerConnection, connect

_TICK = 0.25  # seconds from one look at the clock to the next


_ENDLESS = 1e9  # kimg


def main() -> None:
    """Trains whenever it is told to, until the connection closes."""
    line = connect()
    probe: Probe = line.receive()
    try:
        _serve(probe, line)
    except Exception as error:
        reason = "out of memory" if is_out_of_memory(error) else f"{type(error).__name__}: {error}"
        line.send(Failed(reason))


def _serve(probe: Probe, line: WorkerConnection) -> None:
    torch.set_num_threads(probe.threads)
    device = torch.device(probe.device)
    memory = _empty(device)
    real = load_real_images(probe.data, progress=lambda *_: line.beat())
    evaluator = _evaluator(probe, real, device)
    if probe.largest is not None:
        _tried(probe.largest, real, device, evaluator)
        release_memory(device)
    trainer, seconds = _tried(probe.config, real, device, evaluator)
    line.send(replace(memory, one=_peak(device)))
    tick = min(trainer.config.tick_kimg, trainer.kimg * _TICK / seconds)
    trainer.config = trainer.config.model_copy(update={"tick_kimg": tick})
    while True:
        line.receive()
        line.send(Speed(_speed(trainer, probe.seconds)))


def _tried(
    config: TrialConfig, real: RealImages, device: torch.device, evaluator: Evaluator | None
) -> tuple[Trainer, float]:
    """A training after its first steps and a score, and the seconds that a second step takes."""
    step = config.batch_size / 1000
    endless = config.model_copy(update={"kimg": _ENDLESS, "tick_kimg": step})
    trainer = Trainer(endless, real.learned, device, real.held_out)
    ticks = iter(trainer)
    next(ticks)  # builds kernels
    if evaluator is not None:
        evaluator.score(trainer.sample)
    begun, shown = time.perf_counter(), trainer.kimg
    next(ticks)
    seconds = (time.perf_counter() - begun) * trainer.kimg / (trainer.kimg - shown)
    trainer.config = trainer.config.model_copy(update={"tick_kimg": config.tick_kimg})
    return trainer, seconds


def _speed(trainer: Trainer, seconds: float) -> float:
    """Images a second over some seconds."""
    begun, shown = time.perf_counter(), trainer.images_seen
    for _ in trainer:
        passed = time.perf_counter() - begun
        if passed >= seconds:
            break
    return (trainer.images_seen - shown) / passed


def _evaluator(probe: Probe, real: RealImages, device: torch.device) -> Evaluator | None:
    if probe.extractor is None or probe.protocols is None:
        return None
    return make_evaluator(probe.extractor, real, probe.protocols, device)


def _empty(device: torch.device) -> Memory:
    """The device before this process takes any of it but its context."""
    if device.type == "cuda":
        free, total = torch.cuda.mem_get_info(device)
        return Memory(total / 2**30, free / 2**30 + CONTEXT, 0.0)
    page = os.sysconf("SC_PAGE_SIZE") / 2**30
    return Memory(os.sysconf("SC_PHYS_PAGES") * page, os.sysconf("SC_AVPHYS_PAGES") * page, 0.0)


def _peak(device: torch.device) -> float:
    """What this process has taken at most, GiB; on a GPU with what the allocator keeps."""
    if device.type == "cuda":
        return torch.cuda.max_memory_reserved(device) / 2**30 + CONTEXT
    return peak_memory(device)


if __name__ == "__main__":
    main()
