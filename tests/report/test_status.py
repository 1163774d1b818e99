"""The state of a search as JSON."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from gantune.report.status import status_json
from gantune.scores import HeldOut
from tests.canned import make_score
from tests.report.factory import NAME, PROTOCOL, begun, finals, outcome, search, state, trial


def test_json_holds_plain_values_under_stable_keys(tmp_path: Path) -> None:
    of = state(search(), finals(), tmp_path)
    with of.folder.locked():
        values = json.loads(json.dumps(status_json(of)))
    assert set(values) == {
        "study",
        "answer",
        "folder",
        "is_running",
        "score",
        "data",
        "trials",
        "finals",
        "ranking",
        "margins",
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
    assert values["finals"] == {
        "planned": 9,
        "ended": 9,
        "running": 0,
        "paused": 0,
        "interrupted": 0,
    }
    assert values["rungs"] is None and values["rung_protocol"] is None
    first = values["ranking"][0]
    assert (first["sampling_error"], first["recall"]) == (pytest.approx(0.1), pytest.approx(0.6))
    assert (first["std"], first["protocol"]) == (0.5, PROTOCOL)


def test_without_a_process_unfinished_trials_are_interrupted(tmp_path: Path) -> None:
    of = state(search(), finals()[:8], tmp_path)
    values = status_json(of)
    assert not values["is_running"]
    assert (values["trials"]["running"], values["trials"]["interrupted"]) == (0, 2)


def test_json_holds_all_metrics_of_a_score(tmp_path: Path) -> None:
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


def test_json_names_the_protocol_of_the_rungs(tmp_path: Path) -> None:
    rungs = begun(tmp_path)
    of = state(search(), folder=tmp_path)
    assert status_json(of)["rung_protocol"] == {"hash": rungs.hash, "samples": 500}


def test_before_the_finals_the_best_survivor_is_best(tmp_path: Path) -> None:
    assert status_json(state(search(), folder=tmp_path))["best"] == 3
    assert status_json(state([trial(0)], folder=tmp_path))["best"] is None
