"""The commands on a search that exists: status, best, report, dashboard, watch."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from gantune.report import run as run_module
from gantune.run_folder.run import RunFolder
from gantune.trial.records import Assignment, Outcome
from tests.canned import run_info
from tests.cli.conftest import Run
from tests.played import played_run
from tests.report.factory import search, state
from tests.report.pages import canned_run
from tests.tuner.factory import SPACE, make_driver, play, score, toy_space


def test_status_of_a_stopped_search_says_how_to_resume(
    run: Run, canned: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    from gantune.tuner import state as reading

    stopped = state(search(), (), canned.path, is_over=False)
    monkeypatch.setattr(reading, "read_run", lambda folder: stopped)
    info = run_info(command="gantune search dcgan --trials 24", rung_protocol=None)
    canned.info.write_text(json.dumps(info))
    code, text, _ = run("status", "dcgan")
    assert code == 0 and "9/24" in text and "Leaderboard" in text
    assert "stopped; resume with: gantune search dcgan --trials 24" in text
    with canned.locked():
        assert "resume with" not in run("status", "dcgan")[1]


def test_status_as_json_and_of_one_trial(run: Run, canned: RunFolder) -> None:
    code, text, _ = run("status", "dcgan")
    assert code == 0 and text.startswith("Trial 3 is 1.5 times better than the start recipe")
    assert len(text.splitlines()) <= 15 and "stopped by" not in text
    code, text, _ = run("status", "dcgan", "--all")
    assert code == 0 and "Trial 3 is 1.5 times better" in text and "stopped by" in text
    code, text, _ = run("status", "runs/dcgan", "--json")
    assert code == 0 and json.loads(text)["best"] == 3
    code, text, _ = run("status", "dcgan#4")
    assert code == 0 and "discriminator_won" in text
    code, _, error = run("status", "dcgan#99")
    assert code == 2 and "has no trial 99" in error


def test_a_run_scored_under_two_protocols_is_never_ranked(run: Run, tmp_path: Path) -> None:
    space = toy_space(tmp_path)
    driver = make_driver(tmp_path, space)
    play(driver, lambda config: 1.0, stop_after=2)
    driver.folder.info.write_text(json.dumps(run_info()))
    driver.folder.space.write_text(SPACE)
    assert run("status", "run")[0] == 0
    work = driver.next_assignment()
    assert isinstance(work, Assignment)
    other = Outcome("completed", 10.0, score=score(1.0, generated=50))
    driver._trials.tell(work.number, other, 10.0)
    for command in (("status", "run"), ("status", "run", "--json"), ("best", "run", "--top", "2")):
        code, text, error = run(*command)
        assert (code, text) == (2, "")
        assert error.startswith("run: scores of two protocols, ")
        assert "generated: 100 against 50" in error and "Traceback" not in error


def test_best_prints_what_training_reads(run: Run, canned: RunFolder) -> None:
    assert run("best", "dcgan") == (0, "# the winner\nseed: 3\n", "")
    assert run("best", "dcgan#4")[1].endswith("seed: 4\n")
    assert run("best", "dcgan", "--trial", "1")[1].endswith("seed: 1\n")
    assert [part[-2] for part in run("best", "dcgan", "--top", "3")[1].split("---\n")] == [*"304"]
    code, _, error = run("best", "dcgan", "--top", "2", "--trial", "1")
    assert code == 2 and "--trial and --top" in error
    assert run("best", "dcgan#4", "--trial", "1")[0] == 2


def test_best_writes_files(run: Run, canned: RunFolder, tmp_path: Path) -> None:
    assert run("best", "dcgan", "-o", "mine.yaml")[1] == "wrote mine.yaml\n"
    assert (tmp_path / "mine.yaml").read_text() == "# the winner\nseed: 3\n"
    assert run("best", "dcgan", "--top", "2", "-o", "top.yaml")[0] == 0
    assert (tmp_path / "top-1.yaml").read_text().endswith("seed: 3\n")
    assert (tmp_path / "top-2.yaml").read_text().endswith("seed: 0\n")


def test_best_in_other_formats(run: Run, canned: RunFolder, tmp_path: Path) -> None:
    code, text, _ = run("best", "dcgan", "--format", "python")
    assert (code, text) == (
        0,
        "import gantune\n\n# the winner\nconfig = gantune.TrialConfig(\n    seed=3,\n)\n",
    )
    assert json.loads(run("best", "dcgan#4", "--format", "json")[1]) == {"seed": 4}
    trees = json.loads(run("best", "dcgan", "--top", "3", "--format", "json")[1])
    assert [tree["seed"] for tree in trees] == [3, 0, 4]
    assert run("best", "dcgan", "--top", "2", "-o", "top.json")[0] == 0
    assert json.loads((tmp_path / "top-2.json").read_text()) == {"seed": 0}
    assert run("best", "dcgan", "-o", "best.py")[0] == 0
    assert "gantune.TrialConfig(" in (tmp_path / "best.py").read_text()
    assert run("best", "dcgan", "--format", "toml")[0] == 2


def test_the_config_of_a_command_is_its_own_settings(run: Run, canned: RunFolder) -> None:
    canned.best.write_text("command: python train.py --lr {lr}\nscore: {column: fid}\nlr: 0.1\n")
    assert run("best", "dcgan", "--format", "python")[1] == 'config = {\n    "lr": 0.1,\n}\n'


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, run_module.Run]:
    """Two runs under ``runs/``, opened by name."""
    made = {name: canned_run(tmp_path / "runs" / name) for name in ("one", "other")}
    monkeypatch.setattr(run_module, "load_run", lambda name: made[name])
    return made


@pytest.mark.integration
def test_the_page_is_in_the_run_folder_or_where_out_says(
    run: Run, runs: dict[str, run_module.Run], tmp_path: Path
) -> None:
    code, text, _ = run("report", "one")
    assert code == 0 and text == f"wrote {runs['one'].folder.report}\n"
    assert runs["one"].folder.report.exists()
    code, text, _ = run("report", "one", "-o", "page.html")
    assert (code, text) == (0, "wrote page.html\n") and (tmp_path / "page.html").exists()
    code, text, _ = run("report", "one", "other")
    assert code == 0 and text.count("wrote ") == 2 and runs["other"].folder.report.exists()


def test_several_runs_are_compared_on_one_page(
    run: Run, runs: dict[str, run_module.Run], tmp_path: Path
) -> None:
    code, text, _ = run("report", "one", "other", "--compare")
    assert (code, text) == (0, "wrote comparison.html\n")
    assert "one against other" in (tmp_path / "comparison.html").read_text()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("one", "-o", "page.png"), ".html"),
        (("one", "--compare"), "two runs"),
        (("one", "other", "-o", "page.html"), "--compare"),
        ((), "RUN"),
    ],
)
def test_contradictory_options_are_refused(
    run: Run, runs: dict[str, run_module.Run], arguments: tuple[str, ...], said: str
) -> None:
    code, _, error = run("report", *arguments)
    assert code == 2 and said in error


def test_a_missing_run_is_named(run: Run) -> None:
    code, _, error = run("report", "nothing")
    assert code == 2 and error.startswith("nothing: no such run")


_ENVIRONMENT = {**os.environ, "PYTHONUNBUFFERED": "1"}


def started(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "gantune", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=_ENVIRONMENT,
    )


def test_watch_ends_with_1_where_the_search_has_stopped(run: Run, tmp_path: Path) -> None:
    played_run(tmp_path, stop_after=2)
    code, text, error = run("watch", "run")
    assert (code, error) == (1, "") and "stopped; resume with: gantune search toy" in text
    played_run(tmp_path)
    code, text, _ = run("watch", "run")
    assert code == 0 and "all of it" in text
    assert run("watch", "nowhere")[0] == 2


def test_the_dashboard_refuses_before_it_starts(run: Run, tmp_path: Path) -> None:
    played_run(tmp_path)
    code, _, error = run("dashboard", "nowhere")
    assert code == 2 and "no such run" in error
    with socket.create_server(("127.0.0.1", 0)) as other:
        begun = set(threading.enumerate())
        code, _, error = run("dashboard", "run", "--port", str(other.getsockname()[1]))
        assert set(threading.enumerate()) <= begun  # figures are drawn only on request
    assert code == 2 and "taken by another program; take --port" in error


@pytest.mark.integration
@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])
def test_ctrl_c_ends_the_dashboard_silently(tmp_path: Path, host: str) -> None:
    folder = played_run(tmp_path)
    process = started("dashboard", str(folder.path), "--port", "0", "--host", host)
    assert process.stdout is not None
    first = process.stdout.readline()
    assert first.startswith(f"{folder.path}: http://{host}:") and "/dashboard/studies/0" in first
    if host == "0.0.0.0":
        assert "no password" in process.stdout.readline()
    assert "Ctrl-C" in process.stdout.readline()
    process.send_signal(signal.SIGINT)
    rest, error = process.communicate(timeout=60)
    assert (process.returncode, rest.strip(), error) == (0, "", "")


@pytest.mark.integration
def test_ctrl_c_ends_watching_and_not_the_search(tmp_path: Path) -> None:
    folder = played_run(tmp_path, stop_after=2)
    with folder.locked():
        process = started("watch", str(folder.path))
        assert process.stdout is not None and "trials" in process.stdout.readline()
        process.send_signal(signal.SIGINT)
        rest, error = process.communicate(timeout=60)
    assert process.returncode == 130 and error == ""
    assert "the search continues" in rest
