"""The local engine with real worker processes: whole searches, crashes, kills and full disks."""

from __future__ import annotations

import csv
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import gantune
from gantune.config import load_config
from gantune.errors import RunError, TrainingError
from gantune.run_folder.run import RunFolder, find_run, find_trial
from gantune.trial.scoring import load_real_images
from gantune.tuner.options import Options
from gantune.tuner.prepare import prepare
from gantune.tuner.state import RunState, SearchObserver, read_run

SPACE = """
study: tiny
budget: {trials: 3}
objective: {samples: 64, rung_samples: 32}
trial:
  data: {source: digits, resolution: 16}
  network: {name: dcgan, width: 4, latent: 8}
  kimg: 0.3
  tick_kimg: 0.05
  batch_size: {choices: [8, 16]}
  precision: fp32
  generator: {lr: {low: 1e-4, high: 1e-3, log: true}}
start: [{batch_size: 16, generator.lr: 2e-4}]
stability: off
pruning: {rule: none, rungs: [50%]}
finalists: {top: 1, seeds: 1}
"""


@pytest.fixture
def space(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.yaml"
    path.write_text(SPACE)
    return path


Whole = tuple[Path, RunState, list[str]]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Whole:
    """A run folder of a whole search, its state and what was said; tests that change it copy it."""
    path = tmp_path_factory.mktemp("whole") / "tiny.yaml"
    path.write_text(SPACE)
    watcher = Listener()
    state = run(path, watcher)
    return path.parent / "run", state, watcher.lines


@pytest.fixture(scope="module")
def _one_trial(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("one") / "tiny.yaml"
    path.write_text(SPACE)
    run(path, overrides=("budget.trials=1", "finalists.top=0"))
    return path.parent / "run"


@pytest.fixture
def one_trial(space: Path, _one_trial: Path) -> Path:
    """A copy of the run folder of a search of one trial, where ``run`` looks for it."""
    return shutil.copytree(_one_trial, space.parent / "run")


shared = pytest.mark.xdist_group("whole searches")
"""The fixtures of these tests are made once."""


class Listener(SearchObserver):
    """Keeps what is said and does something once, when a run has begun to train."""

    def __init__(self, once: object = None) -> None:
        self.lines: list[str] = []
        self.once = once

    def message(self, text: str) -> None:
        self.lines.append(text)

    def refresh(self, state: RunState) -> None:
        begun = [r for r in state.running if state.folder.trial(r.name).ticks()]
        if callable(self.once) and begun:
            once, self.once = self.once, None
            once(state)


def run(space: Path, observer: SearchObserver | None = None, **options: object) -> RunState:
    options = {"workers": 1, "out": space.parent / "run"} | options
    return gantune.search(space, Options(**options), observer)  # type: ignore[arg-type]


def worker_processes(parent: int) -> list[int]:
    """Live children of a process that are workers."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
            command = path.with_name("cmdline").read_text()
        except OSError:
            continue
        if int(fields[1]) == parent and fields[0] != "Z" and "engines.worker" in command:
            found.append(int(path.parent.name))
    return found


@pytest.mark.integration
@shared
def test_a_search_leaves_a_ranked_run_folder(whole: Whole) -> None:
    folder, state, lines = whole
    assert state.outcome_counts == {"completed": 3}
    assert len(state.ranking) in (1, 2)
    assert load_config(folder / "best.yaml").data.colour == "gray"
    rows = list(csv.DictReader((folder / "trials.csv").read_text().splitlines()))
    assert sorted(float(row["score"]) for row in rows) == [t.value for t in state.survivors]
    files = {path.name for path in (folder / "trials/0001").iterdir()}
    assert {"config.yaml", "ticks.jsonl", "scores.jsonl", "best.pt", "verdict.json"} <= files
    assert "last.pt" not in files
    assert replace(read_run(RunFolder(folder)), timing=state.timing) == state
    assert any("trials/0002 completed" in line for line in lines)
    assert "trials/0002 completed" in (folder / "log.txt").read_text()
    assert not worker_processes(os.getpid())
    assert find_trial(f"{folder}#2")[1] == 2
    assert find_run(str(folder)).path == folder


@pytest.mark.integration
@shared
def test_one_worker_and_one_seed_give_one_leaderboard(space: Path, whole: Whole) -> None:
    run(space)
    tables, rankings = [], []
    for folder in (whole[0], space.parent / "run"):
        rows = csv.DictReader((folder / "trials.csv").read_text().splitlines())
        timed = ("seconds", "scoring_seconds")
        tables.append([{k: v for k, v in row.items() if k not in timed} for row in rows])
        rankings.append(read_run(RunFolder(folder)).ranking)
    assert tables[0] == tables[1]
    assert rankings[0] == rankings[1]


@pytest.mark.integration
def test_a_killed_worker_is_replaced_and_its_trial_finished(space: Path) -> None:
    def kill(state: RunState) -> None:
        os.kill(worker_processes(os.getpid())[0], signal.SIGKILL)

    observer = Listener(kill)
    state = run(space, observer)
    assert observer.once is None
    assert state.outcome_counts == {"completed": 3}
    assert any("(SIGKILL, ended from outside" in line for line in observer.lines)


@pytest.mark.integration
def test_a_worker_without_memory_for_one_trial_goes_on_with_the_next(space: Path) -> None:
    """The worker may take little more than it has; one network is far too large for that."""
    text = SPACE.replace("width: 4", "width: {choices: [4, 1024]}")
    starts = ", ".join(
        f"{{network.width: {width}, batch_size: 16, generator.lr: 2e-4}}" for width in (4, 1024, 4)
    )
    space.write_text(text.replace("{batch_size: 16, generator.lr: 2e-4}", starts))
    limited: list[int] = []

    def limit(state: RunState) -> None:
        (worker,) = worker_processes(os.getpid())
        pages = int(Path(f"/proc/{worker}/statm").read_text().split()[0])
        most = pages * os.sysconf("SC_PAGE_SIZE") + (128 << 20)
        resource.prlimit(worker, resource.RLIMIT_AS, (most, most))
        limited.append(worker)

    observer = Listener(limit)
    state = run(space, observer, overrides=("finalists.top=0",))
    assert limited
    assert state.outcome_counts == {"completed": 2, "out_of_memory": 1}
    (full,) = [t for t in state.trials if t.outcome and t.outcome.ending == "out_of_memory"]
    assert full.number == 1 and full.outcome is not None
    assert "out of memory on cpu at batch size 16: peak" in full.outcome.error
    assert not any("worker died" in line or "crashed" in line for line in observer.lines)


@pytest.mark.integration
def test_a_trial_that_crashes_twice_is_crashed_and_its_traceback_kept(space: Path) -> None:
    blocked = space.parent / "run/trials/0001/ticks.jsonl"
    blocked.mkdir(parents=True)
    state = run(space)
    assert state.outcome_counts == {"completed": 3, "crashed": 1}
    assert "IsADirectoryError" in (blocked.parent / "error.txt").read_text()


@pytest.mark.integration
def test_a_search_that_only_crashes_ends_with_the_first_traceback(space: Path) -> None:
    for number in range(2):
        (space.parent / f"run/trials/{number:04d}/ticks.jsonl").mkdir(parents=True)
    with pytest.raises(TrainingError, match=r"1 trials crashed(.|\n)*IsADirectoryError"):
        run(space, overrides=("budget.max_failed=0",))
    assert not worker_processes(os.getpid())


@pytest.mark.integration
@shared
def test_the_same_command_again_changes_nothing(space: Path, whole: Whole) -> None:
    shutil.copytree(whole[0], space.parent / "run")
    first, second = whole[1], run(space)
    assert second.trials == first.trials
    assert second.ranking == first.ranking


@pytest.mark.integration
@shared
@pytest.mark.usefixtures("one_trial")
def test_a_folder_of_another_space_is_refused_with_what_differs(space: Path) -> None:
    with pytest.raises(RunError, match=r"another space(.|\n)*kimg: 0\.3(.|\n)*0\.2"):
        run(space, kimg=0.2)


@pytest.mark.integration
@shared
@pytest.mark.usefixtures("one_trial")
def test_a_folder_of_another_study_is_refused(space: Path) -> None:
    with pytest.raises(RunError, match=r"holds the study 'tiny', not 'mine'.*--out"):
        run(space, overrides=("study=mine",))


@pytest.mark.integration
def test_changed_images_are_refused(space: Path, tmp_path: Path) -> None:
    import numpy as np

    images = np.random.default_rng(0).integers(0, 255, (64, 16, 16), dtype=np.uint8)
    np.save(tmp_path / "images.npy", images)
    overrides = ("budget.trials=1", "finalists.top=0")
    run(space, data=str(tmp_path / "images.npy"), overrides=overrides)
    np.save(tmp_path / "images.npy", 255 - images)
    with pytest.raises(RunError, match=r"another protocol(.|\n)*data:"):
        run(space, data=str(tmp_path / "images.npy"), overrides=overrides)


@pytest.mark.integration
def test_changed_held_out_images_are_refused(space: Path, tmp_path: Path) -> None:
    import numpy as np

    images = np.random.default_rng(0).integers(0, 255, (64, 16, 16), dtype=np.uint8)
    np.save(tmp_path / "images.npy", images)
    settings: dict[str, Any] = {
        "data": str(tmp_path / "images.npy"),
        "overrides": ("budget.trials=1", "finalists.top=0", "data.held_out=0.25"),
    }
    state = run(space, **settings)
    (score,) = [trial.score for trial in state.trials]
    assert score is not None and score.held_out is not None and score.held_out.count == 16
    held_out = load_real_images(load_config(tmp_path / "run/best.yaml").data).held_out
    assert held_out is not None
    (place,) = np.flatnonzero((images == held_out.array[3, 0]).all(axis=(1, 2)))
    images[place] = 255 - images[place]
    np.save(tmp_path / "images.npy", images)
    with pytest.raises(RunError, match=r"another protocol(.|\n)*held_out_data:") as caught:
        run(space, **settings)
    assert " data:" not in str(caught.value)  # what is learned is the same


@pytest.mark.integration
def test_the_best_config_trains_on_the_same_images_as_the_search(space: Path) -> None:
    few = ("budget.trials=1", "finalists.top=0", "data.held_out=0.2")
    observer = Listener()
    (searched,) = [trial.score for trial in run(space, observer, overrides=few).trials]
    assert searched is not None
    assert "held out: 359 images that are never learned" in observer.lines
    folder = space.parent / "run"
    trained = gantune.train(load_config(folder / "best.yaml"), out=folder / "best").score
    assert trained is not None and trained.protocol == searched.protocol
    assert trained.held_out is not None
    head = (folder / "best.yaml").read_text()
    assert f"#   held_out_data: {searched.protocol.held_out_data}\n" in head
    assert f"# protocol {searched.protocol.hash}:\n" in head and "#   accuracy: 0.99" in head
    assert "# held-out images: " in head
    assert max(map(len, head.split("\ndata:")[0].splitlines())) <= 100 + len(str(folder))


@pytest.mark.integration
@shared
def test_a_run_of_another_version_is_one_clear_message(space: Path, one_trial: Path) -> None:
    few = ("budget.trials=1", "finalists.top=0")
    folder = RunFolder(one_trial)
    info = folder.read_info()
    del info["protocol"]["held_out_data"]
    folder.info.write_text(json.dumps(info))
    with pytest.raises(RunError, match="not in the format of this version"):
        run(space, overrides=few)
    with pytest.raises(RunError, match="not in the format of this version"):
        read_run(folder)


@pytest.mark.integration
def test_what_preparing_scores_takes_adds_up_over_starts(space: Path) -> None:
    few = ("budget.trials=1", "finalists.top=0")
    first = run(space, overrides=few).timing
    second = run(space, overrides=few, workers=2).timing
    assert 0 < first.preparing_seconds < second.preparing_seconds
    assert (first.workers, second.workers) == (1, 2)
    assert 0 < first.warmup_seconds < first.seconds  # a worker's own, which is within the whole
    assert first.warmup_seconds < second.warmup_seconds
    kept = read_run(RunFolder(space.parent / "run")).timing
    assert replace(kept, seconds=second.seconds) == second


def test_an_output_folder_that_cannot_be_written_is_named(space: Path) -> None:
    (space.parent / "file").write_text("")
    with pytest.raises(RunError, match=r"file/run: cannot be written.*--out"):
        run(space, out=space.parent / "file/run")


def test_what_is_refused_leaves_nothing_behind(space: Path) -> None:
    with pytest.raises(RunError, match="storage"):
        run(space, storage="nosuchthing://host/db")
    assert not (space.parent / "run").exists()


@pytest.mark.integration
def test_a_run_keeps_its_storage(space: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(space.parent)
    few = ("budget.trials=1", "finalists.top=0")
    first = run(space, storage="sqlite:///studies.db", overrides=few)
    again = run(space, overrides=few)
    assert again.trials == first.trials
    monkeypatch.chdir("/")
    assert read_run(RunFolder(space.parent / "run")).trials == first.trials
    with pytest.raises(RunError, match="this run's storage is"):
        run(space, storage="sqlite:////elsewhere.db", overrides=few)


def test_two_drivers_on_one_folder_are_refused(space: Path) -> None:
    folder = RunFolder(space.parent / "run")
    with folder.locked(), pytest.raises(RunError, match=rf"process {os.getpid()}"):
        run(space)


def test_a_changed_space_gets_a_folder_of_its_own(
    space: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(space.parent)
    names = [
        prepare(space, options, SearchObserver()).folder.path.as_posix()
        for options in (Options(), Options(trials=9), Options(kimg=0.2), Options(seed=3))
    ]
    assert names[:2] == ["runs/tiny", "runs/tiny"]
    assert all(name.startswith("runs/tiny-") for name in names[2:])
    assert len(set(names)) == 3


def test_a_device_that_is_not_there_is_named(space: Path) -> None:
    with pytest.raises(gantune.GantuneError, match="cuda:7"):
        run(space, device="cuda:7")
    with pytest.raises(gantune.GantuneError, match="tpu"):
        run(space, device="tpu")


def test_a_batch_above_the_data_is_refused_before_anything_runs(space: Path) -> None:
    with pytest.raises(gantune.GantuneError, match=r"batch_size.*4000.*1797"):
        run(space, overrides=("batch_size={choices: [8, 4000]}", "start=[]"))
    assert not (space.parent / "run").exists()


def test_corrupt_images_are_spoken_of(space: Path, tmp_path: Path) -> None:
    from PIL import Image

    for number in range(120):
        Image.new("L", (16, 16), number).save(tmp_path / f"{number:03d}.png")
    (tmp_path / "119.png").write_bytes(b"no picture")
    observer = Listener()
    prepare(space, Options(data=str(tmp_path)), observer)
    assert any("119.png" in line for line in observer.lines)


def test_a_network_that_cannot_make_the_data_is_refused(space: Path) -> None:
    with pytest.raises(gantune.GantuneError, match="dcgan28"):
        run(space, overrides=("network.name={choices: [dcgan, dcgan28]}", "network.width=4"))


def command(space: Path, trials: int = 3) -> list[str]:
    script = (
        "import sys, gantune, pathlib\n"
        "out = pathlib.Path(sys.argv[1]).parent / 'run'\n"
        "options = gantune.Options(workers=1, out=out, trials=int(sys.argv[2]))\n"
        "gantune.search(sys.argv[1], options)\n"
    )
    return [sys.executable, "-c", script, str(space), str(trials)]


@pytest.fixture
def driver(space: Path, request: pytest.FixtureRequest) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(command(space, getattr(request, "param", 3)))
    yield process
    process.kill()
    process.wait()


def wait_for(condition: object, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "nothing happened in time"
        time.sleep(0.05)


@pytest.mark.integration
def test_a_killed_driver_leaves_no_process_and_its_search_goes_on(
    space: Path, driver: subprocess.Popen[bytes]
) -> None:
    first = space.parent / "run/trials/0000/verdict.json"
    wait_for(first.exists)
    workers = worker_processes(driver.pid)
    driver.kill()
    driver.wait()
    assert workers
    wait_for(lambda: not any(Path(f"/proc/{worker}").exists() for worker in workers), 10)
    kept = first.read_text()
    state = run(space)
    assert first.read_text() == kept
    assert state.outcome_counts == {"completed": 3}


@pytest.mark.integration
@pytest.mark.parametrize("driver", [1000], indirect=True)  # trials: it must not end by itself
def test_ctrl_c_ends_the_workers_and_keeps_what_is_finished(
    space: Path, driver: subprocess.Popen[bytes]
) -> None:
    wait_for((space.parent / "run/trials/0000/verdict.json").exists)
    workers = worker_processes(driver.pid)
    driver.send_signal(signal.SIGINT)
    assert driver.wait(20) != 0
    assert not any(Path(f"/proc/{worker}").exists() for worker in workers)
    assert read_run(RunFolder(space.parent / "run")).outcome_counts["completed"] >= 1


@pytest.mark.integration
@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small file system needs root")
def test_a_full_disk_ends_the_search_clearly_and_it_goes_on_with_room(space: Path) -> None:
    disk = space.parent / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1500k", "tmpfs", str(disk)], check=True)
    try:
        ballast = disk / "ballast"

        def fill(state: RunState) -> None:
            with ballast.open("wb") as file:
                try:
                    while True:
                        file.write(b"x" * 4096)
                        file.flush()
                except OSError:
                    return

        with pytest.raises(RunError, match="disk full"):
            run(space, Listener(fill), out=disk / "run")
        assert not worker_processes(os.getpid())
        ballast.unlink()
        assert run(space, out=disk / "run").outcome_counts == {"completed": 3}
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)
