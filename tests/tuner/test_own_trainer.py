"""Whole searches over external trainers in worker processes, and how these fail."""

from __future__ import annotations

import csv
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

import gantune
from gantune.config import ExternalConfig, load_any_config
from gantune.errors import CheckpointError, RunError, SpaceError, TrainerError
from gantune.events import Observer
from gantune.report.selection import find_checkpoint
from gantune.run_folder.trial import TrialFolder
from gantune.trial import train as training
from gantune.tuner.options import Options
from gantune.tuner.prepare import estimate_cost, prepare
from gantune.tuner.state import RunState
from tests.tuner.own_trainers import GAN, GAN_SPACE, SCORED, SPACE, write_own


@pytest.fixture(autouse=True)
def _one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """No thread waits for another: machines are shared."""
    monkeypatch.setattr(training, "available_cores", lambda: 1)


def run(path: Path, **options: Any) -> RunState:
    return gantune.search(
        path, Options(**{**{"workers": 1, "out": path.parent / "run"}, **options})
    )


def rows(folder: Path) -> list[dict[str, str]]:
    return list(csv.DictReader((folder / "trials.csv").read_text().splitlines()))


@pytest.mark.integration
@pytest.mark.usefixtures("forked_workers")
def test_a_search_by_the_trainers_own_score(tmp_path: Path) -> None:
    state = run(write_own(tmp_path, SCORED, SPACE + "objective: {score: mmd}\n"))
    folder = tmp_path / "run"
    assert state.outcome_counts == {"completed": 2}
    best = state.best
    assert best is not None and best.score is not None
    assert (best.score.name, best.value) == ("mmd", pytest.approx(float(best.params["lr"])))
    assert best.rungs == {50: pytest.approx(best.value + 0.5), 100: pytest.approx(best.value)}
    table = rows(folder)
    assert [row["recall"] for row in table] == ["", ""]
    assert table[0]["protocol"] == best.score.protocol.hash
    config = load_any_config(folder / "best.yaml")
    assert isinstance(config, ExternalConfig)
    assert config.trainer == f"{tmp_path}/mine.py:train"
    assert not list(folder.glob("trials/*/last")) + list(folder.glob("trials/*/checkpoints"))
    assert len(list(folder.glob("trials/*/best"))) == 2
    shown = subprocess.run(
        [sys.executable, "-m", "gantune", "status", str(folder), "--all"],
        capture_output=True,
        text=True,
    )
    assert "Leaderboard: mmd, lower is better" in shown.stdout, shown.stderr
    assert "the trainer's own score" in shown.stdout
    for name in (f"{folder}#0", str(folder / "trials/0000"), str(folder / "trials/0000/best")):
        with pytest.raises(RunError, match="of another trainer, which gantune cannot read"):
            find_checkpoint(name)


@pytest.mark.integration
@pytest.mark.usefixtures("forked_workers")
def test_a_gan_is_searched_by_its_samples_and_its_winner_trained(tmp_path: Path) -> None:
    state = run(write_own(tmp_path, GAN, GAN_SPACE), workers=2)
    folder = tmp_path / "run"
    assert state.outcome_counts == {"completed": 3}
    assert state.winner is not None
    assert state.winner.scores[0].name == "fid[classifier-digits]"
    assert state.winner.recall is not None
    configs = [load_any_config(path) for path in sorted(folder.glob("finalists/*/config.yaml"))]
    assert {config.seed for config in configs} == {1, 2}  # the seed of the search is 0
    home = TrialFolder(folder / "trials/0000")
    assert list(home.grids()) == [0.5, 1.0]
    with Image.open(home.grid(1.0)) as grid:
        assert grid.size == (274, 274)  # 8 x 8 of 8 x 8 pixels, enlarged
    assert home.neighbours.exists()
    scores = home.scores()
    assert [line["rung"] for line in scores if line["rung"]] == [0.5, 1.0]
    full = [line["protocol"]["latent_seed"] for line in scores if line["rung"] is None]
    assert full and set(full) == {2}  # other latents than the rungs'
    config = load_any_config(folder / "best.yaml")
    assert isinstance(config, ExternalConfig)
    outcome = gantune.train(config, out=folder / "best")
    assert outcome.score is not None
    assert outcome.score.protocol == state.winner.scores[0].protocol  # the protocol of the search
    with pytest.raises(RunError, match="resume it with --resume"):
        gantune.train(config, out=folder / "best")
    longer = gantune.train(config.replaced(kimg=2.0), out=folder / "best", resume=True)
    assert longer.ending == "completed" and longer.kimg >= 2
    with pytest.raises(CheckpointError, match="from another config"):
        gantune.train(config.replaced(seed=9), out=folder / "best", resume=True)


@pytest.mark.integration
@pytest.mark.usefixtures("forked_workers")
def test_a_killed_worker_changes_nothing(tmp_path: Path) -> None:
    broken = GAN.replace(
        "        session.report(",
        """        import os, pathlib, signal
        flag = pathlib.Path(__file__).with_name("killed")
        if kimg > 0.75 * config["kimg"] and not flag.exists():
            flag.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        session.report(""",
    )
    space = GAN_SPACE.replace("trials: 3", "trials: 1").replace("top: 1", "top: 0")
    curves, values = [], []
    for name, code in (("whole", GAN), ("broken", broken)):
        (tmp_path / name).mkdir()
        state = run(write_own(tmp_path / name, code, space))
        assert state.best is not None
        values.append((state.best.value, state.best.rungs))
        ticks = TrialFolder(tmp_path / name / "run/trials/0000").ticks()
        curves.append([(t["kimg"], t["d_loss"], t["g_loss"]) for t in ticks])
    assert (tmp_path / "broken/killed").exists()
    assert curves[0] == curves[1]
    assert values[0] == values[1]


@pytest.mark.integration
@pytest.mark.usefixtures("forked_workers")
def test_health_stops_a_gan_that_diverges(tmp_path: Path) -> None:
    changes = {
        "stability: off": "stability: default",
        "high: 1e-2": "high: 1e30",
        "[{lr: 1e-3": "[{lr: 1e30",
        "trials: 3": "trials: 1",
        "kimg: 1.024": "kimg: 100",
        "top: 1": "top: 0",
    }
    space = GAN_SPACE
    for old, new in changes.items():
        space = space.replace(old, new)
    state = run(write_own(tmp_path, GAN, space))
    (trial,) = state.trials
    assert trial.outcome is not None and trial.outcome.verdict is not None
    assert trial.outcome.ending == "diverged"
    assert trial.outcome.kimg < 50


WAYS = """
import os, signal, subprocess, sys, time
from pathlib import Path


def train(config, session):
    how, home = config["how"], Path(__file__).parent
    session.report(kimg=0.5, d_loss=1.0)
    if how == "hangs":
        child = subprocess.Popen(["sleep", "600"])
        (home / "children").open("a").write(f"{child.pid}\\n")
        time.sleep(600)
    if how == "leaves":
        subprocess.Popen(["sleep", "600"], close_fds=False)
        os._exit(5)
    if how == "faults":
        os.kill(os.getpid(), signal.SIGSEGV)
    if how == "exits":
        sys.exit(3)
    if how == "interrupts":
        raise KeyboardInterrupt
    if how == "raises":
        raise ValueError("no such thing")
    if how == "returns":
        return
    if how == "mixes":
        session.score(images=lambda n: None)
    if how == "prints":
        print("the beginning")
        for _ in range(50_000):
            print("x" * 99)
        subprocess.run(["echo", "from a child"])
        print("the end")
    session.report(kimg=1.0)
    session.score(1.0)
"""
BROKEN = {
    "hangs": "no report for 4s (budget.heartbeat)",
    "leaves": "the worker died with exit code 5",
    "faults": "the worker died with exit code -11 (SIGSEGV, a fault in compiled code)",
    "exits": "SystemExit(3)",
    "interrupts": "KeyboardInterrupt",
    "raises": "ValueError: no such thing",
    "returns": "without a score; call session.score(value)",
    "mixes": "no real images to compare with",
}


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.integration
@pytest.mark.timeout(900)  # six workers are killed
@pytest.mark.usefixtures("forked_workers")
def test_every_way_to_break_has_its_outcome(tmp_path: Path) -> None:
    ways = [*BROKEN, "prints", "works"]
    starts = ", ".join(f"{{how: {way}}}" for way in ways)
    space = f"""
study: ways
trainer: mine.py:train
budget: {{trials: 2, max_failed: 20, heartbeat: 4s}}
trial: {{kimg: 1, how: {{choices: [{", ".join(ways)}]}}}}
start: [{starts}]
pruning: {{rule: none, rungs: [50%]}}
finalists: {{top: 0}}
"""
    state = run(write_own(tmp_path, WAYS, space))
    folder = tmp_path / "run"
    for record in state.trials:
        way = record.params["how"]
        assert record.outcome is not None
        if way in BROKEN:
            assert record.outcome.ending == "crashed", way
            assert BROKEN[way] in (folder / record.name / "error.txt").read_text(), way
        else:
            assert record.outcome.ending == "completed", way
    children = [int(line) for line in (tmp_path / "children").read_text().split()]
    assert len(children) == 2 and not any(map(is_alive, children))  # tried twice, both ended
    printed = (folder / "trials" / f"{ways.index('prints'):04d}" / "output.txt").read_text()
    assert len(printed) < 2_100_000
    assert printed.startswith("the beginning\n") and printed.endswith("from a child\nthe end\n")
    assert "left out" in printed


@pytest.mark.integration
def test_nothing_outlives_a_killed_driver(tmp_path: Path) -> None:
    space = "study: h\ntrainer: mine.py:train\nbudget: {trials: 1}\ntrial: {kimg: 1, how: hangs}\n"
    write_own(tmp_path, WAYS, space)
    driver = subprocess.Popen(
        [sys.executable, "-m", "gantune", "search", "own.yaml", "--workers", "1"],
        cwd=tmp_path,
        stdout=subprocess.DEVNULL,
    )
    try:
        end = time.monotonic() + 250
        while not (tmp_path / "children").exists() and time.monotonic() < end:
            assert driver.poll() is None
            time.sleep(0.1)
        (child,) = map(int, (tmp_path / "children").read_text().split())
        assert is_alive(child)
    finally:
        driver.send_signal(signal.SIGKILL)
        driver.wait()
    end = time.monotonic() + 30
    while is_alive(child) and time.monotonic() < end:
        time.sleep(0.1)
    assert not is_alive(child)


@pytest.mark.parametrize(
    ("code", "trainer", "message"),
    [
        ("", "mine.py:train", r"own.yaml:3:1: trainer: '.*mine.py:train': mine.py has no 'train'"),
        ("def trian(): 1", "mine.py:train", r"did you mean 'trian'\?"),
        ("train = 3", "mine.py:train", "must be a function of config and session; its type is int"),
        ("def train(config): pass", "mine.py:train", "is called as train.config, session."),
        ("import nothing_there", "mine.py:train", "importing mine.py fails: ModuleNotFoundError"),
        ("1 +", "mine.py:train", "importing mine.py fails: SyntaxError"),
        ("import sys\nsys.exit()", "mine.py:train", "importing mine.py fails: SystemExit"),
        ("", "other.py:train", "there is no file .*/other.py"),
        ("", "no_such_package.train:train", "there is no module 'no_such_package'"),
    ],
)
def test_trainer_that_cannot_be_imported_is_reported_before_anything_runs(
    tmp_path: Path, code: str, trainer: str, message: str
) -> None:
    path = write_own(tmp_path, code, SPACE.replace("mine.py:train", trainer))
    with pytest.raises(SpaceError, match=message):
        prepare(path, Options(), Observer())


def test_a_module_is_found_in_the_current_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)  # undone after the test, which prepare does not do
    (tmp_path / "my_package_here").mkdir()
    (tmp_path / "my_package_here/deep.py").write_text(SCORED)
    space = SPACE.replace("mine.py:train", "my_package_here.deep:train")
    search = prepare(write_own(tmp_path, SCORED, space), Options(), Observer())
    assert estimate_cost(search) is None
    assert search.real is None


def test_outside_a_search_the_first_score_decides(tmp_path: Path) -> None:
    write_own(tmp_path, SCORED)
    (tmp_path / "one.yaml").write_text("trainer: mine.py:train\nkimg: 1\nlr: 0.5\n")
    config = load_any_config(tmp_path / "one.yaml")
    assert isinstance(config, ExternalConfig)
    outcome = gantune.train(config, out=tmp_path / "out")
    assert outcome.score is not None
    assert (outcome.score.name, outcome.score.value) == ("score", 0.5)
    files = {path.name for path in (tmp_path / "out").iterdir()}
    assert {"best", "last", "checkpoints", "config.yaml"} <= files
    again = gantune.train(config.replaced(kimg=2.0), out=tmp_path / "out", resume=True)
    assert again.kimg == 2.0
    with pytest.raises(CheckpointError, match="nothing to resume from"):
        gantune.train(config, out=tmp_path / "other", resume=True)
    write_own(tmp_path, "def train(config, session): pass")
    with pytest.raises(TrainerError, match="without a report"):
        gantune.train(config, out=tmp_path / "third")
