"""A step that is recorded and replayed trains as one that runs each time, to the last bit.

On CUDA steps are recorded as graphs. Here a tape plays their part: like a graph it does the same
operations in the same memory, and sees no number and no tensor that is made on the host.
"""

from __future__ import annotations

import gc
import logging
import random
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import pytest
import torch

from gantune.config import RESOLUTIONS, TrialConfig
from gantune.data import load_images, resolved
from gantune.events import warn_once
from gantune.gan import recorded_step
from gantune.gan.recorded_step import CudaGraphs, RecordedStep, Recorder
from gantune.gan.statistics import TickStatistics
from gantune.gan.tick import Tick
from gantune.gan.trainer import Trainer
from gantune.space import load_space, shipped_spaces
from tests.gan.builders import assert_same_state, config_of, images_for
from tests.gan.tape import NoTapes, Tape, Tapes, TornTapes
from tests.gan.test_training_step import EVERYTHING

MIXES: dict[str, dict[str, Any]] = {
    "plain": {},
    "everything": {
        **EVERYTHING,
        "schedule": {
            **EVERYTHING["schedule"],
            "warmup": 0.05,
            "penalty_end": 0.1,
        },
    },
    "adaptive": {
        "loss": "hinge",
        "discriminator": {"norm": "spectral", "clip_norm": 1.0},
        "penalties": {"r1": {"interval": 4}, "lecam": {"start": 0.1}},
        "augment": {"colour": True, "cutout": True, "probability": "adaptive", "speed": 0.1},
        "instance_noise": {"std": 0.1},
        "schedule": {"name": "linear", "beta2_end": 0.9},
    },
    "critic": {
        "loss": "wgan",
        "penalties": {"gradient_penalty": {}},
        "discriminator": {"steps": 2, "optimizer": "rmsprop"},
        "schedule": {"name": "linear", "beta2_end": 0.99},
    },
    "clipped": {
        "loss": "wgan",
        "penalties": {"weight_clip": {"limit": 0.01}},
        "generator": {"optimizer": "sgd"},
        "discriminator": {"optimizer": "sgd", "norm": "batch"},
    },
    "relativistic": {"loss": "relativistic", "penalties": {"r1_r2": {}}},
}

FROM_THE_HOST = ("_local_scalar_dense", "scalar_tensor", "lift_fresh")
"""Operations that read a number back, or make a tensor of one."""


def trainer_of(config: TrialConfig, recorder: Recorder | None) -> Trainer:
    return Trainer(config, images_for(config), "cpu", recorder=recorder)


def plain(ticks: list[Tick]) -> list[dict[str, Any]]:
    timed = ("seconds", "images_per_second")
    return [{k: v for k, v in vars(tick).items() if k not in timed} for tick in ticks]


SLOW = ("everything", "clipped", "relativistic")
EACH = [pytest.param(m, marks=[pytest.mark.integration] * (m in SLOW), id=m) for m in MIXES]


@pytest.mark.parametrize("mix", EACH)
def test_a_replayed_step_is_the_step(mix: str) -> None:
    config = config_of(kimg=0.28, tick_kimg=0.14, **MIXES[mix])
    recorder = Tapes()
    recorded, each = trainer_of(config, recorder), trainer_of(config, NoTapes())
    ticks = []
    for tick in recorded:
        ticks.append(tick)
        recorded.load_state_dict(recorded.state_dict())  # so that all is recorded again
    assert plain(ticks) == plain(list(each))
    assert_same_state(recorded.state_dict(), each.state_dict())
    assert recorded.step > 2 * len(recorder.tapes) > 0

    # Two recordings of one phase, at different places of a run, are the same operations.
    by_work: dict[tuple[Any, ...], set[tuple[Any, ...]]] = {}
    for tape in recorder.tapes:
        played = [one.plain for one in tape.played]
        names = tuple(name for name, *_ in played)
        assert not [n for n in names if any(made in n for made in FROM_THE_HOST)]
        assert tape.unread == []
        by_work.setdefault(names, set()).add(tuple(played))
    assert len(by_work) < len(recorder.tapes)
    assert all(len(numbers) == 1 for numbers in by_work.values())


@pytest.mark.parametrize("mix", EACH)
def test_recordings_last_from_tick_to_tick(mix: str) -> None:
    """The first step of a tick also measures how far the weights move: it is replayed too."""
    config = config_of(kimg=0.48, tick_kimg=0.08, **MIXES[mix])
    recorder = Tapes()
    recorded, each = trainer_of(config, recorder), trainer_of(config, NoTapes())
    assert plain(list(recorded)) == plain(list(each))
    assert_same_state(recorded.state_dict(), each.state_dict())
    assert recorded.recorded_phases == len(recorder.tapes) > 1
    if mix == "plain":
        assert len(recorder.tapes) == 2


@pytest.mark.integration
@pytest.mark.parametrize("name", [name for name in shipped_spaces() if name != "own_trainer"])
def test_every_shipped_recipe_can_be_replayed(name: str) -> None:
    space, source = load_space(name), random.Random(0)
    drawn = {item: dist.sample(source) for item, dist in space.parameters().items()}
    for point in [*space.start_points()[:1], drawn]:
        config = space.configs_of(point)
        assert isinstance(config, TrialConfig)
        images = load_images(config.data, RESOLUTIONS[config.network.name])
        steps = 6 * config.discriminator.steps * 4
        tree = config.model_dump() | {"batch_size": 4, "accumulation": 1, "precision": "fp32"}
        tree |= {"kimg": steps / 1000, "tick_kimg": 1000.0, "compile": False}
        short = resolved(TrialConfig.model_validate(tree), images)
        recorder = Tapes()
        trainers = [Trainer(short, images, "cpu", recorder=r) for r in (recorder, NoTapes())]
        ticks = [plain(list(trainer)) for trainer in trainers]
        assert ticks[0] == ticks[1]
        assert_same_state(*(trainer.state_dict() for trainer in trainers))
        assert recorder.tapes


def test_numbers_on_the_device_train_as_those_on_the_host() -> None:
    config = config_of(kimg=0.2, **MIXES["adaptive"])
    on_device, on_host = trainer_of(config, Tapes()), trainer_of(config, None)
    for one, other in zip(on_device, on_host, strict=True):
        assert one.d_loss == pytest.approx(other.d_loss, rel=1e-4)
    pairs = zip(
        on_device.generator_ema.parameters(), on_host.generator_ema.parameters(), strict=True
    )
    assert all(torch.allclose(one, other, atol=1e-4) for one, other in pairs)


@pytest.mark.integration
def test_a_resumed_run_records_anew() -> None:
    config = config_of(kimg=0.2, tick_kimg=0.1, **MIXES["adaptive"])
    whole, first, second = (trainer_of(config, Tapes()) for _ in range(3))
    list(whole)
    next(iter(first))
    next(iter(second))  # has recordings, which the state replaces the memory of
    second.load_state_dict(first.state_dict())
    list(second)
    assert_same_state(whole.state_dict(), second.state_dict())


def test_a_resumed_run_takes_another_learning_rate() -> None:
    config = config_of(kimg=0.16, tick_kimg=0.08)
    slower = config.model_copy(
        update={"generator": config.generator.model_copy(update={"lr": 1e-5})}
    )
    first = trainer_of(config, Tapes())
    next(iter(first))
    state = first.state_dict()
    found = []
    for recorder in (Tapes(), NoTapes()):
        trainer = trainer_of(slower, recorder)
        trainer.load_state_dict(state)
        list(trainer)
        found.append(trainer.state_dict())
    assert_same_state(*found)


def test_other_weights_to_start_from_are_recorded_anew() -> None:
    config = config_of(kimg=0.16, tick_kimg=0.08)
    weights = trainer_of(config_of(seed=5), None).weights
    found = []
    for recorder in (Tapes(), NoTapes()):
        trainer = trainer_of(config, recorder)
        next(iter(trainer))
        trainer.start_from(weights)
        assert trainer.recorded_phases == 0  # the memory that they use was replaced
        list(trainer)
        found.append(trainer.state_dict())
    assert_same_state(*found)


def test_where_recording_fails_training_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    config = config_of(kimg=0.2, **MIXES["adaptive"])
    warn_once.cache_clear()
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            ticks = list(trainer_of(config, NoTapes()))
    assert ticks[-1].kimg == pytest.approx(0.2)
    assert [record.getMessage().count("there is no tape") for record in caplog.records] == [1]


@pytest.mark.parametrize("operations", [8, 60, 120])
def test_a_recording_that_fails_leaves_nothing_behind(operations: int) -> None:
    """It may fail after images were drawn, and after D's gradient or step."""
    config = config_of(kimg=0.2, augment={"cutout": True, "probability": "adaptive"})
    torn = trainer_of(config, TornTapes(operations, lambda: keep(torn)))
    each = trainer_of(config, NoTapes())
    assert plain(list(torn)) == plain(list(each))
    assert_same_state(torn.state_dict(), each.state_dict())


def keep(trainer: Trainer) -> Callable[[], None]:
    """Keeps all that a step changes on the device; what is returned puts it back."""
    training, random = trainer._training, trainer._random.get_state()
    adaptive = training._adaptive
    assert adaptive is not None
    moments = [
        value
        for player in (training.g, training.d)
        for state in player.optimizer.state.values()
        for value in state.values()
    ]
    networks = (trainer.generator, trainer.discriminator, trainer.generator_ema)
    tensors = [
        *(weight for network in networks for weight in network.state_dict().values()),
        *(*moments, adaptive._value, adaptive._signs, *trainer._statistics._sums.values()),
    ]
    copies = [tensor.clone() for tensor in tensors]

    def restore() -> None:
        trainer._random.set_state(random)
        for tensor, copy in zip(tensors, copies, strict=True):
            tensor.copy_(copy)

    return restore


def test_a_failed_recording_holds_no_memory_when_the_step_runs_again() -> None:
    held: list[weakref.ref[torch.Tensor]] = []

    class Failing(NoTapes):
        def record(self, run: Callable[[], None]) -> Tape:
            image = torch.ones(3)
            held.append(weakref.ref(image))
            try:
                raise RuntimeError("out of memory")
            except RuntimeError:
                raise RuntimeError("the graph cannot be ended") from None

        def forget(self) -> None:
            order.append("forget")

    order: list[str] = []
    step, found = RecordedStep(Failing()), []
    gc.disable()
    try:
        for _ in range(2):
            step.run(
                "a phase",
                lambda: found.append([one() for one in held]),
                TickStatistics(torch.device("cpu")),
                lambda: order.append("undo"),
            )
    finally:
        gc.enable()
    assert found == [[], [None]]
    assert order == ["undo", "forget"]  # gradients go before their memory is given back


class Cuda:
    """The part of ``torch.cuda`` that records graphs, with so many bytes of memory."""

    OutOfMemoryError = torch.OutOfMemoryError

    def __init__(self, free: int, error: Exception | None = None) -> None:
        self.free, self.error, self.peak = free, error, 9000  # a score has taken much
        self.streams = self.replayed = 0
        self.stream, self.common = 0, torch.Generator()
        self.registered: list[torch.Generator] = []

    def Stream(self, device: torch.device) -> int:
        self.streams += 1
        return self.streams

    @contextmanager
    def graph(self, _graph: Any, _pool: Any, stream: int, **_: Any) -> Iterator[None]:
        before, self.stream = self.stream, stream
        yield
        if self.error is not None and "launch" not in str(self.error):
            raise self.error  # torch stays on the other stream
        self.stream = before

    def current_stream(self, device: torch.device) -> int:
        return self.stream

    def set_stream(self, stream: int) -> None:
        self.stream = stream

    def CUDAGraph(self) -> Cuda:
        return self

    def register_generator_state(self, generator: torch.Generator) -> None:
        self.registered.append(generator)

    def replay(self) -> None:
        for generator in (*self.registered, self.common):
            torch.rand(8, generator=generator)
        if self.error is not None:
            raise self.error
        self.replayed += 1

    def get_rng_state(self, device: torch.device) -> torch.Tensor:
        return self.common.get_state()

    def set_rng_state(self, state: torch.Tensor, device: torch.device) -> None:
        self.common.set_state(state)

    def mem_get_info(self, device: torch.device) -> tuple[int, int]:
        return self.free, 1000

    def memory_allocated(self, device: torch.device) -> int:
        return 100

    def reset_peak_memory_stats(self, device: torch.device) -> None:
        self.peak = 100

    def max_memory_allocated(self, device: torch.device) -> int:
        return self.peak

    def memory_reserved(self, device: torch.device) -> int:
        return 340  # of which 240 are free

    def take(self, size: int) -> None:
        self.peak = max(self.peak, 100 + size)

    def __getattr__(self, name: str) -> Any:
        return {"device": lambda _: nullcontext()}.get(name, lambda *_: None)


@pytest.fixture
def graphs(monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[Cuda, CudaGraphs]]:
    monkeypatch.setattr(CudaGraphs, "are_broken", False)
    recorded_step._recording_stream.cache_clear()

    def make(
        free: int = 600,
        error: Exception | None = None,
        own: torch.Generator | None = None,
    ) -> tuple[Cuda, CudaGraphs]:
        cuda = Cuda(free, error)
        monkeypatch.setattr(torch, "cuda", cuda)
        return cuda, CudaGraphs(torch.device("cpu"), own or torch.Generator())

    return make


def test_a_graph_is_replayed_once_when_it_is_recorded(graphs: Any) -> None:
    own = torch.Generator()
    cuda, recorder = graphs(own=own)
    CudaGraphs(torch.device("cpu"), torch.Generator())
    streams: list[int] = []
    recorder.record(lambda: streams.append(cuda.stream))
    assert (streams, cuda.replayed, cuda.streams, cuda.stream) == ([1], 1, 1, 0)
    assert cuda.registered == [own]  # else each replay would draw the same numbers


@pytest.mark.parametrize(("free", "has_room"), [(201, True), (199, False)])
def test_nothing_is_recorded_where_later_steps_need_the_memory(
    graphs: Any, free: int, has_room: bool
) -> None:
    """2.2 times the 200 bytes of a step are 440: 240 lie in torch's cache, 200 must be free."""
    cuda, recorder = graphs(free=free)
    for size in (50, 200, 100):
        recorder.watch(lambda size=size: cuda.take(size))
    done: list[int] = []
    if has_room:
        recorder.record(lambda: done.append(1))
        recorder.watch(lambda: cuda.take(201))  # a step of another kind takes more
    with pytest.raises(RuntimeError, match="GiB more than there are"):
        recorder.record(lambda: done.append(2))
    assert done == [1] * has_room and not CudaGraphs.are_broken


@pytest.mark.parametrize(
    ("within", "at_end", "is_broken"),
    [
        (torch.OutOfMemoryError("CUDA out of memory"), None, False),
        (RuntimeError("an operation cannot be recorded"), None, False),
        (None, RuntimeError("the capture was invalidated"), True),
        (None, UserWarning("The CUDA Graph is empty."), False),
        (None, RuntimeError("the launch failed"), False),
    ],
)
def test_a_recording_that_fails_leaves_stream_and_random_numbers_as_they_were(
    graphs: Any, within: Exception | None, at_end: Exception | None, is_broken: bool
) -> None:
    """After one that could not be ended, a process records no more."""
    own = torch.Generator()
    cuda, recorder = graphs(error=at_end, own=own)
    states = own.get_state(), cuda.common.get_state()

    def run() -> None:
        if within is not None:
            raise within

    with pytest.raises(RuntimeError, match=str(within or at_end)):
        recorder.record(run)
    assert cuda.stream == cuda.replayed == 0
    assert torch.equal(own.get_state(), states[0])
    assert torch.equal(cuda.common.get_state(), states[1])
    assert CudaGraphs.are_broken == is_broken


def test_a_trainer_and_its_recordings_end_at_once() -> None:
    trainer = trainer_of(config_of(kimg=0.1, tick_kimg=0.1), Tapes())
    list(trainer)
    alive = weakref.ref(trainer.generator)
    gc.disable()
    try:
        del trainer
        assert alive() is None
    finally:
        gc.enable()
