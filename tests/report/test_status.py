from __future__ import annotations

import json
from pathlib import Path

from gantune.report.detail import Detail
from gantune.report.status import status_json
from tests.report.factory import NAME, PROTOCOL, finals, search, shown, state, trial


def test_json_holds_plain_values_under_stable_keys(tmp_path: Path) -> None:
    values = json.loads(json.dumps(status_json(state(search(), finals(), tmp_path))))
    assert set(values) == {
        "study",
        "folder",
        "is_running",
        "score",
        "trials",
        "finals",
        "ranking",
        "best",
        "seconds",
        "seconds_left",
    }
    assert values["score"] == NAME and values["best"] == 3
    trials = values["trials"]
    assert (trials["planned"], trials["ended"], trials["running"]) == (24, 10, 2)
    assert trials["endings"]["collapsed"] == 2
    assert trials["list"][1]["rule"] == "exploding"
    assert trials["list"][3]["rungs"] == {"25": 14.0, "50": 11.0, "75": 9.01}
    assert trials["list"][10]["ending"] is None
    assert [ranked["trial"] for ranked in values["ranking"]] == [3, 0, 4]
    assert values["finals"] == {"planned": 9, "ended": 9, "running": 0}


def test_before_the_finals_the_best_survivor_is_best(tmp_path: Path) -> None:
    assert status_json(state(search(), folder=tmp_path))["best"] == 3
    assert status_json(state([trial(0)], folder=tmp_path))["best"] is None


def test_one_trial_tells_why_it_ended() -> None:
    of = state(search())
    text = " ".join(shown(Detail(of, of.trials[4])).split())
    assert "dcgan, trial 4" in text
    assert "ending collapsed at 24 of 40 kimg" in text
    assert "verdict discriminator_won: it collapsed" in text
    assert f"{NAME} 10.5 (protocol {PROTOCOL})" in text
    assert "scored at 20 kimg" in text
    assert "generator.lr 1.06e-3" in text


def test_a_trial_that_runs_has_no_ending() -> None:
    of = state(search())
    assert "none yet" in shown(Detail(of, of.trials[10]))
    assert "a start recipe" in shown(Detail(of, of.trials[0]))
