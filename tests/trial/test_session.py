"""What an external trainer may report to its session, and the outcomes of its run."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from gantune import TrialStopped
from gantune.config import make_external_config
from gantune.errors import TrainerError
from gantune.run_folder.trial import TrialFolder
from gantune.scores import Protocol
from gantune.trial import external
from gantune.trial.checkpoint_files import keep_copy, read_copy, remove_backups, restore
from gantune.trial.records import Assignment, Report, RungReport
from gantune.trial.run import run_trial
from gantune.trial.scoring import ScorePolicy
from gantune.trial.session import Session

CPU = torch.device("cpu")
PROTOCOL = Protocol.external("mmd", "mine.py:train")


class Run:
    """One run in a folder, with given answers of the driver. Its reports are recorded."""

    def __init__(self, path: Path, answers: bool = True, stability: Any = "off", **values: Any):
        config = make_external_config("mine.py:train", {"kimg": 1.0, **values})
        self.asked: list[RungReport] = []
        self.folder = TrialFolder(path)
        path.mkdir(exist_ok=True)

        def answer(report: Report) -> bool:
            assert isinstance(report, RungReport)  # a pace report needs peers
            self.asked.append(report)
            return answers

        assignment = Assignment("trials/0000", config, (0.25, 0.5, 1.0), stability)
        self.session = Session(assignment, self.folder, CPU, ScorePolicy(PROTOCOL), answer)

    def __call__(self, trainer: Callable[[dict[str, Any], Session], object]) -> Any:
        return run_trial(partial(external.train, trainer=trainer), self.session)


def steps(session: Session, *scores: float, begin: float = 0.25) -> None:
    """Reports and scores at each quarter."""
    for number, score in enumerate(scores):
        session.report(kimg=begin + 0.25 * number, d_loss=1.0)
        session.score(score)


def test_best_is_chosen_at_rungs_and_every_score_is_kept(tmp_path: Path) -> None:
    run = Run(tmp_path / "t")
    outcome = run(lambda config, session: steps(session, 3.0, 1.0, 0.5, 2.0))
    assert (outcome.ending, outcome.kimg, outcome.best_kimg) == ("completed", 1.0, 0.5)
    assert outcome.score.value == 1.0  # 0.5 was reported where no rung was due
    assert outcome.score.name == "mmd"
    assert outcome.score.recall is outcome.score.error is None
    assert [(r.rung, r.score.value) for r in run.asked] == [(0.25, 3.0), (0.5, 1.0), (1.0, 2.0)]
    lines = [(line["kimg"], line["rung"], line["value"]) for line in run.folder.scores()]
    assert lines == [(0.25, 0.25, 3.0), (0.5, 0.5, 1.0), (0.75, None, 0.5), (1.0, 1.0, 2.0)]


def test_numbers_come_in_many_forms(tmp_path: Path) -> None:
    def train(config: dict[str, Any], session: Session) -> None:
        loss = torch.tensor(1.5, requires_grad=True)
        half: Any = np.float32(0.5)
        session.report(kimg=half, d_loss=loss, g_loss=np.int64(2), spread=None)
        session.report(kimg=1, d_loss=math.nan)
        session.score(torch.tensor(0.25))

    run = Run(tmp_path / "t")
    assert run(train).score.value == 0.25
    first, second = run.folder.ticks()
    told = {k: v for k, v in first.items() if k not in ("seconds", "images_per_second")}
    assert told == {"kimg": 0.5, "d_loss": 1.5, "g_loss": 2.0}
    assert math.isnan(second["d_loss"])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda s: s.report(kimg=-1), "kimg=-1: a finite number from 0 up"),
        (lambda s: s.report(kimg=math.nan), "kimg=nan: a finite number"),
        (lambda s: s.report(kimg="much"), "kimg is 'much'; a number is needed"),
        (lambda s: s.report(kimg=0.1), "kimg=0.1 lies before 0.2"),
        (lambda s: s.report(kimg=1, d_loss="low"), "d_loss is 'low'; a number"),
        (lambda s: s.report(kimg=1, is_good=True), "is_good is True; a number is needed"),
        (lambda s: s.report(kimg=True), "kimg is True; a number is needed"),
        (lambda s: s.report(kimg=1, d_loss=torch.zeros(3)), r"d_loss is an array of shape \[3\]"),
        (lambda s: s.score(), "either a number or images="),
        (lambda s: s.score(1.0, images=len), "either a number or images="),
        (lambda s: s.score([1]), r"value is \[1\]; a number"),
        (lambda s: s.score(images=3), "images is a int; a function"),
        (lambda s: s.score(images=len), r"objective: \{score: mmd\}"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, call: Any, message: str) -> None:
    def train(config: dict[str, Any], session: Session) -> None:
        session.report(kimg=0.2)
        call(session)

    with pytest.raises(TrainerError, match=message):
        Run(tmp_path / "t")(train)


def test_pruned_run_ends_even_if_it_does_not_check(tmp_path: Path) -> None:
    told = []

    def train(config: dict[str, Any], session: Session) -> None:
        while True:
            try:
                session.report(kimg=session.kimg + 0.25)
                session.score(1.0)
            except Exception:
                pytest.fail("no Exception")
            except TrialStopped as stop:
                told.append(str(stop))
                raise

    run = Run(tmp_path / "t", answers=False)
    outcome = run(train)
    assert (outcome.ending, outcome.kimg, outcome.score) == ("pruned", 0.25, None)
    assert told == ["pruned by rank"]
    assert len(run.folder.ticks()) == 1  # ticks after the stop are not recorded


def test_health_stops_a_run(tmp_path: Path) -> None:
    def train(config: dict[str, Any], session: Session) -> None:
        while not session.should_stop:
            session.report(kimg=session.kimg + 0.01, d_loss=math.nan, g_loss=1.0)

    outcome = Run(tmp_path / "t", stability="default")(train)
    assert outcome.ending == "diverged"
    assert "D loss not finite" in outcome.verdict.sentence
    assert outcome.kimg < 0.2


def test_nan_score_ends_the_run(tmp_path: Path) -> None:
    outcome = Run(tmp_path / "t")(lambda config, session: steps(session, 1.0, math.inf, 1.0))
    assert (outcome.ending, outcome.kimg, outcome.score) == ("diverged", 0.5, None)
    assert "inf" in outcome.verdict.sentence


@pytest.mark.parametrize(
    ("train", "message"),
    [
        (lambda config, session: None, r"without a report; call session.report\(kimg"),
        (lambda config, session: session.report(kimg=2), r"at 2 kimg without a score; call sess"),
        (lambda config, session: exit(3), r"ended with SystemExit\(3\)"),
    ],
)
def test_trainer_that_returns_early(tmp_path: Path, train: Any, message: str) -> None:
    with pytest.raises(TrainerError, match=message):
        Run(tmp_path / "t")(train)


def test_trainer_that_returns_early_is_scored_at_its_last_kimg(tmp_path: Path) -> None:
    run = Run(tmp_path / "t")
    outcome = run(lambda config, session: steps(session, 2.0, 3.0))
    assert (outcome.ending, outcome.kimg, outcome.score.value) == ("completed", 0.5, 2.0)
    before = Run(tmp_path / "u")
    early = before(lambda config, session: steps(session, 5.0, begin=0.1))
    assert (early.kimg, early.score.value) == (0.1, 5.0)
    assert read_copy(before.folder.external_best) is not None


def test_out_of_memory_is_an_outcome(tmp_path: Path) -> None:
    def train(config: dict[str, Any], session: Session) -> None:
        session.report(kimg=0.5)
        torch.empty(1 << 50)

    outcome = Run(tmp_path / "t")(train)
    assert (outcome.ending, outcome.kimg) == ("out_of_memory", 0.5)
    assert "smaller batch" in outcome.error


def test_the_last_rung_ends_a_run_that_goes_past_its_budget(tmp_path: Path) -> None:
    seen = []

    def train(config: dict[str, Any], session: Session) -> None:
        session.report(kimg=5)
        seen.append((session.should_score, session.should_stop))
        session.score(1.0)
        seen.append((session.should_score, session.should_stop))
        session.report(kimg=6)

    outcome = Run(tmp_path / "t")(train)
    assert seen == [(True, False), (False, True)]
    assert (outcome.ending, outcome.kimg) == ("completed", 5.0)


def test_crashed_run_resumes_from_its_last_rung(tmp_path: Path) -> None:
    def write(session: Session, text: str) -> None:
        (session.checkpoint_dir / "deep").mkdir(exist_ok=True)
        (session.checkpoint_dir / "deep/weights").write_text(text)

    def breaks(config: dict[str, Any], session: Session) -> None:
        session.report(kimg=0.5, d_loss=1.0, step=7)
        write(session, "at 0.5")
        session.score(1.0)
        write(session, "later")
        session.report(kimg=0.75)
        session.score(0.5)
        raise RuntimeError("boom")

    def goes_on(config: dict[str, Any], session: Session) -> None:
        assert session.kimg == 0.5
        assert (session.checkpoint_dir / "deep/weights").read_text() == "at 0.5"
        assert [line["kimg"] for line in TrialFolder(tmp_path / "t").ticks()] == [0.5]
        write(session, "at 1")
        session.report(kimg=1)
        session.score(3.0)

    with pytest.raises(RuntimeError, match="boom"):
        Run(tmp_path / "t")(breaks)
    again = Run(tmp_path / "t")
    outcome = again(goes_on)
    assert [report.rung for report in again.asked] == [0.5, 1.0]  # the first may have been missed
    assert (outcome.score.value, outcome.best_kimg, outcome.step) == (1.0, 0.5, 7)
    assert (again.folder.external_best / "deep/weights").read_text() == "at 0.5"
    assert (again.folder.external_last / "deep/weights").read_text() == "at 1"
    other = Run(tmp_path / "t", lr=1.0)  # another config starts from scratch
    other(lambda config, session: steps(session, 1.0, 1.0, 1.0, 1.0))
    assert not list(other.folder.checkpoints.iterdir())


def test_a_forked_child_cannot_use_the_session(tmp_path: Path) -> None:
    def train(config: dict[str, Any], session: Session) -> None:
        session.report(kimg=1)
        read, write = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                session.report(kimg=1)
            except TrainerError as error:
                os.write(write, str(error).encode())
            os._exit(0)
        os.waitpid(child, 0)
        assert b"belongs to process" in os.read(read, 1000)
        session.score(1.0)

    assert Run(tmp_path / "t")(train).score.value == 1.0


def test_config_is_the_users_mapping(tmp_path: Path) -> None:
    given: list[Any] = []

    def train(config: dict[str, Any], session: Session) -> None:
        given.append(config)
        given.append((torch.rand(1).item(), np.random.rand()))
        steps(session, 1.0, 1.0, 1.0, 1.0)

    Run(tmp_path / "t", net={"widths": [1, 2]})(train)
    Run(tmp_path / "u", seed=1)(train)
    Run(tmp_path / "v")(train)
    assert given[0] == {"kimg": 1.0, "net": {"widths": [1, 2]}, "seed": 0}
    assert given[1] == given[5] != given[3]


def test_copies_are_complete_or_absent(tmp_path: Path) -> None:
    source, copy = tmp_path / "source", tmp_path / "copy"
    source.mkdir()
    (source / "file").write_text("one")
    assert read_copy(copy) is None
    keep_copy(source, copy, {"kimg": 1})
    (source / "file").write_text("two")
    keep_copy(copy, tmp_path / "best", {"kimg": 1}, linked=True)
    (tmp_path / ".copy.new").mkdir()  # left by a kill during the copy
    (tmp_path / ".copy.new/other").write_text("half")
    copy.rename(tmp_path / ".copy.old")  # left by a kill between two renames
    assert read_copy(copy) == {"kimg": 1}
    restore(copy, tmp_path / "again")
    assert [path.name for path in (tmp_path / "again").iterdir()] == ["file"]
    assert (tmp_path / "again/file").read_text() == "one"
    keep_copy(source, copy, {"kimg": 2})
    assert read_copy(copy) == {"kimg": 2}
    assert sorted(path.name for path in copy.iterdir()) == [".gantune.json", "file"]
    assert read_copy(tmp_path / "best") == {"kimg": 1}


def keeping(stop_after: float = math.inf) -> Callable[[dict[str, Any], Session], None]:
    """Saves at each rung; the first is the best."""

    def train(config: dict[str, Any], session: Session) -> None:
        while not session.should_stop:
            kimg = session.kimg + 0.125
            session.report(kimg=kimg, d_loss=1.0)
            if session.should_score:
                (session.checkpoint_dir / "weights").write_text(f"at {kimg:g}")
                session.score(1.0 + kimg)
            if kimg > stop_after:
                raise ValueError("a fault of the machine")

    return train


def lose_note(copy: Path) -> None:
    (copy / ".gantune.json").write_text('{"kimg": 0.')


def change_byte(copy: Path) -> None:
    (copy / "weights").write_text((copy / "weights").read_text().replace("a", "b"))


def cut_file(copy: Path) -> None:
    (copy / "weights").write_text("a")


def lose_file(copy: Path) -> None:
    (copy / "weights").unlink()


@pytest.mark.parametrize("damage", [lose_note, change_byte, cut_file, lose_file])
def test_a_damaged_copy_costs_one_rung(
    tmp_path: Path, damage: Callable[[Path], None], caplog: pytest.LogCaptureFixture
) -> None:
    broken = Run(tmp_path / "t")
    with pytest.raises(ValueError, match="fault"):
        broken(keeping(stop_after=0.5))
    copy = broken.folder.external_last
    damage(copy)
    again = Run(tmp_path / "t")
    outcome = again(keeping())
    assert [report.rung for report in again.asked] == [
        0.25,
        0.5,
        1.0,
    ]  # the first one is reported again
    assert (outcome.score.value, outcome.best_kimg) == (1.25, 0.25)
    assert (again.folder.external_best / "weights").read_text() == "at 0.25"
    assert (again.folder.external_last / "weights").read_text() == "at 1"
    kimgs = [line["kimg"] for line in again.folder.ticks()]
    assert kimgs == [step / 8 for step in range(1, 9)]
    (line,) = [record.getMessage() for record in caplog.records]
    assert line.startswith(f"{copy}: damaged") and line.endswith("not used")


def test_lost_best_copy_means_a_fresh_start(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    broken = Run(tmp_path / "t")
    with pytest.raises(ValueError, match="fault"):
        broken(keeping(stop_after=0.5))
    remove_backups(broken.folder.external_last)
    lose_file(broken.folder.external_best)
    again = Run(tmp_path / "t")
    outcome = again(keeping())
    assert [report.rung for report in again.asked] == [0.25, 0.5, 1.0]
    assert outcome.best_kimg == 0.25
    assert "the files of 0.25 kimg are lost" in caplog.text


STILL = {"preset": "off", "discriminator_won": {"patience": 0.3, "progress": 0.5}}


def learning(stop_at: float = math.inf) -> Callable[[dict[str, Any], Session], None]:
    """D has won, but the score still improves at every rung."""

    def train(config: dict[str, Any], session: Session) -> None:
        kimg = session.kimg
        while not session.should_stop:
            kimg += 0.025
            session.report(kimg=kimg, d_loss=0.01, score=100 * kimg, fid=kimg, seconds=-1.0)
            if session.should_score:
                session.score(10.0 - 9 * kimg)
            if kimg > stop_at:
                raise ValueError("a fault of the machine")

    return train


def test_health_is_the_same_after_a_crash(tmp_path: Path) -> None:
    """Scores are replayed at their places, so rules that read them give the same verdict."""
    whole = Run(tmp_path / "whole", stability=STILL, loss="hinge")
    assert whole(learning()).verdict is None
    broken = Run(tmp_path / "broken", stability=STILL, loss="hinge")
    with pytest.raises(ValueError, match="fault"):
        broken(learning(stop_at=0.7))
    outcome = Run(tmp_path / "broken", stability=STILL, loss="hinge")(learning())
    assert (outcome.ending, outcome.verdict) == ("completed", None)


def test_numbers_that_are_only_recorded_are_not_judged(tmp_path: Path) -> None:
    run = Run(tmp_path / "t", stability="strict", loss=None)
    outcome = run(learning())
    assert outcome.ending == "completed"
    line = next(iter(run.folder.ticks()))
    assert (line["score"], line["fid"]) == (2.5, 0.025)
    assert line["seconds"] >= 0


def test_score_of_the_trainer_itself_is_never_stillborn(tmp_path: Path) -> None:
    """Its start and end are unknown."""

    def train(config: dict[str, Any], session: Session) -> None:
        session.score(3.0)
        steps(session, 2.9, 2.8, 2.7, 2.6)

    rules = {"preset": "off", "stillborn": {"shortest": 0.01, "after": 0.1}}
    assert Run(tmp_path / "t", stability=rules)(train).ending == "completed"


def test_an_error_after_the_verdict_changes_nothing(tmp_path: Path) -> None:
    def train(config: dict[str, Any], session: Session) -> None:
        session.report(kimg=0.1, d_loss=math.nan)
        raise FloatingPointError("loss is NaN")

    outcome = Run(tmp_path / "t", stability="default")(train)
    assert (outcome.ending, outcome.verdict.rule) == ("diverged", "non_finite")
    assert "FloatingPointError: loss is NaN" in outcome.error


def test_trainer_that_never_scores_is_stopped(tmp_path: Path) -> None:
    def train(config: dict[str, Any], session: Session) -> None:
        while not session.should_stop:
            session.report(kimg=session.kimg + 0.1, d_loss=1.0)

    run = Run(tmp_path / "t")
    with pytest.raises(TrainerError, match="far past the run's 1, and no score was given"):
        run(train)
    assert run.session.kimg < 1.5


def test_trainer_without_checkpoints_starts_from_scratch(tmp_path: Path) -> None:
    """Otherwise untrained networks would be scored as if they had trained for long."""
    begun = []

    def train(config: dict[str, Any], session: Session) -> None:
        begun.append(session.kimg)
        steps(session, 3.0, 2.0)
        if config["saves"]:
            (session.checkpoint_dir / "weights").touch()
        raise ValueError("a fault")

    for saves in (False, True):
        place = tmp_path / str(saves)
        for _ in range(2):
            with pytest.raises((ValueError, TrainerError)):
                Run(place, saves=saves)(train)
    assert begun == [0.0, 0.0, 0.0, 0.0]  # written after the last score: too late

    def careful(config: dict[str, Any], session: Session) -> None:
        begun.append(session.kimg)
        (session.checkpoint_dir / "weights").touch()
        steps(session, 3.0)
        raise ValueError("a fault")

    for _ in range(2):
        with pytest.raises((ValueError, TrainerError)):
            Run(tmp_path / "careful")(careful)
    assert begun[4:] == [0.0, 0.25]
