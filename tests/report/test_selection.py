"""Runs, trials, configs and checkpoints by name."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from gantune.config import TrialConfig, dump_config, make_config
from gantune.errors import RunError
from gantune.io.formatting import number_ranges
from gantune.io.yaml_document import parse_document
from gantune.report import selection
from gantune.report.selection import (
    best_config,
    find_checkpoint,
    find_config,
    find_record,
    find_run_or_trial,
    find_winning_checkpoint,
    pick_trial,
    start_folder,
    top_configs,
)
from gantune.tuner.state import RunState
from tests.report.factory import PROTOCOL, finals, search, state


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunState:
    """A run folder with a config for each trial; its seed is the trial's number."""
    monkeypatch.chdir(tmp_path)
    of = state(search(), folder=Path("runs/dcgan"))
    for record in of.trials:
        folder = of.folder.trial(record.name)
        folder.path.mkdir(parents=True)
        folder.config.write_text(dump_config(TrialConfig(seed=record.number)))
    of.folder.info.write_text("{}")
    return of


def config(text: str) -> TrialConfig:
    return make_config(parse_document(text).tree)


def test_a_trials_config_says_how_it_ended(run: RunState) -> None:
    assert config(pick_trial(run, 3)).seed == 3
    assert PROTOCOL in pick_trial(run, 3).splitlines()[0]
    assert pick_trial(run, 1).startswith("# trial 1 diverged at 8 kimg: it diverged\n")
    assert pick_trial(run, 10).startswith("# trial 10, not ended\n")


def test_the_best_configs_come_in_order(run: RunState) -> None:
    assert [config(text).seed for text in top_configs(run, 2)] == [3, 4]
    assert len(top_configs(run, 50)) == 3


def test_the_best_is_best_yaml(run: RunState) -> None:
    with pytest.raises(RunError, match="no trial has a score yet"):
        best_config(run)
    run.folder.best.write_text("# the winner\n")
    assert best_config(run) == "# the winner\n"


def test_missing_trials_and_scores_raise() -> None:
    with pytest.raises(RunError, match="has no trial 99; it has 0 to 11"):
        find_record(state(search()), 99)
    with pytest.raises(RunError, match="none yet"):
        find_record(state([]), 0)
    with pytest.raises(RunError, match="no trial has a score yet"):
        top_configs(state([]), 3)


def test_runs_and_trials_are_found_by_name(run: RunState) -> None:
    assert find_run_or_trial("dcgan") == (run.folder, None)
    assert find_run_or_trial("runs/dcgan#7") == (run.folder, 7)
    with pytest.raises(RunError, match="did you mean 'dcgan'"):
        find_run_or_trial("dcgam")
    with pytest.raises(RunError, match="RUN#NUMBER"):
        find_run_or_trial("dcgan#seven")


def test_configs_are_found_with_their_folders(run: RunState) -> None:
    home = run.folder.path
    assert find_config("mine.yaml") == (Path("mine.yaml"), Path("mine"))
    assert find_config("dcgan#7") == (home / "trials/0007/config.yaml", home / "trial-0007")
    run.folder.best.write_text("")
    assert find_config("runs/dcgan") == (home / "best.yaml", home / "best")
    with pytest.raises(RunError, match="has no trial 99"):
        find_config("dcgan#99")


def test_a_deleted_trial_is_not_offered(run: RunState) -> None:
    home = run.folder.path
    numbers = [int(path.name) for path in (home / "trials").iterdir()]
    before = top_configs(run, 99)
    best = run.best
    assert best is not None
    shutil.rmtree(home / best.name)
    left = number_ranges(number for number in numbers if number != best.number)
    message = rf"has no trial {best.number}, or its folder was deleted; there are {left}$"
    for name in (f"dcgan#{best.number}", f"{home}#{best.number}"):
        for find in (find_config, find_checkpoint):
            with pytest.raises(RunError, match=message):
                find(name)
    with pytest.raises(RunError, match=message):
        pick_trial(run, best.number)
    assert len(top_configs(run, 99)) == len(before) - 1
    for number in numbers:
        shutil.rmtree(home / f"trials/{number:04d}", ignore_errors=True)
    with pytest.raises(RunError, match="the folders of all trials with a score were deleted"):
        top_configs(run, 3)
    with pytest.raises(RunError, match=r"there are none$"):
        find_config("dcgan#0")


def test_checkpoints(run: RunState) -> None:
    with pytest.raises(RunError, match="kept for the ten best"):
        find_checkpoint("dcgan#3")
    checkpoint = run.folder.trial("trials/0003").best
    checkpoint.touch()
    assert find_checkpoint("dcgan#3") == checkpoint
    assert find_checkpoint(str(checkpoint.parent)) == checkpoint
    with pytest.raises(RunError, match=r"dcgan#5: has no checkpoint; .* best trials, here 3$"):
        find_checkpoint("dcgan#5")
    with pytest.raises(RunError, match="a whole run; name a trial of it, such as runs/dcgan#0"):
        find_checkpoint("runs/dcgan")
    with pytest.raises(RunError, match="has no checkpoint"):
        find_checkpoint("runs")
    assert find_checkpoint("other/best.pt") == Path("other/best.pt")
    gone = run.folder.trial("trials/0004").best
    assert find_checkpoint("dcgan#4", must_exist=False) == gone
    assert find_checkpoint(str(gone.parent), must_exist=False) == gone


def test_a_run_is_sampled_by_its_winner(run: RunState, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(selection, "read_run", lambda folder: run)
    checkpoint = run.folder.trial(run.survivors[0].name).best
    checkpoint.parent.mkdir(parents=True, exist_ok=True)
    checkpoint.touch()
    assert find_winning_checkpoint("dcgan") == checkpoint
    assert find_winning_checkpoint("runs/dcgan") == checkpoint
    assert find_winning_checkpoint(str(checkpoint)) == checkpoint
    with pytest.raises(RunError, match="did you mean 'dcgan'"):
        find_winning_checkpoint("dcgam")


def test_of_the_winners_trainings_the_best_is_sampled_whose_checkpoint_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Trial 3 scored 8.1, its finals 8.0, 8.5 and 9.0; others, though better, are not its own."""
    run = state(search(), finals(), tmp_path / "dcgan")
    run.folder.path.mkdir()
    run.folder.info.write_text("{}")
    monkeypatch.setattr(selection, "read_run", lambda folder: run)
    for name in ("finalists/0002", "finalists/0003", "trials/0003", "finalists/0000"):
        checkpoint = run.folder.trial(name).best
        checkpoint.parent.mkdir(parents=True)
        checkpoint.touch()
        is_winners = name != "finalists/0002"
        if is_winners:
            assert find_winning_checkpoint(str(run.folder.path)) == checkpoint


def test_a_training_from_a_checkpoint_has_its_own_folder(run: RunState) -> None:
    home = run.folder.path
    assert start_folder(home / "trials/0007/best.pt") == home / "from-trials-0007"
    assert start_folder(home / "finalists/0007/best.pt") == home / "from-finalists-0007"
    assert start_folder(home.absolute() / "best/last.pt") == home.absolute() / "from-best"
    assert start_folder(Path("mine/best.pt")) == Path("from-mine")
    assert start_folder(Path("best.pt")) == Path(f"from-{Path.cwd().name}")
