"""``status`` and ``best``."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import pytest

from gantune.run_folder.run import RunFolder
from gantune.trial.records import Assignment, Outcome
from tests.canned import PROTOCOL
from tests.cli.conftest import Run
from tests.report.factory import search, state
from tests.tuner.factory import SPACE, make_driver, play, score, toy_space


def test_status_of_a_stopped_search_says_how_to_go_on(
    run: Run, canned: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    from gantune.tuner import state as reading

    stopped = state(search(), (), canned.path, is_over=False)
    monkeypatch.setattr(reading, "read_run", lambda folder: stopped)
    canned.info.write_text('{"command": "gantune search dcgan --trials 24"}')
    code, text, _ = run("status", "dcgan")
    assert code == 0 and "9/24" in text and "Leaderboard" in text
    assert "stopped; resume with: gantune search dcgan --trials 24" in text
    with canned.locked():
        assert "stopped" not in run("status", "dcgan")[1]


def test_status_as_json_and_of_one_trial(run: Run, canned: RunFolder) -> None:
    code, text, _ = run("status", "dcgan")
    assert code == 0 and "Winner: trial 3" in text
    code, text, _ = run("status", "runs/dcgan", "--json")
    assert code == 0 and json.loads(text)["best"] == 3
    code, text, _ = run("status", "dcgan#4")
    assert code == 0 and "discriminator_won" in text
    code, _, error = run("status", "dcgan#99")
    assert code == 2 and "has no trial 99" in error


def test_a_run_scored_under_two_protocols_is_ranked_nowhere(run: Run, tmp_path: Path) -> None:
    space = toy_space(tmp_path)
    driver = make_driver(tmp_path, space)
    play(driver, lambda config: 1.0, stop_after=2)
    info = {
        "storage": None,
        "begun": 0.0,
        "seconds_before": 0.0,
        "preparing_seconds": 0.0,
        "devices": ["cpu"],
        "protocol": asdict(PROTOCOL),
        "command": "gantune search toy",
    }
    driver.folder.info.write_text(json.dumps(info))
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


def test_best_in_other_forms(run: Run, canned: RunFolder, tmp_path: Path) -> None:
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
