"""The contract of every run, whatever its trainer and its checkpoint store."""

from __future__ import annotations

import errno
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from gantune.data import ImageSet
from gantune.errors import CheckpointError, ScoreError
from gantune.gan.checkpoint import load_checkpoint
from gantune.io import files
from gantune.scores import Evaluator
from gantune.trial.records import Outcome, RungReport
from tests.examples import in_integration
from tests.trial.runs import KINDS, RUNGS, AnyRun, Kind


@pytest.fixture(scope="module", params=KINDS)
def kind(request: pytest.FixtureRequest) -> Kind:
    found: Kind = request.param
    return found


@pytest.fixture
def run(kind: Kind, tmp_path: Path, evaluator: Evaluator, images: ImageSet) -> AnyRun:
    return AnyRun(kind, tmp_path / "run", evaluator, images)


@pytest.fixture(scope="module")
def whole(
    kind: Kind, tmp_path_factory: pytest.TempPathFactory, evaluator: Evaluator, images: ImageSet
) -> tuple[AnyRun, Outcome]:
    """A run that nothing disturbs, and its outcome."""
    run = AnyRun(kind, tmp_path_factory.mktemp("whole") / "run", evaluator, images)
    return run, run.train()


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def flip_bit(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 8
    path.write_bytes(content)


def test_a_whole_run_is_scored_at_its_rungs(run: AnyRun) -> None:
    outcome = run.train()
    assert outcome.ending == "completed" and outcome.verdict is None
    assert [report.rung for report in run.reports] == list(RUNGS)
    assert [line["rung"] for line in run.folder.scores() if line["rung"]] == list(RUNGS)
    best = min(run.reports, key=lambda report: report.score.value)
    assert outcome.best_kimg == best.kimg
    assert run.reports[-1].best_kimg == best.kimg
    assert outcome.score is not None
    full = [line["value"] for line in run.folder.scores() if line["rung"] is None]
    assert outcome.score.value == (best.score.value if run.kind == "value" else full[-1])
    assert run.folder.ticks()[-1]["kimg"] == outcome.kimg == run.reports[-1].kimg == 0.8
    assert outcome.step == run.reports[-1].step > 0
    assert outcome.seconds > 0 and outcome.scoring_seconds > 0
    assert len(run.folder.grids()) == (0 if run.kind == "value" else 3)
    assert run.folder.neighbours.exists() == (run.kind != "value")


def test_stop_answer_of_the_driver_ends_the_run_at_that_rung(run: AnyRun) -> None:
    outcome = run.train(lambda report: report.rung < 0.5)
    assert (outcome.ending, outcome.score) == ("pruned", None)
    assert outcome.kimg == run.reports[-1].kimg == pytest.approx(0.4, abs=0.02)
    assert run.reports[-1].pruned().best_kimg == outcome.best_kimg


@pytest.mark.parametrize(
    "rung",
    [RUNGS[0], *in_integration(*RUNGS[1:])],
)
def test_a_run_killed_at_a_rung_resumes_bit_for_bit(
    run: AnyRun, whole: tuple[AnyRun, Outcome], rung: float
) -> None:
    undisturbed, expected = whole
    run.killed_at(rung)
    later = {**run.folder.ticks()[-1], "kimg": 0.9}  # after the last checkpoint
    run.folder.add_tick(later)
    outcome = run.train()
    assert run.reports[0].rung == rung  # the kill may have come before the answer
    assert (outcome.score, outcome.best_kimg) == (expected.score, expected.best_kimg)
    assert (outcome.kimg, outcome.step) == (expected.kimg, expected.step)
    assert run.content() == undisturbed.content()


def test_files_are_whole_where_they_are_sent_with_a_question(
    run: AnyRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on Ray, where a run goes on from them on another machine."""
    write = files.write_bytes

    def slowly(*arguments: Any, **named: Any) -> None:
        time.sleep(0.05)
        write(*arguments, **named)

    monkeypatch.setattr("gantune.gan.checkpoint.write_bytes", slowly)
    run.sends_files = True
    at_rungs = list[float]()

    def sent(report: RungReport) -> bool:
        if run.is_own:
            at_rungs.append(load_checkpoint(run.folder.last).kimg - report.kimg)
        else:
            at_rungs.append(float(run.last.read_text()) - report.kimg)
        return True

    run.train(sent)
    assert at_rungs == [0.0, 0.0, 0.0]


def test_a_run_killed_before_its_rung_is_on_the_disk_repeats_that_rung(
    run: AnyRun, whole: tuple[AnyRun, Outcome], monkeypatch: pytest.MonkeyPatch
) -> None:
    if not run.is_own:
        pytest.skip("a user's files are whole when the driver is asked")
    undisturbed, expected = whole

    def killed(*_: object) -> None:
        raise OSError("never written")

    def answer(report: RungReport) -> bool:
        monkeypatch.setattr("gantune.gan.checkpoint.write_bytes", killed)
        if report.rung == 0.5:
            raise KeyboardInterrupt
        return True

    with pytest.raises(KeyboardInterrupt):
        run.train(answer)
    monkeypatch.undo()
    assert load_checkpoint(run.folder.last).kimg == run.reports[0].kimg < run.reports[1].kimg
    run.reports.clear()
    outcome = run.train()
    assert [report.rung for report in run.reports] == list(RUNGS)  # asked again about the first
    assert (outcome.score, outcome.best_kimg) == (expected.score, expected.best_kimg)
    assert run.content() == undisturbed.content()


def test_stop_answer_lost_in_a_kill_is_requested_again(run: AnyRun) -> None:
    run.killed_at(0.25)
    outcome = run.train(lambda report: False)
    assert (outcome.ending, outcome.kimg) == ("pruned", run.reports[0].kimg)


@pytest.mark.parametrize(
    "damage",
    [truncate, *in_integration(flip_bit, Path.unlink)],
)
def test_a_damaged_checkpoint_costs_one_rung(
    run: AnyRun,
    whole: tuple[AnyRun, Outcome],
    damage: Callable[[Path], None],
    caplog: pytest.LogCaptureFixture,
) -> None:
    undisturbed, expected = whole
    run.killed_at(0.5)
    damage(run.last)
    outcome = run.train()
    assert [report.rung for report in run.reports] == list(RUNGS)  # the first one again
    assert (outcome.score, outcome.best_kimg) == (expected.score, expected.best_kimg)
    assert run.content() == undisturbed.content()
    if run.last.name != "last.pt" or damage is not Path.unlink:
        assert "damaged" in caplog.records[0].getMessage()
        assert caplog.records[0].getMessage().endswith("not used")


def test_lost_best_checkpoint_means_a_fresh_start(
    run: AnyRun, caplog: pytest.LogCaptureFixture
) -> None:
    run.killed_at(1.0)
    best = min(RUNGS, key=lambda rung: _value_at(run, rung))
    damaged = [run.best] if best != 1.0 else [run.best, run.last]
    for path in damaged:
        truncate(path)
    if best != 1.0:
        for backup in (run.folder.last_backup, run.folder.best_backup):
            backup.unlink(missing_ok=True)
        for name in (".last.old", ".best.old"):
            for file in (run.folder.path / name).glob("*"):
                file.unlink()
    outcome = run.train()
    assert outcome.ending == "completed"
    if best != 1.0:
        assert [report.rung for report in run.reports] == list(RUNGS)
        assert "are lost" in caplog.text


def _value_at(run: AnyRun, rung: float) -> float:
    (value,) = [line["value"] for line in run.folder.scores() if line["rung"] == rung]
    return float(value)


def test_run_of_another_config_starts_from_scratch(run: AnyRun) -> None:
    run.killed_at(0.5)
    run.change_config()
    assert run.train().ending == "completed"
    assert [report.rung for report in run.reports] == list(RUNGS)


def test_run_that_must_resume_never_starts_from_scratch(run: AnyRun) -> None:
    run.killed_at(0.5)
    run.change_config()
    run.must_resume, before = True, run.content()
    with pytest.raises(CheckpointError, match="can only start from scratch"):
        run.train()
    assert run.content() == before


def test_seconds_of_scoring_are_counted_over_restarts(run: AnyRun) -> None:
    run.killed_at(0.5)
    spent = run.folder.scores()[-1]["scoring_seconds"]
    assert run.train().scoring_seconds > spent > 0


@pytest.fixture
def scored_by_images(run: AnyRun) -> AnyRun:
    if run.kind == "value":
        pytest.skip("has no pictures")
    return run


def test_full_disk_for_a_picture_keeps_the_score(
    scored_by_images: AnyRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full_disk(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    run = scored_by_images
    monkeypatch.setattr("gantune.trial.scorer.save_grid", full_disk)
    with pytest.raises(OSError, match="No space left"):
        run.train()
    assert [line["rung"] for line in run.folder.scores() if line["rung"]] == [0.25]
    assert run.last.exists() and run.best.exists()


def test_score_is_kept_when_a_picture_cannot_be_drawn(
    scored_by_images: AnyRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    def not_finite(*_: object) -> None:
        raise ScoreError("not finite")

    monkeypatch.setattr(Evaluator, "nearest_training", not_finite)
    outcome = scored_by_images.train()
    assert outcome.ending == "completed" and outcome.score is not None
    assert not scored_by_images.folder.neighbours.exists()


def test_samples_that_are_not_finite_have_diverged(
    scored_by_images: AnyRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, score = scored_by_images, Evaluator.score

    def fails_later(self: Evaluator, sample: object, *, full: bool = False, **_: bool) -> object:
        if run.reports:
            raise ScoreError("not finite")
        return score(self, sample, full=full)

    monkeypatch.setattr(Evaluator, "score", fails_later)
    outcome = run.train()
    assert (outcome.ending, outcome.score) == ("diverged", None)
    assert outcome.verdict is not None and outcome.verdict.sentence == "not finite"


def test_running_out_of_memory_is_an_outcome(run: AnyRun, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    run.on_draw = full
    monkeypatch.setattr(Evaluator, "score", full)
    outcome = run.train()
    assert (outcome.ending, outcome.score) == ("out_of_memory", None)
    assert outcome.error.startswith("out of memory on cpu ") and "smaller batch" in outcome.error


def test_an_error_at_the_last_rung_is_raised(run: AnyRun, monkeypatch: pytest.MonkeyPatch) -> None:
    """It comes before the end of the run, so a worker retries the trial."""
    score = Evaluator.score

    def breaks(self: Evaluator, sample: object, *, full: bool = False, **_: bool) -> object:
        if len(run.reports) == 2:
            raise ZeroDivisionError("boom")
        return score(self, sample, full=full)

    def break_draw(kimg: float) -> None:
        if kimg == 0.8:
            raise ZeroDivisionError("boom")

    run.on_draw = break_draw
    monkeypatch.setattr(Evaluator, "score", breaks)
    with pytest.raises(ZeroDivisionError, match="boom"):
        run.train()
    assert run.reports[-1].rung == 0.5
