"""A rung that is scored while training goes on: the same run, to the last bit, at any speed."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
import torch

from gantune.config import make_config
from gantune.data import ImageSet
from gantune.errors import ScoreError
from gantune.gan import recorded_step
from gantune.gan.checkpoint import checksum, load_checkpoint, load_generator, load_weights
from gantune.gan.precision import float32_computed
from gantune.gan.sampling import sample_images
from gantune.gan.trainer import Trainer
from gantune.run_folder.trial import TrialFolder
from gantune.scores import Evaluator
from gantune.scores.score import Score
from gantune.trial import scorer as module
from gantune.trial.background import in_background
from gantune.trial.records import Outcome, RungReport
from gantune.trial.run import Run
from gantune.trial.scorer import Scorer
from gantune.trial.scoring import ScorePolicy
from tests.examples import in_integration
from tests.trial.runs import CONFIG, AnyRun, make_evaluator

AnyFuture = Future[Any]

MANY_PHASES = {
    "batch_size": 8,
    "loss": "wgan",
    "penalties": {"gradient_penalty": {"weight": 10, "interval": 3}},
    "augment": {"probability": "adaptive", "translation": True},
}
"""Steps of several kinds, some of which come first while a rung is scored."""


@pytest.fixture
def run(tmp_path: Path, evaluator: Evaluator, images: ImageSet) -> AnyRun:
    return AnyRun("recorded", tmp_path / "run", evaluator, images)


@pytest.fixture(scope="module")
def between(
    tmp_path_factory: pytest.TempPathFactory, evaluator: Evaluator, images: ImageSet
) -> tuple[AnyRun, Outcome]:
    """A run that is scored between its steps."""
    run = AnyRun("recorded", tmp_path_factory.mktemp("between") / "run", evaluator, images)
    with patch.object(Scorer, "can_begin", False):
        return run, run.train()


def fast(work: Callable[[], Any], device: object = None) -> AnyFuture:
    """Ends before training goes on."""
    future = in_background(work)
    future.exception()
    return future


class Slow:
    """Begins only where training waits for its end."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._is_awaited, wait = threading.Event(), Scorer.wait

        def waited(scorer: Scorer) -> float:
            self._is_awaited.set()
            return wait(scorer)

        monkeypatch.setattr(Scorer, "wait", waited)

    def __call__(self, work: Callable[[], Any], device: object = None) -> AnyFuture:
        self._is_awaited.clear()

        def later() -> Any:
            self._is_awaited.wait()
            return work()

        return in_background(later)


def at_speed(speed: str, monkeypatch: pytest.MonkeyPatch) -> list[AnyFuture]:
    """Scores in the background at a speed; a list of what is scored there."""
    start: Callable[..., AnyFuture] = in_background
    if speed != "own":
        start = Slow(monkeypatch) if speed == "slow" else fast
    begun: list[AnyFuture] = []

    def noted(work: Callable[[], Any], device: object = None) -> AnyFuture:
        begun.append(start(work, device))
        return begun[-1]

    monkeypatch.setattr(module, "in_background", noted)
    return begun


SPEEDS = pytest.mark.parametrize("speed", ["fast", "slow"])


def files(folder: TrialFolder) -> list[str]:
    """The content of both checkpoints, without times."""
    last, best = load_checkpoint(folder.last), load_weights(folder.best)
    state = {**last.trainer, "seconds": 0}
    weights = {name: getattr(best, name) for name in ("generator", "discriminator")}
    return [checksum({"state": state}), checksum({"kimg": best.kimg, **weights})]


@SPEEDS
def test_it_is_the_same_run_at_any_speed(
    run: AnyRun, between: tuple[AnyRun, Outcome], monkeypatch: pytest.MonkeyPatch, speed: str
) -> None:
    begun = at_speed(speed, monkeypatch)
    undisturbed, expected = between
    outcome = run.train()
    assert len(begun) == 3
    assert (outcome.score, outcome.best_kimg) == (expected.score, expected.best_kimg)
    assert (outcome.kimg, outcome.step) == (expected.kimg, expected.step)
    assert [(r.kimg, r.step, r.score) for r in run.reports] == [
        (r.kimg, r.step, r.score) for r in undisturbed.reports
    ]
    assert run.content() == undisturbed.content()
    assert files(run.folder) == files(undisturbed.folder)
    for kimg, path in run.folder.grids().items():
        assert path.read_bytes() == undisturbed.folder.grid(kimg).read_bytes()


@SPEEDS
@pytest.mark.parametrize("rung", [0.5, *in_integration(0.25)])
def test_a_run_that_is_stopped_ends_at_its_rung_and_can_go_on(
    run: AnyRun,
    between: tuple[AnyRun, Outcome],
    monkeypatch: pytest.MonkeyPatch,
    speed: str,
    rung: float,
) -> None:
    at_speed(speed, monkeypatch)
    undisturbed, expected = between
    outcome = run.train(lambda report: report.rung < rung)
    (at,) = [report for report in undisturbed.reports if report.rung == rung]
    assert (outcome.ending, outcome.kimg, outcome.step) == ("pruned", at.kimg, at.step)
    assert run.folder.ticks()[-1]["kimg"] == at.kimg  # the tick after it is none of the run's
    assert load_checkpoint(run.folder.last).kimg == at.kimg
    assert run.train().score == expected.score
    assert run.content() == undisturbed.content()
    assert files(run.folder) == files(undisturbed.folder)


@SPEEDS
def test_samples_that_are_not_finite_end_the_run_at_their_rung(
    run: AnyRun, monkeypatch: pytest.MonkeyPatch, speed: str
) -> None:
    begun, score = at_speed(speed, monkeypatch), Evaluator.score

    def fails_later(self: Evaluator, sample: object, **values: bool) -> Score:
        if run.reports:
            raise ScoreError("not finite")
        return score(self, sample, **values)

    monkeypatch.setattr(Evaluator, "score", fails_later)
    outcome = run.train()
    assert len(begun) == 2
    assert (outcome.ending, outcome.score) == ("diverged", None)
    assert outcome.verdict is not None and outcome.verdict.at == outcome.kimg
    assert outcome.kimg == run.folder.ticks()[-1]["kimg"] < 0.5


def test_an_error_in_the_background_ends_the_run(
    run: AnyRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_speed("fast", monkeypatch)

    def breaks(*_: object) -> None:
        raise ZeroDivisionError("boom")

    monkeypatch.setattr(Scorer, "_samples", breaks)
    with pytest.raises(ZeroDivisionError, match="boom"):
        run.train()


def test_nothing_is_left_in_the_background_by_a_run_that_breaks(
    run: AnyRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, score = at_speed("own", monkeypatch), Evaluator.score

    def slowly(self: Evaluator, sample: object, **values: bool) -> Score:
        if threading.current_thread() is not threading.main_thread():
            time.sleep(0.3)
        return score(self, sample, **values)

    def killed() -> None:
        if begun:
            assert not begun[0].done()
            raise KeyboardInterrupt

    monkeypatch.setattr(Evaluator, "score", slowly)
    run.heartbeat = killed
    with pytest.raises(KeyboardInterrupt):
        run.train()
    assert [future.done() for future in begun] == [True]


@SPEEDS
@pytest.mark.parametrize("times", [1, 2])
def test_a_run_that_is_broken_off_in_the_tick_after_a_rung_resumes_from_that_rung(
    run: AnyRun,
    between: tuple[AnyRun, Outcome],
    monkeypatch: pytest.MonkeyPatch,
    speed: str,
    times: int,
) -> None:
    begun, (undisturbed, expected) = at_speed(speed, monkeypatch), between

    def interrupted(self: Run, step: Callable[[Run], None] = Run.take_score) -> None:
        if len(begun) == times and self._begun is not None:
            raise KeyboardInterrupt
        step(self)

    with monkeypatch.context() as patches, pytest.raises(KeyboardInterrupt):
        patches.setattr(Run, "take_score", interrupted)
        run.train()
    at = undisturbed.reports[times - 1]
    assert load_checkpoint(run.folder.last).kimg == run.folder.scores()[-1]["kimg"] == at.kimg
    run.reports.clear()
    assert run.train().score == expected.score
    assert run.reports[0].rung == at.rung  # asked again, as there was no answer
    assert run.content() == undisturbed.content()
    assert files(run.folder) == files(undisturbed.folder)


def test_a_rung_is_told_where_memory_ends_in_the_tick_after_it(
    run: AnyRun, between: tuple[AnyRun, Outcome], monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, take = at_speed("slow", monkeypatch), Run.take_score

    def full(self: Run) -> None:
        monkeypatch.setattr(Run, "take_score", take)
        raise torch.OutOfMemoryError("CUDA out of memory")

    def after_a_rung(self: Run) -> None:
        full(self) if begun else take(self)

    monkeypatch.setattr(Run, "take_score", after_a_rung)
    assert run.train().ending == "out_of_memory"
    (report,), expected = run.reports, between[0].reports[0]
    assert (report.rung, report.score) == (expected.rung, expected.score)
    assert load_checkpoint(run.folder.last).kimg == report.kimg


def test_without_memory_for_a_copy_a_rung_is_scored_between_steps(
    run: AnyRun, between: tuple[AnyRun, Outcome], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: Trainer) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    begun = at_speed("own", monkeypatch)
    monkeypatch.setattr(Trainer, "frozen_sampler", full)
    assert run.train().score == between[1].score
    assert begun == [] and run.content() == between[0].content()


def test_memory_that_ends_in_the_background_is_none_of_the_runs_faults(
    run: AnyRun,
    between: tuple[AnyRun, Outcome],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A score between two steps needs less, and it takes over."""
    begun, score = at_speed("slow", monkeypatch), Evaluator.score
    main = threading.current_thread()

    def only_between(self: Evaluator, sample: object, **values: bool) -> Score:
        if threading.current_thread() is not main:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return score(self, sample, **values)

    monkeypatch.setattr(Evaluator, "score", only_between)
    outcome = run.train()
    assert (outcome.ending, outcome.score) == ("completed", between[1].score)
    assert run.content() == between[0].content()
    assert len(begun) == 1  # it is not tried again
    told = [line for line in caplog.messages if "no memory to score a rung while" in line]
    assert len(told) == 1 and str(run.folder.path) in told[0]


def test_steps_that_are_not_replayed_wait_as_settings_are_those_of_the_process(
    run: AnyRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    run.config = make_config({**CONFIG, **MANY_PHASES})
    begun, scored, score = at_speed("own", monkeypatch), threading.Event(), Evaluator.score
    waited = list[bool]()

    def slowly(self: Evaluator, sample: object, **values: bool) -> Score:
        if threading.current_thread() is not threading.main_thread():
            scored.set()
            time.sleep(0.05)
        try:
            return score(self, sample, **values)
        finally:
            scored.clear()

    def of_training(how: Any) -> AbstractContextManager[None]:
        waited.append(not scored.is_set())
        return float32_computed(how)

    monkeypatch.setattr(Evaluator, "score", slowly)
    monkeypatch.setattr(recorded_step, "float32_computed", of_training)
    run.train()
    assert len(begun) == 3 and waited and all(waited)


def test_a_users_network_is_asked_between_steps(
    run: AnyRun, images: ImageSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = at_speed("fast", monkeypatch)
    own = make_evaluator(images, tmp_path / "extractor", "random")
    monkeypatch.setattr(type(own.extractor.module), "is_users", True)
    run.policy = ScorePolicy(None, own, images)
    assert run.train().ending == "completed"
    assert begun == []


@pytest.mark.parametrize(("seconds", "times"), [(0.0, 0), (1.5, 0), (2.5, 2)])
def test_a_trial_trains_on_only_where_that_costs_no_more_than_the_score(
    run: AnyRun, monkeypatch: pytest.MonkeyPatch, seconds: float, times: int
) -> None:
    """Most of them end at a rung, and then the tick beside the score was for nothing."""
    begun, run.name = at_speed("fast", monkeypatch), "trials/0000"

    def took(report: RungReport) -> bool:
        scorers[-1].seconds = seconds
        return True

    record = Run.record

    def at_two_seconds_a_tick(self: Run, tick: dict[str, Any]) -> None:
        record(self, {**tick, "seconds": 20 * tick["kimg"]})

    scorers, init = list[Scorer](), Scorer.__init__

    def noted(self: Scorer, *arguments: Any) -> None:
        init(self, *arguments)
        scorers.append(self)

    monkeypatch.setattr(Scorer, "__init__", noted)
    monkeypatch.setattr(Run, "record", at_two_seconds_a_tick)
    run.train(took)
    assert len(begun) == times  # never at the first rung, before a score has taken any time


def test_heartbeats_come_from_both(run: AnyRun, monkeypatch: pytest.MonkeyPatch) -> None:
    """A score may take longer than a process may be silent."""
    at_speed("slow", monkeypatch)
    threads = set[bool]()
    run.heartbeat = lambda: threads.add(threading.current_thread() is threading.main_thread())
    run.train()
    assert threads == {True, False}


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_on_a_gpu_the_score_is_that_of_the_weights_at_the_rung(
    images: ImageSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, device = at_speed("own", monkeypatch), torch.device("cuda", 0)
    evaluator = make_evaluator(images, tmp_path / "extractor", "random", device=device)
    run = AnyRun("recorded", tmp_path / "run", evaluator, images, device)
    outcome = run.train()
    assert len(begun) == 3
    generator = load_generator(run.folder.best, device)
    expected = evaluator.score(partial(sample_images, generator))
    (at_best,) = [report for report in run.reports if report.kimg == outcome.best_kimg]
    assert at_best.score == expected


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    before = set(threading.enumerate())
    yield
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        new = set(threading.enumerate()) - before
        left = [one for one in new if "ThreadPool" in one.name]
        if not left:
            return
        time.sleep(0.01)
    raise AssertionError(left)
