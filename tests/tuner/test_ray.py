"""The Ray engine: its parts without Ray, and whole searches on real clusters of this machine."""

from __future__ import annotations

import csv
import json
import logging
import os
import signal
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import gantune
from gantune.errors import RunError, TrainingError
from gantune.run_folder.run import RunFolder
from gantune.run_folder.trial import TrialFolder
from gantune.scores import Protocol, Protocols
from gantune.trial.checkpoint_files import keep_copy, make_empty, read_copy
from gantune.trial.devices import Placement
from gantune.trial.records import Assignment, Outcome, RungReport
from gantune.tuner.driver import Driver
from gantune.tuner.engines.messages import Task
from gantune.tuner.engines.ray.cluster import places, settled_resources
from gantune.tuner.engines.ray.connection import descendants
from gantune.tuner.engines.ray.files import Storage, packed, unpack
from gantune.tuner.engines.ray.options import (
    RayPlan,
    Resources,
    describe_cluster,
    parse_resources,
    room,
)
from gantune.tuner.engines.retry_policy import trying_again
from gantune.tuner.options import Options
from gantune.tuner.prepare import prepare
from gantune.tuner.state import RunState, SearchObserver, read_run
from tests.tuner.factory import make_driver, play, score, toy_space
from tests.tuner.own_trainers import SCORED, write_own
from tests.tuner.own_trainers import SPACE as OWN_SPACE
from tests.tuner.test_local import SPACE as LOCAL_SPACE
from tests.tuner.test_local import wait_for

SPACE = LOCAL_SPACE.replace("trials: 3", "trials: 4").replace(
    "rule: none, rungs: [50%]", "rule: median, rungs: [50%], startup: 1"
)

MACHINES = [{"CPU": 8.0, "GPU": 2.0, "memory": 1e9, "node:10.0.0.1": 1.0}, {"CPU": 2.0}]

# Ray leaves sockets and pipes of its own to the garbage collector.
of_ray = pytest.mark.filterwarnings(
    "ignore:unclosed:ResourceWarning", "ignore:subprocess .* is still running:ResourceWarning"
)


@pytest.fixture(autouse=True)
def _one_token(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ray would write one into the home folder."""
    monkeypatch.setenv("RAY_AUTH_TOKEN", "0123456789abcdef" * 4)


@pytest.fixture
def space(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.yaml"
    path.write_text(SPACE)
    return path


class Lines(SearchObserver):
    """Keeps what is said."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def message(self, text: str) -> None:
        self.lines.append(text)


def run(space: Path, observer: SearchObserver | None = None, **options: Any) -> RunState:
    return gantune.search(
        space,
        Options(**{**{"engine": "ray", "workers": 1, "out": space.parent / "run"}, **options}),
        observer,
    )


@pytest.mark.parametrize(
    ("text", "amounts"),
    [
        ("gpu=0.25,cpu=2", {"CPU": 2.0, "GPU": 0.25}),
        ("gpu=1", {"CPU": 1.0, "GPU": 1.0}),
        (" GPU=2 , cpu=0 ", {"GPU": 2.0}),
        ("tpu=4", {"CPU": 1.0, "tpu": 4.0}),
    ],
)
def test_resources_are_read(text: str, amounts: dict[str, float]) -> None:
    assert parse_resources(text).amounts == amounts


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("gpu", "'gpu' is not NAME=AMOUNT"),
        ("", "'' is not NAME=AMOUNT"),
        ("gpu=half", "'half' is no number"),
        ("cpu=-1", "from 0 up"),
        ("cpu=nan", "from 0 up"),
        ("gpu=1.5", "a part of one GPU, or whole ones"),
        ("cpu=1,CPU=2", "CPU stands in it twice"),
        ("cpu=0", "a trial takes something"),
    ],
)
def test_malformed_resources_are_told(text: str, what: str) -> None:
    with pytest.raises(RunError) as caught:
        parse_resources(text)
    assert what in str(caught.value)
    assert f"--resources {text}" in str(caught.value)
    assert "gpu=0.25,cpu=2" in str(caught.value)


@pytest.mark.parametrize(
    ("text", "count"),
    [("cpu=1", 10), ("cpu=3", 2), ("gpu=1", 2), ("gpu=0.4", 4), ("gpu=0.1,cpu=0", 20), ("x=1", 0)],
)
def test_how_many_trials_a_cluster_has_room_for(text: str, count: int) -> None:
    assert room(parse_resources(text), MACHINES) == count


def test_threads_and_device_follow_from_the_resources() -> None:
    assert parse_resources("cpu=2.5").threads == 2
    assert parse_resources("cpu=0.5").threads == 1
    assert parse_resources("gpu=0.25").device == "cuda"
    assert parse_resources("cpu=4").device == "cpu"
    assert str(parse_resources("gpu=0.25,cpu=2")) == "cpu=2,gpu=0.25"


def test_by_default_a_trial_takes_a_core_and_a_gpu_where_there_are_some() -> None:
    assert settled_resources(None, MACHINES).amounts == {"CPU": 1.0, "GPU": 1.0}
    assert settled_resources(None, MACHINES[1:]).amounts == {"CPU": 1.0}
    asked = Resources({"CPU": 3.0})
    assert settled_resources(asked, MACHINES) is asked


def test_what_the_cluster_does_not_have_is_an_error_that_says_what_it_has() -> None:
    with pytest.raises(RunError, match=r"gpu=0\.25.*no room|no machine has room") as caught:
        places(parse_resources("gpu=0.25"), "auto", MACHINES[1:])
    assert "1 machine of 2 CPUs, no GPU" in str(caught.value)
    with pytest.raises(RunError, match="1 machine of 8 CPUs, 2 GPUs; 1 machine of 2 CPUs, no GPU"):
        places(parse_resources("cpu=9"), "auto", MACHINES)  # of both together, but of none alone
    with pytest.raises(RunError, match="--workers 3: there is room for 2 trials"):
        places(parse_resources("gpu=1"), 3, MACHINES)
    assert places(parse_resources("gpu=1"), 1, MACHINES) == 1
    assert describe_cluster([{"CPU": 1.0, "tpu": 4.0}] * 2) == "2 machines of 1 CPU, no GPU, 4 tpu"


@pytest.mark.parametrize(
    ("options", "what"),
    [
        ({"address": "auto"}, "--address auto: is for --engine ray"),
        ({"resources": "gpu=1"}, "--resources gpu=1: is for --engine ray"),
        ({"checkpoints": "s3://mine"}, "--checkpoints s3://mine: is for --engine ray"),
        ({"engine": "dask"}, "--engine dask: unknown"),
        ({"engine": "ray", "device": "cpu"}, "--device cpu: with --engine ray"),
        ({"engine": "ray", "address": "ray://head:10001"}, "of Ray's client"),
        ({"engine": "ray", "address": "head"}, "HOST:PORT such as"),
        ({"engine": "ray", "address": "head:"}, "HOST:PORT such as"),
        ({"engine": "ray", "resources": "gpu"}, "NAME=AMOUNT"),
    ],
)
def test_options_that_do_not_go_together(space: Path, options: dict[str, Any], what: str) -> None:
    with pytest.raises(RunError) as caught:
        prepare(space, Options(**options), SearchObserver())
    assert what in str(caught.value)


@pytest.mark.integration
def test_the_command_has_the_options(space: Path) -> None:
    command = [sys.executable, "-m", "gantune", "search", str(space), "--resources", "gpu=1"]
    ended = subprocess.run(command, capture_output=True, text=True)
    assert ended.returncode == 2
    assert ended.stderr.strip().endswith("add --engine ray, or leave --resources out")


def test_a_plan_says_what_is_not_known_yet(space: Path) -> None:
    search = prepare(space, Options(engine="ray", resources="cpu=2"), SearchObserver())
    assert search.ray is not None
    assert search.ray.resources == Resources({"CPU": 2.0})
    assert search.placement == Placement(("cpu",), 2)
    assert Storage.of(None, RunFolder(Path("/runs/a")), "tiny").place == "/runs/a/ray"


def test_two_searches_of_one_study_do_not_meet_in_one_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def name(run: str, host: str, place: str | None = "s3://x") -> str:
        monkeypatch.setattr(socket, "gethostname", lambda: host)
        return Storage.of(place, RunFolder(Path(run)), "tiny").experiment

    assert name("/a", "one") != name("/b", "one")
    assert name("/a", "one") != name("/a", "two")  # in containers all paths are alike
    assert name("/a", "one") == name("/a", "one")
    assert name("/a", "one", None) == name("/a", "two", None)  # in its own folder nobody else is


@pytest.mark.parametrize("is_named", [False, True])
def test_a_folder_that_a_user_named_stays(tmp_path: Path, is_named: bool) -> None:
    place = tmp_path / "run/ray"
    storage = Storage.of(str(place) if is_named else None, RunFolder(tmp_path / "run"), "tiny")
    storage.begin()
    assert storage.holds("begun")
    storage.end()
    assert place.exists() == is_named


MISMATCH = """Version mismatch: The cluster was started with:
    Ray: 2.9.0
    Python: 3.11.7
This process on 127.0.0.1:6379 was started with:
    Ray: 2.60.0
    Python: 3.11.7
"""


@pytest.mark.parametrize(
    ("error", "cause", "what"),
    [
        (RuntimeError(MISMATCH), None, "Ray: 2.9.0; Python: 3.11.7; This process on"),
        (RuntimeError(MISMATCH), None, "install the same Ray and Python on both sides"),
        (ConnectionError("Failed"), RuntimeError("Unauthenticated: RPC"), "asks for its token"),
        (ConnectionError("Failed"), RuntimeError("Unauthenticated: RPC"), "RAY_AUTH_TOKEN_PATH"),
        (ConnectionError("Failed"), RuntimeError("no node"), "ray start --address=127.0.0.1:"),
    ],
)
def test_why_a_cluster_cannot_be_joined(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, cause: Any, what: str
) -> None:
    import ray

    from gantune.tuner.engines.ray.connection import connection

    def refuse(*_: Any, **__: Any) -> None:
        raise error from cause

    monkeypatch.setattr(ray, "init", refuse)
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
        with (
            pytest.raises(RunError) as caught,
            connection(address, 1, RunFolder(tmp_path), SearchObserver()),
        ):
            pass
    assert what in str(caught.value) and f"--address {address}: " in str(caught.value)


@pytest.mark.parametrize("is_joined", [False, True])
def test_sigterm_means_what_it_did_before_ray(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_joined: bool
) -> None:
    import ray

    from gantune.tuner.engines.ray.connection import connection

    def init(*_: Any, **__: Any) -> None:
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # as Ray's own does

    monkeypatch.setattr(ray, "init", init)
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}" if is_joined else None
        former = signal.getsignal(signal.SIGTERM)
        with connection(address, 1, RunFolder(tmp_path), SearchObserver()):
            assert signal.getsignal(signal.SIGTERM) == former


@pytest.mark.parametrize(
    ("error", "what"),
    [
        (
            PermissionError(13, "Permission denied", "/root/.ray"),
            r"Permission denied: '/root/\.ray'.*HOME.*written",
        ),
        (Exception("The current node timed out during startup."), "timed out.*less busy"),
    ],
)
def test_why_ray_does_not_start_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, what: str
) -> None:
    import ray

    from gantune.tuner.engines.ray.connection import connection

    def refuse(*_: Any, **__: Any) -> None:
        raise error

    monkeypatch.setattr(ray, "init", refuse)
    with (
        pytest.raises(RunError, match=what),
        connection(None, 1, RunFolder(tmp_path), SearchObserver()),
    ):
        pass


class Folder:
    """A checkpoint as Tune gives it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def to_directory(self, path: str) -> str:
        import shutil

        shutil.copytree(self.path, path)
        return path


def test_a_trials_files_travel_whole(tmp_path: Path) -> None:
    there, here = TrialFolder(tmp_path / "there/0001"), TrialFolder(tmp_path / "here/0001")
    for path in (
        there.checkpoints / "a",
        there.external_last / "b",
        there.external_best / ".gantune.json",
    ):
        path.parent.mkdir(parents=True)
        path.write_text("new")
    there.last.write_text("new")
    there.add_line({"kimg": 1.0})
    (here.external_last / "old").mkdir(parents=True)
    here.config.write_text("kept")
    there.grid(1.0).write_text("new")
    for picture in (here.grid(2.0), here.neighbours):  # of a try that came to nothing
        picture.write_text("old")
    with packed(there, has_ended=False) as parcel:
        unpack(Folder(parcel), here)  # type: ignore[arg-type]
    assert not list(tmp_path.glob("*/.*"))
    assert list(here.grids()) == [1.0] and not here.neighbours.exists()
    assert here.config.read_text() == "kept"
    assert here.tick_lines() == [{"kimg": 1.0}]
    assert [path.name for path in here.external_last.iterdir()] == ["b"]
    assert here.last.exists() and not here.checkpoints.exists()
    assert (here.external_best / ".gantune.json").exists()
    with packed(there, has_ended=True) as parcel:
        names = {path.name for path in parcel.iterdir()}
    assert names == {"best", "ticks.jsonl", "samples-0001kimg.png"}


def test_the_copies_before_travel_too(tmp_path: Path) -> None:
    """Of another trainer's files: should the newer copy be damaged, the former takes its place."""
    there, here = TrialFolder(tmp_path / "there/0001"), TrialFolder(tmp_path / "here/0001")
    for rung in (1, 2):
        make_empty(there.checkpoints)
        (there.checkpoints / "step").write_text(f"{rung}")
        keep_copy(there.checkpoints, there.external_last, {"kimg": rung})
        keep_copy(there.external_last, there.external_best, {"kimg": rung}, linked=True)
        for _ in range(2):  # also onto what came before
            with packed(there, has_ended=False) as parcel:
                unpack(Folder(parcel), here)  # type: ignore[arg-type]
    for copy in (here.external_last, here.external_best):
        (copy / "step").write_text("?")
        assert read_copy(copy) == {"kimg": 1}
        assert (copy / "step").read_text() == "1"
    assert not list(here.path.glob("..*"))


def test_a_kill_between_two_files_leaves_the_older_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    there, here = TrialFolder(tmp_path / "there/0001"), TrialFolder(tmp_path / "here/0001")
    for folder, text in ((there, "new"), (here, "old")):
        folder.path.mkdir(parents=True)
        for name in ("last.pt", "scores.jsonl", "ticks.jsonl"):
            (folder.path / name).write_text(text)
    moved: list[str] = []
    replace = Path.replace

    def killed(self: Path, target: Path) -> Path:
        if len(moved) == 2:
            raise KeyboardInterrupt
        moved.append(target.name)
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", killed)
    with pytest.raises(KeyboardInterrupt):
        unpack(Folder(there.path), here)  # type: ignore[arg-type]
    assert moved == ["scores.jsonl", "ticks.jsonl"]
    assert here.last.read_text() == "old"


@pytest.mark.integration
def test_a_silent_trial_ends_its_process_and_what_it_started(tmp_path: Path) -> None:
    script = """
import pathlib, subprocess, sys, time
from gantune.tuner.engines.ray.watchdog import Watch
home = pathlib.Path(sys.argv[1])
watch = Watch(0.5)
time.sleep(1.2)  # no trial trains: that is no silence
def hung(limit):
    (home / "hung").write_text(f"{limit:g}")
with watch.over(hung, at_least=4.0):
    time.sleep(1.2)  # while a worker makes itself ready it may be silent for longer
with watch.over(hung):
    for _ in range(6):
        time.sleep(0.2)
        watch.beat()
    with watch.paused():
        time.sleep(1.2)
    child = subprocess.Popen(["sleep", "600"])
    (home / "child").write_text(str(child.pid))
    time.sleep(600)
"""
    ended = subprocess.run([sys.executable, "-c", script, str(tmp_path)], timeout=60)
    assert ended.returncode == -signal.SIGKILL
    assert (tmp_path / "hung").read_text() == "0.5"
    child = Path("/proc") / (tmp_path / "child").read_text()
    wait_for(lambda: not child.exists() or "\nState:\tZ" in (child / "status").read_text())


@pytest.mark.integration
def test_what_a_killed_worker_has_left_goes_with_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    script = "import time, gantune.tuner.engines.ray.worker as s\n"
    script += "print(s.scratch_folder(), flush=True)\n"
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", f"{script}time.sleep(600)"], stdout=subprocess.PIPE, text=True
        )
        for _ in range(2)
    ]
    try:
        killed, alive = (Path((w.stdout or sys.stdin).readline().strip()) for w in workers)
        workers[0].kill()
        workers[0].wait()
        assert killed.exists() and alive.exists()
        subprocess.run([sys.executable, "-c", script], check=True)
        assert list(tmp_path.iterdir()) == [alive]  # its own went with it
    finally:
        for worker in workers:
            worker.kill()
            worker.communicate()


def engine_of(driver: Driver, slots: int = 1, observer: SearchObserver | None = None) -> Any:
    from gantune.tuner.engines.ray.engine import RayEngine

    own = Protocol.external("score", "mine.py:train")
    config = driver.space.first_config()
    task = Task(driver.folder.path, None, Protocols(own, own), "cpu", 1, config)
    plan = RayPlan(None, Resources({"CPU": 1.0}), None, "auto")
    return RayEngine(driver, [task] * slots, observer or SearchObserver(), plan)


class Tune:
    """The calls that Tune makes to its searcher and its scheduler, for trials of canned curves."""

    def __init__(self, engine: Any, slots: int = 1) -> None:
        self.engine, self.slots = engine, slots
        self.running: dict[str, Assignment] = {}
        self.ended: list[str] = []

    def fit(self, curve: Callable[[Any], float | str]) -> list[str]:
        from gantune.tuner.engines.ray import adapters

        with adapters.registered("key", self.engine):
            searcher = adapters.DriverSearcher("key")
            scheduler = adapters.DriverScheduler("key")
            for number in range(1000):
                found = searcher.suggest(f"id{number}")
                if found == adapters.FINISHED:
                    return self.ended
                if found is not None:
                    assert not isinstance(found, str)
                    self.running[f"id{number}"] = found["assignment"]
                    assert len(self.running) <= self.slots
                if found is None or len(self.running) == self.slots:
                    trial = next(iter(self.running))
                    self.train(searcher, scheduler, trial, curve)
        raise AssertionError("it goes on for ever")

    def train(self, searcher: Any, scheduler: Any, trial: str, curve: Any) -> None:
        from gantune.tuner.engines.ray.worker import TrialReport

        class Trial:
            trial_id = trial
            pickled_error_file = "/nowhere"

        assignment = self.running.pop(trial)
        self.ended.append(assignment.name)
        result, budget = curve(assignment.config), assignment.config.kimg
        if result == "crashed":
            for _ in range(2):
                scheduler.on_trial_error(None, Trial)
            searcher.on_trial_complete(trial_id=trial, error=True)
            return
        sent: list[RungReport | Outcome] = [
            RungReport(rung, rung * budget, score(result + 10 * (1 - rung)))
            for rung in assignment.rungs
        ]
        for what in [*sent, Outcome("completed", budget, score=score(result))]:
            answer = scheduler.on_trial_result(
                None, Trial, {"sent": TrialReport(what, True, None, ())}
            )
            if answer == "STOP":
                break
        assert answer == "STOP"
        searcher.on_trial_complete(trial_id=trial, result={})


def by_rate(config: Any) -> float:
    return float(abs(config.generator.lr - 1e-3) * 1e4)


def test_the_adapters_leave_the_study_that_the_driver_alone_leaves(tmp_path: Path) -> None:
    drivers = []
    for name in ("alone", "tune"):
        (tmp_path / name).mkdir()
        drivers.append(make_driver(tmp_path / name, toy_space(tmp_path / name)))
    names = play(drivers[0], by_rate)
    assert Tune(engine_of(drivers[1])).fit(by_rate) == names
    alone, tuned = ((d.trials(), d.finalists()) for d in drivers)
    assert alone == tuned
    assert {t.outcome.ending for t in tuned[0] if t.outcome} == {"completed", "pruned"}


def test_tune_is_given_no_more_trials_than_there_are_places(tmp_path: Path) -> None:
    drivers = []
    for name in ("alone", "tune"):
        (tmp_path / name).mkdir()
        drivers.append(make_driver(tmp_path / name, toy_space(tmp_path / name)))
    assert Tune(engine_of(drivers[1], 3), 3).fit(by_rate) == play(drivers[0], by_rate, slots=3)


def test_a_pruned_trials_outcome_is_what_its_rung_told(tmp_path: Path) -> None:
    driver = make_driver(tmp_path, toy_space(tmp_path))
    report = RungReport(0.5, 5.0, score(9.0), 40, 5.0, 1.5, 0.5)
    assert report.pruned() == Outcome(
        "pruned", 5.0, step=40, best_kimg=5.0, seconds=1.5, scoring_seconds=0.5
    )
    engine = engine_of(driver)
    Tune(engine).fit(by_rate)
    (worst, *_) = [t for t in driver.trials() if t.outcome and t.outcome.ending == "pruned"]
    assert worst.outcome is not None and worst.outcome.kimg == 5.0


def test_a_search_on_tune_that_only_crashes_ends_with_the_first_error(tmp_path: Path) -> None:
    from gantune.tuner.engines.ray.adapters import Ended

    driver = make_driver(tmp_path, toy_space(tmp_path, "budget.max_failed=1"))
    with pytest.raises(Ended) as caught:
        Tune(engine_of(driver)).fit(lambda config: "crashed")
    assert isinstance(caught.value.error, TrainingError)
    assert "2 trials crashed" in str(caught.value.error)
    assert Counter(t.outcome and t.outcome.ending for t in driver.trials()) == {"crashed": 2}


def are_gone(processes: set[int]) -> bool:
    return not any(Path(f"/proc/{process}/exe").exists() for process in processes)


def rows(folder: Path) -> list[dict[str, str]]:
    timed = ("seconds", "scoring_seconds")
    table = csv.DictReader((folder / "trials.csv").read_text().splitlines())
    return [{key: value for key, value in row.items() if key not in timed} for row in table]


def files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")} - {"study.journal.lock"}


@of_ray
@pytest.mark.integration
@pytest.mark.timeout(900)
def test_ray_and_the_local_engine_give_one_leaderboard(
    space: Path, capfd: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0})  # so a worker has one thread
    local = run(space, engine="local", out=space.parent / "local")
    observer = Lines()
    on_ray = run(space, observer)
    assert set(local.outcome_counts) == {"completed", "pruned"}
    assert rows(space.parent / "local") == rows(space.parent / "run")
    assert local.ranking == on_ray.ranking
    assert files(space.parent / "local") == files(space.parent / "run")
    info = RunFolder(space.parent / "run").read_info()
    assert (info["engine"], info["threads_per_worker"]) == ("ray", 1)
    assert "each trial takes cpu=1, 1 at a time" in observer.lines
    assert capfd.readouterr() == ("", "")  # one view, and that is the observer's
    assert are_gone(set(descendants(os.getpid())))


@of_ray
@pytest.mark.integration
@pytest.mark.timeout(900)
def test_resources_and_trials_that_go_wrong(tmp_path: Path) -> None:
    """One Ray for all of it, as it takes its time to start."""
    import ray
    from ray._private.state import state as cluster_state

    from gantune.tuner.engines.ray.connection import silence

    space = tmp_path / "tiny.yaml"
    space.write_text(SPACE)
    with silence():
        ray.init(
            "local",
            num_cpus=1,
            include_dashboard=False,
            log_to_driver=False,
            logging_level=logging.CRITICAL,
        )
        try:
            jobs = cluster_state.job_table()  # by a command's own words a password would be seen
            assert [job["Entrypoint"] for job in jobs] == ["gantune"]
            with pytest.raises(RunError, match=r"gpu=0\.25(.|\n)*1 machine of 1 CPU, no GPU"):
                run(space, resources="gpu=0.25")
            with pytest.raises(RunError, match="1 machine of 1 CPU, no GPU"):
                run(space, resources="cpu=64")
            assert not (tmp_path / "run").exists()
            _crashes(space)
            _hangs(tmp_path)
            _scores_itself(tmp_path)
        finally:
            ray.shutdown()


def _crashes(space: Path) -> None:
    blocked = space.parent / "run/trials/0001/ticks.jsonl"
    blocked.mkdir(parents=True)
    observer = Lines()
    state = run(space, observer, overrides=("finalists.top=0", "budget.trials=2"))
    assert state.outcome_counts == {"completed": 2, "crashed": 1}
    assert "IsADirectoryError" in (blocked.parent / "error.txt").read_text()
    assert trying_again("trials/0001") in observer.lines


HANGS = """
import pathlib, time
def train(config, session):
    session.report(kimg=0.5, d_loss=1.0)
    time.sleep(600)
"""


def _hangs(tmp_path: Path) -> None:
    (tmp_path / "hangs").mkdir()
    text = OWN_SPACE.replace("heartbeat: 60s", "heartbeat: 2s").replace("trials: 2", "trials: 1")
    path = write_own(tmp_path / "hangs", HANGS, text)
    observer = Lines()
    with pytest.raises(TrainingError, match=r"was ended \(no report for 2s"):
        run(path, observer)
    assert "a worker was ended (no report for 2s (budget.heartbeat)) and is replaced" in (
        observer.lines
    )
    assert trying_again("trials/0000") in observer.lines


def _scores_itself(tmp_path: Path) -> None:
    tables = []
    for engine in ("local", "ray"):
        (tmp_path / engine).mkdir()
        path = write_own(tmp_path / engine, SCORED, OWN_SPACE)
        state = run(path, engine=engine, workers=1)
        assert state.outcome_counts == {"completed": 2}
        tables.append([(t.params, t.rungs, t.value) for t in state.trials])
        left = files(tmp_path / engine / "run")
        assert {"trials/0000/best/kimg", "trials/0001/output.txt"} <= left
        assert not any("checkpoints" in name or "/last" in name for name in left)
    assert tables[0] == tables[1]


@of_ray
@pytest.mark.integration
def test_an_address_that_does_not_answer(space: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from gantune.tuner.engines.ray import connection as ray_connection

    monkeypatch.setattr(ray_connection, "_PATIENCE", 1.0)
    with pytest.raises(RunError, match=r"no answer from 127\.0\.0\.1:9 within 1 s.*ray status"):
        run(space, address="127.0.0.1:9")

    def none(_: str) -> str:  # whatever else runs on this machine
        raise ConnectionError("Could not find any running Ray instance.")

    monkeypatch.setattr("ray._private.services.canonicalize_bootstrap_address", none)
    with pytest.raises(RunError, match=r"--address auto: .*ray start --head"):
        run(space, address="auto")
    assert not (space.parent / "run").exists()


@of_ray
@pytest.mark.integration
@pytest.mark.timeout(900)
def test_a_machine_that_dies_costs_no_trial(space: Path) -> None:
    text = SPACE.replace("trials: 4", "trials: 5").replace("rule: median", "rule: none")
    space.write_text(text.replace("kimg: 0.3", "kimg: 2").replace("[50%]", "[25%, 50%, 75%]"))
    command = [sys.executable, "-m", "tests.tuner.dying_machine", str(space)]
    ended = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    told = json.loads(ended.stdout.splitlines()[-1])
    assert told["killed"]
    assert any(
        line.startswith("a worker died (") and "its machine is gone" in line
        for line in told["lines"]
    )
    assert told["endings"] == {"completed": 5}
    counts = Counter(line.split()[0] for line in told["lines"] if " completed at " in line)
    assert set(counts.values()) == {1} and len(counts) == 5 + told["finalists"]
    for record in read_run(RunFolder(space.parent / "run")).trials:
        home = TrialFolder(space.parent / "run" / record.name)
        assert [line["rung"] for line in home.scores()] == [0.0, 0.25, 0.5, 0.75, 1.0, None]
        kimg = [tick.kimg for tick in home.ticks()]
        assert kimg == sorted(set(kimg)) and kimg[-1] >= 2
        assert home.best.exists() and not home.last.exists()
    assert not (space.parent / "run/ray").exists()


COMMAND = """
import sys, gantune, pathlib
out = pathlib.Path(sys.argv[1]).parent / 'run'
options = gantune.Options(engine='ray', workers=1, out=out, trials=int(sys.argv[2]))
gantune.search(sys.argv[1], options)
"""


@of_ray
@pytest.mark.integration
@pytest.mark.timeout(900)
def test_a_killed_driver_leaves_no_process_and_its_search_goes_on(space: Path) -> None:
    process = subprocess.Popen([sys.executable, "-c", COMMAND, str(space), "1000"])
    first = space.parent / "run/trials/0001/verdict.json"
    try:
        wait_for(first.exists, 120)
    finally:
        started = set(descendants(process.pid))
        process.kill()
        process.wait()
    assert started
    wait_for(lambda: are_gone(started), 30)
    kept = first.read_text()
    done = len(read_run(RunFolder(space.parent / "run")).trials)
    state = run(space, trials=done)
    assert first.read_text() == kept
    assert state.outcome_counts.total() == done
    assert not state.running
    assert not (space.parent / "run/ray").exists()


@of_ray
@pytest.mark.integration
@pytest.mark.timeout(900)
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_ray_and_keeps_what_is_finished(
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
    wait_for(lambda: are_gone(started), 30)
    assert read_run(RunFolder(space.parent / "run")).outcome_counts.total() >= 2
    assert not (space.parent / "run/ray").exists()
