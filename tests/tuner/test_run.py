"""Whole searches with a real worker: their files, resume, and what is refused."""

from __future__ import annotations

import csv
import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import gantune
from gantune.config import load_config
from gantune.errors import GantuneError, RunError
from gantune.events import Observer
from gantune.run_folder.run import RunFolder, find_run, find_trial
from gantune.trial.scoring import load_real_images
from gantune.tuner.options import Options
from gantune.tuner.prepare import prepare
from gantune.tuner.state import RunState, read_run
from tests.forked import fork_workers
from tests.tuner.searches import ONE_TRIAL, SPACE, Listener, run, worker_processes


def integration(test: Any) -> Any:
    """One worker of pytest-xdist runs all of them, so that they share their searches."""
    return pytest.mark.integration(pytest.mark.xdist_group("local")(test))


@dataclass(frozen=True)
class Finished:
    """A finished search of ``SPACE``."""

    folder: Path
    state: RunState
    lines: list[str]

    @property
    def table(self) -> list[dict[str, str]]:
        """The rows of ``trials.csv``, without durations."""
        rows = csv.DictReader((self.folder / "trials.csv").read_text().splitlines())
        timed = ("seconds", "scoring_seconds")
        return [{k: v for k, v in row.items() if k not in timed} for row in rows]


def search(home: Path, **options: Any) -> Finished:
    (home / "tiny.yaml").write_text(SPACE)
    observer = Listener()
    state = run(home / "tiny.yaml", observer, **options)
    return Finished(home / "run", state, observer.lines)


@pytest.fixture(autouse=True, scope="module")
def _forks() -> Iterator[None]:
    with fork_workers():
        yield


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """A whole search; not to be changed."""
    return search(tmp_path_factory.mktemp("finished"))


@pytest.fixture(scope="module")
def short(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """A search of one trial; not to be changed."""
    return search(tmp_path_factory.mktemp("short"), overrides=ONE_TRIAL)


@pytest.fixture
def copied(short: Finished, tiny_space: Path) -> RunFolder:
    """A copy of the run folder of ``short``, beside the space."""
    return RunFolder(shutil.copytree(short.folder, tiny_space.parent / "run"))


@integration
def test_a_search_leaves_a_ranked_run_folder(finished: Finished) -> None:
    state, folder = finished.state, finished.folder
    assert state.outcome_counts == {"completed": 3}
    assert len(state.ranking) in (1, 2)
    best = load_config(folder / "best.yaml").data
    assert best.colour == "gray"
    rows = list(csv.DictReader((folder / "trials.csv").read_text().splitlines()))
    assert sorted(float(row["score"]) for row in rows) == [t.value for t in state.survivors]
    files = {path.name for path in (folder / "trials/0001").iterdir()}
    assert {"config.yaml", "ticks.jsonl", "scores.jsonl", "best.pt", "verdict.json"} <= files
    assert "last.pt" not in files
    assert replace(read_run(RunFolder(folder)), timing=state.timing) == state
    assert any("trials/0002 completed" in line for line in finished.lines)
    assert "trials/0002 completed" in (folder / "log.txt").read_text()
    assert not worker_processes(os.getpid())
    assert find_trial(f"{folder}#2")[1] == 2
    assert find_run(str(folder)).path == folder


@integration
def test_one_worker_and_one_seed_give_one_leaderboard(finished: Finished, tmp_path: Path) -> None:
    again = search(tmp_path)
    assert again.table == finished.table
    assert again.state.ranking == finished.state.ranking


@integration
def test_the_same_command_again_changes_nothing(finished: Finished, tiny_space: Path) -> None:
    shutil.copytree(finished.folder, tiny_space.parent / "run")
    state = run(tiny_space)
    assert state.trials == finished.state.trials
    assert state.ranking == finished.state.ranking
    assert state.timing.warmup_seconds == finished.state.timing.warmup_seconds  # no worker began


@integration
def test_a_folder_of_another_space_is_refused_with_the_difference(
    copied: RunFolder, tiny_space: Path
) -> None:
    with pytest.raises(RunError, match=r"another space(.|\n)*kimg: 0\.3(.|\n)*0\.2"):
        run(tiny_space, kimg=0.2)


@integration
def test_a_folder_of_another_study_is_refused(copied: RunFolder, tiny_space: Path) -> None:
    with pytest.raises(RunError, match=r"holds the study 'tiny', not 'mine'.*--out"):
        run(tiny_space, overrides=("study=mine",))


@integration
def test_a_run_of_another_version_is_refused(copied: RunFolder, tiny_space: Path) -> None:
    info = json.loads(copied.info.read_text())
    del info["protocol"]["held_out_data"]
    copied.info.write_text(json.dumps(info))
    with pytest.raises(RunError, match="not in the format of this version"):
        run(tiny_space, overrides=ONE_TRIAL)
    with pytest.raises(RunError, match="not in the format of this version"):
        read_run(copied)


@integration
def test_changed_images_are_refused(tiny_space: Path, tmp_path: Path) -> None:
    images = np.random.default_rng(0).integers(0, 255, (64, 16, 16), dtype=np.uint8)
    np.save(tmp_path / "images.npy", images)
    options: dict[str, Any] = {
        "data": str(tmp_path / "images.npy"),
        "overrides": (*ONE_TRIAL, "data.held_out=0.25"),
    }
    state = run(tiny_space, **options)
    (score,) = [trial.score for trial in state.trials]
    assert score is not None and score.held_out is not None and score.held_out.count == 16
    held_out = load_real_images(load_config(tmp_path / "run/best.yaml").data).held_out
    assert held_out is not None
    (place,) = np.flatnonzero((images == held_out.array[3, 0]).all(axis=(1, 2)))
    changed = images.copy()
    changed[place] = 255 - changed[place]
    np.save(tmp_path / "images.npy", changed)
    # the training images are the same
    with pytest.raises(RunError, match=r"other images.*: those held out: as many images of the"):
        run(tiny_space, **options)
    np.save(tmp_path / "images.npy", 255 - images)
    with pytest.raises(RunError, match=r"other images.*compared: as many images of the same"):
        run(tiny_space, **options)


@integration
def test_the_best_config_trains_on_the_same_images_as_the_search(tiny_space: Path) -> None:
    observer = Listener()
    state = run(tiny_space, observer, overrides=(*ONE_TRIAL, "data.held_out=0.2"))
    (searched,) = [trial.score for trial in state.trials]
    assert searched is not None
    said = "held out: 359 images that are never learned (20% held out of train)"
    assert said in observer.lines
    folder = tiny_space.parent / "run"
    trained = gantune.train(load_config(folder / "best.yaml"), out=folder / "best").score
    assert trained is not None and trained.protocol == searched.protocol
    assert trained.held_out is not None
    head = (folder / "best.yaml").read_text()
    assert f"#   held_out_data: {searched.protocol.held_out_data}\n" in head
    assert f"# protocol {searched.protocol.hash}:\n" in head and "#   accuracy: 0.99" in head
    assert "# held-out images: " in head
    assert max(map(len, head.split("\ndata:")[0].splitlines())) <= 100 + len(str(folder))


@integration
def test_the_seconds_before_training_add_up_over_starts(
    short: Finished, copied: RunFolder, tiny_space: Path
) -> None:
    first = short.state.timing
    second = run(tiny_space, overrides=(*ONE_TRIAL, "budget.trials=2"), workers=2).timing
    assert 0 < first.preparing_seconds < second.preparing_seconds
    assert (first.workers, second.workers) == (1, 2)
    assert 0 < first.warmup_seconds < first.seconds  # workers warm up within the search
    assert first.warmup_seconds < second.warmup_seconds
    stored = read_run(copied).timing
    assert replace(stored, seconds=second.seconds) == second


@integration
def test_a_run_keeps_its_storage(tiny_space: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tiny_space.parent)
    first = run(tiny_space, storage="sqlite:///studies.db", overrides=ONE_TRIAL)
    again = run(tiny_space, overrides=ONE_TRIAL)
    assert again.trials == first.trials
    monkeypatch.chdir("/")
    assert read_run(RunFolder(tiny_space.parent / "run")).trials == first.trials
    with pytest.raises(RunError, match="this run's storage is"):
        run(tiny_space, storage="sqlite:////elsewhere.db", overrides=ONE_TRIAL)


@integration
def test_finals_alone_have_the_scores_beside_the_first(tiny_space: Path) -> None:
    observer = Listener()
    overrides = ("objective.also=[random, fd_inf]", "budget.trials=1", "finalists.seeds=2")
    run(tiny_space, overrides=(*overrides, "finalists.top=0"))
    state = run(tiny_space, observer, overrides=overrides)  # now with finals
    assert all(trial.score is not None and not trial.score.also for trial in state.trials)
    names = ["fid_inf[classifier-digits]", "fid[random]"]
    for final in state.finalists:
        assert final.score is not None
        assert [one.name for one in final.score.also] == names
    assert any(
        "finals are also scored by fid_inf[classifier-digits], fid[random]" in line
        for line in observer.lines
    )
    best = (tiny_space.parent / "run/best.yaml").read_text()
    assert all(f"# {name}: " in best for name in names)


def test_an_output_folder_that_cannot_be_written_is_named(tiny_space: Path) -> None:
    (tiny_space.parent / "file").write_text("")
    with pytest.raises(RunError, match=r"file/run: cannot be written.*--out"):
        run(tiny_space, out=tiny_space.parent / "file/run")


def test_a_refused_search_leaves_no_run_folder(tiny_space: Path) -> None:
    with pytest.raises(RunError, match="storage"):
        run(tiny_space, storage="nosuchthing://host/db")
    assert not (tiny_space.parent / "run").exists()


def test_two_drivers_on_one_folder_are_refused(tiny_space: Path) -> None:
    folder = RunFolder(tiny_space.parent / "run")
    with folder.locked(), pytest.raises(RunError, match=rf"process {os.getpid()}"):
        run(tiny_space)


def test_a_changed_space_gets_a_separate_folder(
    tiny_space: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tiny_space.parent)
    names = [
        prepare(tiny_space, options, Observer()).folder.path.as_posix()
        for options in (Options(), Options(trials=9), Options(kimg=0.2), Options(seed=3))
    ]
    assert names[:2] == ["runs/tiny", "runs/tiny"]
    assert all(name.startswith("runs/tiny-") for name in names[2:])
    assert len(set(names)) == 3


def test_a_device_that_does_not_exist_is_named(tiny_space: Path) -> None:
    with pytest.raises(GantuneError, match="cuda:7"):
        run(tiny_space, device="cuda:7")
    with pytest.raises(GantuneError, match="tpu"):
        run(tiny_space, device="tpu")


def test_a_batch_larger_than_the_data_is_refused_before_anything_runs(tiny_space: Path) -> None:
    with pytest.raises(GantuneError, match=r"batch_size.*4000.*1797"):
        run(tiny_space, overrides=("batch_size={choices: [8, 4000]}", "start=[]"))
    assert not (tiny_space.parent / "run").exists()


def test_corrupt_images_are_reported(tiny_space: Path, tmp_path: Path) -> None:
    for number in range(120):
        Image.new("L", (16, 16), number).save(tmp_path / f"{number:03d}.png")
    (tmp_path / "119.png").write_bytes(b"no picture")
    real = prepare(tiny_space, Options(data=str(tmp_path)), Listener()).real
    assert real is not None and "119.png" in real.found


def test_a_network_that_cannot_make_the_data_is_refused(tiny_space: Path) -> None:
    with pytest.raises(GantuneError, match="dcgan28"):
        run(tiny_space, overrides=("network.name={choices: [dcgan, dcgan28]}", "network.width=4"))
