from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from gantune.report.status import status_json
from gantune.report.terminal.trial import TrialSheet
from gantune.scores import HeldOut
from tests.canned import make_score
from tests.report.factory import NAME, PROTOCOL, begun, finals, outcome, search, shown, state, trial


def test_json_holds_plain_values_under_stable_keys(tmp_path: Path) -> None:
    of = state(search(), finals(), tmp_path)
    with of.folder.locked():
        values = json.loads(json.dumps(status_json(of)))
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
        "scoring_share",
        "rungs",
        "rung_protocol",
    }
    assert values["score"] == NAME and values["best"] == 3
    trials = values["trials"]
    assert (trials["planned"], trials["ended"], trials["running"]) == (24, 10, 2)
    assert trials["interrupted"] == 0
    assert trials["endings"]["collapsed"] == 2
    assert trials["list"][1]["rule"] == "exploding"
    assert trials["list"][3]["rungs"] == {"25": 14.0, "50": 11.0, "75": 9.01}
    assert trials["list"][10]["ending"] is None
    assert [ranked["trial"] for ranked in values["ranking"]] == [3, 0, 4]
    assert values["finals"] == {"planned": 9, "ended": 9, "running": 0, "interrupted": 0}
    assert values["rungs"] is None and values["rung_protocol"] is None
    first = values["ranking"][0]
    assert (first["sampling_error"], first["recall"]) == (pytest.approx(0.1), pytest.approx(0.6))
    assert (first["std"], first["protocol"]) == (0.5, PROTOCOL)


def test_where_no_process_is_at_it_nothing_runs(tmp_path: Path) -> None:
    of = state(search(), finals()[:8], tmp_path)
    values = status_json(of)
    assert not values["is_running"]
    assert (values["trials"]["running"], values["trials"]["interrupted"]) == (0, 2)
    text = " ".join(shown(TrialSheet(of, of.trials[10])).split())
    assert "ending none: interrupted, with its search" in text
    assert "a start recipe" in shown(TrialSheet(of, of.trials[0]))
    with of.folder.locked():
        assert "ending none yet" in " ".join(shown(TrialSheet(of, of.trials[10])).split())


def test_json_holds_all_that_stands_beside_a_score(tmp_path: Path) -> None:
    held_out = HeldOut(
        count=9, value=3.0, training=2.5, between=0.5, nearer_training=0.6, copying=0.4
    )
    shares = {"classes": {"a": 0.75, "b": 0.25}, "real_classes": {"a": 0.5, "b": 0.5}}
    score = make_score(1.0, held_out=held_out, **shares)
    of = state([trial(0, replace(outcome("completed"), score=score)), trial(1)], folder=tmp_path)
    scored, running = json.loads(json.dumps(status_json(of)))["trials"]["list"]
    beside = {
        "sampling_error": 0.1,
        "recall": 0.6,
        "coverage": 0.7,
        "precision": 0.8,
        "density": 0.9,
        "kid": 0.01,
        "kid_error": 0.001,
        "balance": 0.75,
        "spread": 1.0,
        "held_out": 3.0,
        "held_out_training": 2.5,
        "held_out_between": 0.5,
        "nearer_training": 0.6,
        "copying": 0.4,
        "protocol": PROTOCOL,
    }
    assert {name: scored[name] for name in beside} == beside
    assert {running[name] for name in beside} == {None}


def test_json_says_how_well_the_rungs_ordered_the_trials(tmp_path: Path) -> None:
    trials = [trial(n, outcome("completed", value=9.0 - n), rungs={50: float(n)}) for n in range(5)]
    values = status_json(state(trials, folder=tmp_path))
    assert values["rungs"] == {"trials": 5, "rank_correlation": pytest.approx(-1)}


def test_rung_scores_are_told_with_their_protocol(tmp_path: Path) -> None:
    rungs = begun(tmp_path)
    of = state(search(), folder=tmp_path)
    assert status_json(of)["rung_protocol"] == {"hash": rungs.hash, "samples": 500}
    text = " ".join(shown(TrialSheet(of, of.trials[2]), 140).split())
    assert f"at 50% 31.2 ({NAME}, protocol {rungs.hash}, 500 samples)" in text


def test_before_the_finals_the_best_survivor_is_best(tmp_path: Path) -> None:
    assert status_json(state(search(), folder=tmp_path))["best"] == 3
    assert status_json(state([trial(0)], folder=tmp_path))["best"] is None


def test_one_trial_tells_why_it_ended() -> None:
    of = state(search())
    text = " ".join(shown(TrialSheet(of, of.trials[4])).split())
    assert "dcgan, trial 4" in text
    assert "ending collapsed at 24 of 40 kimg" in text
    assert "verdict discriminator_won: it collapsed" in text
    assert f"{NAME} 10.5 (protocol {PROTOCOL})" in text
    assert "scored at 20 kimg" in text
    assert "sampling error 0.10" in text and "kid 0.0100 ± 1.0e-3" in text
    assert "recall 0.60, coverage 0.70" in text and "precision 0.80, density 0.90" in text
    assert "held-out" not in text and "classes" not in text
    assert "generator.lr 1.06e-3" in text


def test_one_trial_tells_of_copies_and_lost_classes(tmp_path: Path) -> None:
    held_out = HeldOut(
        count=9, value=3.0, training=2.5, between=0.5, nearer_training=0.6, copying=0.4
    )
    shares = {"classes": {"a": 1.0, "b": 0.0}, "real_classes": {"a": 0.5, "b": 0.5}}
    score = make_score(1.0, held_out=held_out, **shares)
    record = trial(0, replace(outcome("completed"), score=score))
    of = state([record], folder=tmp_path)
    picture = of.folder.trial(record.name).neighbours
    picture.parent.mkdir(parents=True)
    picture.touch()
    text = " ".join(shown(TrialSheet(of, record), 200).split())
    assert "held-out images no sign of copying" in text
    assert f"{NAME} of 9 images each: samples to held-out 3.00, samples to training 2.50" in text
    assert "classes shares 50% like the real ones" in text
    assert "warning lost 1 of 2 classes: b" in text
    assert f"neighbours {picture}" in text
