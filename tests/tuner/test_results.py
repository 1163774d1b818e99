"""Files beside the studies: configs, outcomes, ``trials.csv`` and ``best.yaml``."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path

import pytest

from gantune.config import load_config
from gantune.trial.records import Assignment, Outcome
from tests.report.factory import begun
from tests.tuner.factory import by_lr, make_driver, play, score, toy_space, train


def test_the_files_of_a_run_folder_after_a_search(tmp_path: Path) -> None:
    driver = make_driver(tmp_path, toy_space(tmp_path))
    run = tmp_path / "run"
    rungs = begun(run)
    play(driver, by_lr)
    rows = list(csv.DictReader((run / "trials.csv").read_text().splitlines()))
    assert [row["number"] for row in rows] == [str(n) for n in range(8)]
    assert {"ending", "score", "generator.lr", "batch_size", "rung_50"} <= set(rows[0])
    assert {(bool(row["rung_50"]), row["rung_protocol"]) for row in rows} == {(True, rungs.hash)}
    assert (run / "trials/0003/config.yaml").exists()
    assert '"ending"' in (run / "trials/0003/verdict.json").read_text()
    head = (run / "best.yaml").read_text().splitlines()[0]
    assert head.startswith("# fid[test] ") and f"protocol {score(1.0).protocol.hash}" in head
    assert re.search(r" \S+ ± \S+ over 2 seeds \(sampling error 0\.10\)", head)
    assert "over 2 seeds" in driver._trials.attributes["note"]
    assert {row["recall"] for row in rows if row["score"]} == {"0.6"}


def test_what_a_trial_was_computed_in_is_recorded(tmp_path: Path) -> None:
    driver = make_driver(tmp_path, toy_space(tmp_path))
    work = driver.next_assignment()
    assert isinstance(work, Assignment)
    driver.finish(work.name, Outcome("out_of_memory", 1.0, computed_in="tf32"))
    driver.close()
    (row,) = csv.DictReader(driver.folder.table.read_text().splitlines())
    assert row["computed_in"] == "tf32"
    verdict = json.loads(driver.folder.trial(work.name).verdict.read_text())
    assert verdict["computed_in"] == "tf32"


def test_a_config_is_written_while_no_worker_waits_and_before_its_run_ends(tmp_path: Path) -> None:
    driver = make_driver(tmp_path, toy_space(tmp_path))
    first, second = driver.next_assignment(), driver.next_assignment()
    assert isinstance(first, Assignment) and isinstance(second, Assignment)
    places = [driver.folder.trial(work.name) for work in (first, second)]
    assert [(at.path.is_dir(), at.config.exists()) for at in places] == [(True, False)] * 2
    driver.finish(first.name, Outcome("crashed", 1.0, error="boom"))
    assert load_config(places[0].config) == first.config
    for write in (driver.flush_results, driver.close):
        work = driver.next_assignment()
        write()
        assert isinstance(work, Assignment)
        assert load_config(driver.folder.trial(work.name).config) == work.config


def test_results_that_take_long_to_write_are_not_written_after_every_trial(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    driver = make_driver(tmp_path, toy_space(tmp_path))
    monkeypatch.setattr("gantune.tuner.results._QUICK", 0.0)
    monkeypatch.setattr("gantune.tuner.results._PAUSE", 1e9)
    play(driver, lambda config: 5.0, stop_after=3)
    rows = driver.folder.table.read_text().splitlines()
    assert len(rows) == 2  # the head and the first trial
    driver.close()
    assert len(driver.folder.table.read_text().splitlines()) > 3
    driver.folder.table.unlink()
    driver.close()
    assert not driver.folder.table.exists()  # nothing has changed since


def test_checkpoints_are_kept_for_the_ten_best(tmp_path: Path) -> None:
    driver = make_driver(
        tmp_path, toy_space(tmp_path, "budget.trials=14", "pruning.rule=none", "finalists.top=0")
    )
    while isinstance(work := driver.next_assignment(), Assignment):
        folder = driver.folder.trial(work.name)
        for path in (folder.best, folder.last):
            path.touch()
        train(driver, work, by_lr)
        driver.flush_results()
    driver.close()  # writes results that a busy machine has postponed
    kept = [t for t in driver.state().survivors if driver.folder.trial(t.name).best.exists()]
    assert kept == driver.state().survivors[:10]
    assert not list((tmp_path / "run").glob("trials/*/last.pt"))
