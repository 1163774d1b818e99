"""The benchmark of remedies, with canned trainings."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks import cures
from benchmarks.cures import Job, config_of, interval, main
from benchmarks.sweep import TABLES
from gantune.tuner.variants.tried import Tried

GOOD = 10.0


@pytest.fixture
def canned(monkeypatch: pytest.MonkeyPatch) -> list[Job]:
    """Configs 0 to 3 fail as they are; a hinge loss cures all but 3, which it only saves."""
    trained: list[Job] = []

    def results(self: cures.Runs, jobs: list[Job]) -> list[dict[str, Any]]:
        trained.extend(jobs)
        found = []
        for job in jobs:
            fails = job.configuration < 4 and job.remedy != "hinge"
            value = GOOD if job.configuration != 3 else 3 * GOOD
            found.append({"rule": "exploding" if fails else None, "values": [value]})
        return found

    def stabilized(table: Any, number: int, *_: Any) -> Tried:
        return Tried("hinge", (), 3, 3, (GOOD,), (0.5,), None, 40.0, ())

    monkeypatch.setattr(cures.Runs, "results", results)
    monkeypatch.setattr(cures, "stabilized", stabilized)
    monkeypatch.setattr(cures, "candidates", lambda *_: [0, 1, 2, 3])
    monkeypatch.setattr(cures, "healthy", lambda table, count: [7, 8][:count])
    monkeypatch.setattr(cures, "reference", lambda name: 2 * GOOD)
    monkeypatch.setattr(cures, "LEARNED", {"digits": 2})
    monkeypatch.setattr(cures, "JUDGED", {"digits": 2})
    return trained


@pytest.fixture
def told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file that gantune reads."""
    monkeypatch.setattr(cures, "RECORD", tmp_path / "record.json")
    return tmp_path / "record.json"


def test_remedies_are_tried_on_every_second_config_to_learn_from(
    tmp_path: Path, canned: list[Job], told: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cures, "LEARNED", {"digits": 4})
    main(["record", "--work", str(tmp_path / "work")], tmp_path)
    found = json.loads(told.read_text())["exploding"]
    assert {job.configuration for job in canned if job.remedy} == {0, 2}
    assert found["hinge"] == {"tried": 2, "saved": 2, "cured": 2}
    assert found["r1"]["tried"] > found["r1"]["saved"] == 0


def test_counts_are_kept_by_table_and_gantune_reads_their_sum(
    tmp_path: Path, canned: list[Job], told: Path
) -> None:
    one, two = ({"tried": tried, "saved": 1, "cured": 1} for tried in (3, 4))
    known = {
        "wide": {"exploding": {"hinge": one}, "cycling": {"ema": two}},
        "digits": {"exploding": {"r1": two, "hinge": two}, "worsened": {"ema": one}},
    }
    (tmp_path / "cures_record.json").write_text(json.dumps(known))
    command = ["record", "--work", str(tmp_path / "work"), "--remedies", "hinge"]
    for _ in range(2):  # the second time gives the same
        main(command, tmp_path)
        assert {job.remedy for job in canned} == {"", "hinge"}
        hinge = {"tried": 1, "saved": 1, "cured": 1}
        tables = json.loads((tmp_path / "cures_record.json").read_text())
        assert tables["wide"] == known["wide"]
        assert tables["digits"] == {
            "exploding": {"r1": two, "hinge": hinge},
            "worsened": {"ema": one},
        }
        assert json.loads(told.read_text()) == {
            "exploding": {"r1": two, "hinge": {"tried": 4, "saved": 2, "cured": 2}},
            "cycling": {"ema": two},
            "worsened": {"ema": one},
        }


def test_the_failing_configs_after_those_to_learn_from_are_judged_and_the_answers_stay(
    tmp_path: Path, canned: list[Job], capsys: pytest.CaptureFixture[str]
) -> None:
    main(["judge", "--work", str(tmp_path / "work")], tmp_path)
    tree = json.loads((tmp_path / "cures_cpu.json").read_text())["digits"]
    assert tree["cases"] == [[2, "exploding"], [3, "exploding"]]
    assert [one["cured"] for one in tree["judged"].values()] == [True, False]
    assert tree["healthy"] == {"7": True, "8": True}
    assert "cured by at most three lines: 1 of 2" in capsys.readouterr().out
    assert "| digits | healthy configs called healthy | 2 of 2 |" in (
        tmp_path / "cures_cpu.md"
    ).read_text(encoding="utf-8")
    canned.clear()
    main(["judge", "--work", str(tmp_path / "other")], tmp_path)
    assert canned == []


def test_of_wide_settings_those_of_one_rule_are_learned_from_and_judged_in_turn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def results(self: cures.Runs, jobs: list[Job]) -> list[dict[str, Any]]:
        """Every second one explodes, the others learn too little; 0 and 3 fail on one seed, 5 by
        another rule on most seeds, and 7 does not."""
        found = []
        for job in jobs:
            rule = "stillborn" if job.configuration % 2 else "exploding"
            rule = "worsened" if job.configuration in (5, 7) else rule
            rule = "stillborn" if job.configuration == 5 and job.seed else rule
            lives = job.configuration in (0, 3) and job.seed
            found.append({"configuration": job.configuration, "rule": None if lives else rule})
        return found

    monkeypatch.setattr(cures.Runs, "results", results)
    runs = cures.Runs(tmp_path, None, 1)
    assert cures.candidates(cures.WIDE, runs)[:5] == [0, 2, 4, 5, 6]
    learned, judged = cures.cases(cures.WIDE, runs)
    assert [number for number, _ in learned] == [2, 6, 7, 10, 14, 18]
    assert [number for number, rule in learned if rule == "worsened"] == [7]
    assert judged == [(number, "exploding") for number in (4, 8, 12, 16, 20)]


def test_wide_settings_are_those_of_the_digits_with_rates_up_to_one() -> None:
    configs = [cures.WIDE.draw(number)[0] for number in range(20)]
    rates = [player.lr for one in configs for player in (one.generator, one.discriminator)]
    assert max(rates) > 0.1 and min(rates) < 1e-3
    assert all(one.generator.lr != one.discriminator.lr for one in configs)
    digits, _ = TABLES["digits"].draw(0)
    assert all((one.data, one.kimg) == (digits.data, digits.kimg) for one in configs)


def test_nothing_is_begun_after_the_minutes(tmp_path: Path, canned: list[Job]) -> None:
    main(["judge", "--work", str(tmp_path / "work"), "--minutes", "0"], tmp_path)
    tree = json.loads((tmp_path / "cures_cpu.json").read_text())["digits"]
    assert len(tree["cases"]) == 2 and tree["judged"] == tree["healthy"] == {}


def test_a_pair_of_remedies_is_applied_in_turn() -> None:
    config = config_of(Job("digits", 0, "hinge+usual_rates", 5))
    assert (config.loss, config.generator.lr, config.seed) == ("hinge", 2e-4, 5)
    assert config.kimg == TABLES["digits"].kimg


def test_the_interval_of_a_share_holds_it() -> None:
    low, high = interval(8, 10)
    assert low == pytest.approx(0.490, abs=1e-3) and high == pytest.approx(0.943, abs=1e-3)
    assert interval(0, 0) == (0.0, 1.0)
    assert f"{interval(0, 5)[0]:.0%}" == "0%"
    assert interval(5, 5)[1] == 1
