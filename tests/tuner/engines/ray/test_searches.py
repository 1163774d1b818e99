"""Whole searches on Ray: most on one Ray of this machine, which gantune starts for all of them."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gantune.errors import RunError, TrainingError
from gantune.io.processes import descendants
from gantune.run_folder.run import RunFolder
from gantune.run_folder.trial import TrialFolder
from gantune.tuner.engines.base import retry_message
from gantune.tuner.state import RunState, SearchObserver, read_run
from tests.tuner import searches
from tests.tuner.own_trainers import SCORED, write_own
from tests.tuner.own_trainers import SPACE as OWN_SPACE
from tests.tuner.searches import Listener, is_alive, wait_for

pytestmark = [
    pytest.mark.integration,
    pytest.mark.timeout(900),
    pytest.mark.xdist_group("ray"),
    # Ray leaves sockets and pipes to the garbage collector.
    pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning"),
    pytest.mark.filterwarnings("ignore:subprocess .* is still running:ResourceWarning"),
]

SPACE = searches.SPACE.replace("trials: 3", "trials: 4").replace(
    "rule: none, rungs: [50%]", "rule: median, rungs: [50%], startup: 1"
)


HALVING = searches.SPACE.replace("trials: 3", "trials: 8").replace(
    "rule: none, rungs: [50%]", "rule: halving, rungs: [20%, 50%], factor: 2"
)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A Ray with one core, as gantune starts it. Searches of this process share it.

    Checks at the end that none of its processes is left.
    """
    from gantune.tuner.engines.ray.connection import connection, isolated

    before = set(descendants(os.getpid()))
    folder = RunFolder(tmp_path_factory.mktemp("cluster"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GANTUNE_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))
        patch.setattr(os, "sched_getaffinity", lambda _: {0})
        with isolated(), connection(None, 1, folder, SearchObserver()):
            started = set(descendants(os.getpid())) - before
            yield
    assert started
    wait_for(lambda: not any(map(is_alive, started)), 30)


@pytest.fixture
def space(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.yaml"
    path.write_text(SPACE)
    return path


def run(space: Path, observer: SearchObserver | None = None, **options: Any) -> RunState:
    return searches.run(space, observer, **{"engine": "ray", **options})


def rows(folder: Path) -> list[dict[str, str]]:
    """The table of a run's trials, without durations."""
    timed = ("seconds", "scoring_seconds")
    table = csv.DictReader((folder / "trials.csv").read_text().splitlines())
    return [{key: value for key, value in row.items() if key not in timed} for row in table]


def files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")} - {"study.journal.lock"}


# The first three tests need a Ray of their own, and come before the shared one is started.


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_ray_and_keeps_finished_trials(
    space: Path, number: signal.Signals, code: int
) -> None:
    start = [sys.executable, "-m", "gantune", "search", str(space), "--trials", "1000"]
    options = ["--engine", "ray", "--workers", "1", "--out", str(space.parent / "run")]
    process = subprocess.Popen([*start, *options], stdout=subprocess.PIPE, text=True)
    try:
        wait_for((space.parent / "run/trials/0001/verdict.json").exists, 120)
        started = set(descendants(process.pid))
        process.send_signal(number)
        said, _ = process.communicate(timeout=120)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == code
    assert "resume     run the same command again; no finished trial is lost" in said
    wait_for(lambda: not any(map(is_alive, started)), 30)
    assert read_run(RunFolder(space.parent / "run")).outcome_counts.total() >= 2
    assert not (space.parent / "run/ray").exists()


def test_a_machine_that_dies_costs_no_trial(space: Path) -> None:
    text = SPACE.replace("trials: 4", "trials: 3").replace("rule: median", "rule: none")
    space.write_text(text.replace("kimg: 0.3", "kimg: 2").replace("[50%]", "[25%, 50%, 75%]"))
    command = [sys.executable, "-m", "tests.tuner.engines.ray.dying_machine", str(space)]
    result = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    told = json.loads(result.stdout.splitlines()[-1])
    assert told["killed"]
    assert any(
        line.startswith("a worker died (") and "its machine is gone" in line
        for line in told["lines"]
    )
    assert told["endings"] == {"completed": 3}
    counts = Counter(line.split()[0] for line in told["lines"] if " completed at " in line)
    assert set(counts.values()) == {1} and len(counts) == 3 + told["finalists"]
    for record in read_run(RunFolder(space.parent / "run")).trials:
        home = TrialFolder(space.parent / "run" / record.name)
        assert [line["rung"] for line in home.scores()] == [0.0, 0.25, 0.5, 0.75, 1.0, None]
        kimg = [tick["kimg"] for tick in home.ticks()]
        assert kimg == sorted(set(kimg)) and kimg[-1] >= 2
        assert home.best.exists() and not home.last.exists()
    assert not (space.parent / "run/ray").exists()


@pytest.mark.usefixtures("one_core")
def test_a_trial_that_pauses_on_another_machine_goes_on_from_the_run_folder(space: Path) -> None:
    space.write_text(HALVING)
    command = [sys.executable, "-m", "tests.tuner.engines.ray.other_machine", str(space)]
    result = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    told = json.loads(result.stdout.splitlines()[-1])
    assert len(told["pauses"]) > 4
    assert all(has_checkpoint for _, has_checkpoint in told["pauses"])
    assert set(told["endings"]) == {"completed", "pruned"}
    run(space, engine="local", out=space.parent / "local")
    assert rows(space.parent / "local") == rows(space.parent / "run")
    assert files(space.parent / "local") == files(space.parent / "run")


@pytest.mark.usefixtures("cluster")
@pytest.mark.parametrize("text", [SPACE, HALVING], ids=["median", "halving"])
def test_ray_and_the_local_engine_give_the_same_leaderboard(
    space: Path, text: str, capfd: pytest.CaptureFixture[str]
) -> None:
    space.write_text(text)
    local = run(space, engine="local", out=space.parent / "local")
    observer = Listener()
    on_ray = run(space, observer)
    assert set(local.outcome_counts) == {"completed", "pruned"}
    assert rows(space.parent / "local") == rows(space.parent / "run")
    assert local.ranking == on_ray.ranking
    assert files(space.parent / "local") == files(space.parent / "run")
    info = RunFolder(space.parent / "run").read_info()
    assert (info.model_dump()["engine"], info.threads_per_worker) == ("ray", 1)
    assert "each trial takes cpu=1, 1 at a time" in observer.lines
    assert capfd.readouterr() == ("", "")  # only the observer shows something


@pytest.mark.usefixtures("cluster")
def test_the_cluster_sees_no_command_line() -> None:
    """A password may be in it."""
    from ray._private.state import state

    assert [job["Entrypoint"] for job in state.job_table()] == ["gantune"]


@pytest.mark.usefixtures("cluster")
def test_resources_that_the_cluster_does_not_have_leave_no_run_folder(space: Path) -> None:
    with pytest.raises(RunError, match=r"gpu=0\.25(.|\n)*1 machine of 1 CPU, no GPU"):
        run(space, resources="gpu=0.25")
    with pytest.raises(RunError, match="1 machine of 1 CPU, no GPU"):
        run(space, resources="cpu=64")
    assert not (space.parent / "run").exists()


@pytest.mark.usefixtures("cluster")
def test_a_trial_that_crashes_twice_is_crashed(space: Path) -> None:
    blocked = space.parent / "run/trials/0001/ticks.jsonl"
    blocked.mkdir(parents=True)
    observer = Listener()
    state = run(space, observer, overrides=("finalists.top=0", "budget.trials=2"))
    assert state.outcome_counts == {"completed": 2, "crashed": 1}
    assert "IsADirectoryError" in (blocked.parent / "error.txt").read_text()
    assert retry_message("trials/0001") in observer.lines


HANGS = """
import pathlib, time
def train(config, session):
    session.report(kimg=0.5, d_loss=1.0)
    time.sleep(600)
"""


@pytest.mark.usefixtures("cluster")
def test_a_trial_that_hangs_is_ended_and_retried(tmp_path: Path) -> None:
    text = OWN_SPACE.replace("heartbeat: 60s", "heartbeat: 2s").replace("trials: 2", "trials: 1")
    path = write_own(tmp_path, HANGS, text)
    observer = Listener()
    with pytest.raises(TrainingError, match=r"was ended \(no report for 2s"):
        run(path, observer)
    message = "a worker was ended (no report for 2s (budget.heartbeat)) and is replaced"
    assert message in observer.lines
    assert retry_message("trials/0000") in observer.lines


@pytest.mark.usefixtures("cluster")
def test_a_trainer_that_scores_itself_gives_the_same_trials_on_both_engines(
    tmp_path: Path,
) -> None:
    tables = []
    for engine in ("local", "ray"):
        (tmp_path / engine).mkdir()
        path = write_own(tmp_path / engine, SCORED, OWN_SPACE)
        state = run(path, engine=engine)
        assert state.outcome_counts == {"completed": 2}
        tables.append([(t.params, t.rungs, t.value) for t in state.trials])
        left = files(tmp_path / engine / "run")
        assert {"trials/0000/best/kimg", "trials/0001/output.txt"} <= left
        assert not any("checkpoints" in name or "/last" in name for name in left)
    assert tables[0] == tables[1]


SEARCH = """
import sys, gantune, pathlib
out = pathlib.Path(sys.argv[1]).parent / 'run'
options = gantune.Options(engine='ray', workers=1, out=out, trials=1000)
gantune.search(sys.argv[1], options)
"""


@pytest.mark.usefixtures("cluster")
def test_a_killed_driver_leaves_no_process_and_its_search_resumes(space: Path) -> None:
    first = space.parent / "run/trials/0001/verdict.json"
    with (space.parent / "output.txt").open("w") as output:
        process = subprocess.Popen(
            [sys.executable, "-c", SEARCH, str(space)], stdout=output, stderr=output
        )
    try:
        wait_for(first.exists, 120)
    finally:
        started = set(descendants(process.pid))
        process.kill()
        process.wait()
    assert started
    wait_for(lambda: not any(map(is_alive, started)), 30)
    assert (space.parent / "output.txt").read_text() == ""  # Ray has printed nothing
    verdict = first.read_text()
    done = len(read_run(RunFolder(space.parent / "run")).trials)
    state = run(space, trials=done)
    assert first.read_text() == verdict
    assert state.outcome_counts.total() == done
    assert not state.running
    assert not (space.parent / "run/ray").exists()
