from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from benchmarks.curves import Curves, read_curves, write_curves
from benchmarks.health_logs import Log, judge, left_out, read_logs
from benchmarks.health_logs import report as report_logs
from benchmarks.health_replay import Part, Replayed, failure, reached, replay
from benchmarks.health_replay import main as replay_main
from benchmarks.public_logs import main as public_logs_main
from benchmarks.public_logs import read_list
from benchmarks.sweep import TABLES, Run, runs_of
from gantune.config import make_config

CONFIG = make_config({"loss": "hinge", "kimg": 40.0}).model_dump(mode="json")


def run_of(
    values: list[float | None], spread: float = 0.9, configuration: int = 0, seed: int = 0
) -> dict[str, Any]:
    """20 ticks of 2 kimg, each with a score; ``values``: those of 0, 10, 20, 30 and 40 kimg."""
    scores = [{"kimg": 2.0 * k, "value": values[k // 5], "spread": spread / 2} for k in range(21)]
    ticks = [
        {"kimg": 2.0 * (k + 1), "step": 62 * (k + 1), "d_loss": 1.0, "g_update": 0.01}
        | {"spread": spread, "penalties": {}}
        for k in range(20)
    ]
    names = {"configuration": configuration, "seed": seed, "params": {"generator.lr": 1e-4}}
    return {**names, "config": CONFIG, "ticks": ticks, "scores": scores}


def curves(values: list[float | None], **options: Any) -> Curves:
    return Curves(**run_of(values, **options))


def test_runs_are_read_as_they_were_written(tmp_path: Path) -> None:
    runs = [run_of([900, 500, 100, 60, 50]), run_of([900, 500, None, None, None], seed=1)]
    runs[0]["ticks"][3]["d_loss"] = math.inf
    write_curves(tmp_path / "runs.parquet", runs, {"kimg": 40.0})
    facts, read = read_curves(tmp_path / "runs.parquet")
    assert facts == {"kimg": 40.0}
    assert [vars(run) for run in read] == runs


def test_every_third_configuration_has_two_seeds_of_one_setting() -> None:
    runs = runs_of(228)
    assert len(runs) == 304
    assert runs[:3] == [Run(0, 0), Run(0, 1), Run(1, 0)]
    (first, params), (other, _) = (TABLES["digits"].draw(number) for number in (0, 1))
    assert first.generator.lr == params["generator.lr"] != other.generator.lr
    assert (first.kimg, first.network.name, first.data.held_out) == (40.0, "dcgan", 0.1)


@pytest.mark.parametrize(
    ("values", "found"),
    [
        ([900, 500, 100, 60, 50], None),
        ([900, 500, 50, 60, 101], "over twice its best"),
        ([900, 800, 700, 600, 501], "unreadable"),
        ([900, 500, 50, 60, None], "not finite"),
    ],
)
def test_which_runs_have_failed(values: list[float | None], found: str | None) -> None:
    assert failure(curves(values), blurred=500.0) == found


def test_a_run_is_replayed_with_the_scores_of_a_search() -> None:
    """Its scores between rungs are not shown, and a checkpoint is picked at rungs."""
    good = curves([900, 500, 100, 60, 70])
    good.scores[13]["value"] = 1.0  # type: ignore[index]
    assert replay(good, "default") is None
    assert reached(good) == 60
    still = curves([900, 890, 880, 870, 860], spread=0.16)
    verdict = replay(still, "default")
    assert verdict is not None and (verdict.rule, verdict.at) == ("stillborn", 10.0)
    assert replay(curves([900, 500, None, 60, 50]), "lenient").rule == "non_finite"


def test_a_rule_about_pace_spares_the_better_half_of_a_sweep() -> None:
    peers: dict[float, list[float]] = {}
    runs = [
        curves([900, 890 + k, 880 + k, 870 + k, 860 + k], spread=0.16) for k in (0, 1, 2, -1, -2)
    ]
    places = [(verdict := replay(run, "default", peers)) and verdict.at for run in runs]
    assert places == [None, 10.0, 10.0, None, None]
    assert peers[0.25] == [890, 891, 892, 889, 888]
    assert peers[0.5] == [880, 879, 878]


def test_a_part_adds_up() -> None:
    runs = [
        Replayed("margin", "unreadable", False, False, "stillborn", 0.25),
        Replayed("margin", "unreadable", False, False, None, 1.0),
        Replayed("critic", None, True, False, None, 1.0),
        Replayed("critic", None, False, True, "cycling", 0.5),
    ]
    part = Part.of("default", runs)
    assert (part.failed, part.caught, part.others, part.others_stopped) == (2, 1, 2, 1)
    assert (part.top, part.top_stopped, part.worst_stopped) == (1, 0, 1)
    assert part.failed_saved == pytest.approx(0.375)
    assert part.saved == pytest.approx(0.3125)
    assert part.median_share == pytest.approx(0.625)


def test_the_tables_of_a_sweep(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runs = [
        run_of([900, 500, 100, 60, 50 + k], configuration=60 + 90 * k, seed=0) for k in range(3)
    ]
    runs += [run_of([900, 890, 880, 870, 860], 0.16, 60 + 90 * k, 1) for k in range(3)]
    facts = {"kimg": 40.0, "blurred_score": 400.0, "protocol": "p", "machine": "m", "script": "s"}
    write_curves(tmp_path / "runs.parquet", runs, facts)
    page = tmp_path / "health.md"
    page.write_text("<!-- health_replay_cpu -->\n<!-- end -->\n")
    replay_main(
        [f"--curves={tmp_path / 'runs.parquet'}", f"--results={tmp_path}", f"--page={page}"]
    )
    text = capsys.readouterr().out
    assert "**Never seen before: configurations from 228 on**" in text
    assert text.count("| default | 2 | 1 | 1 (100%) |") == 3
    assert "Digits at 16 pixels, 40 kimg a run" in page.read_text()


def log(name: str, label: str, fids: list[float], d_loss: float, loss: str = "hinge") -> Log:
    rows = [{"step": 100.0 * (k + 1), "d_loss": d_loss, "g_loss": 0.5} for k in range(200)]
    for k, fid in enumerate(fids):
        rows[10 * k + 9]["fid"] = fid
    best = 1000.0 * (fids.index(min(fids)) + 1)
    return Log(name, loss, False, label, best, tuple(rows))


HEALTHY = [log(f"h{k}", "healthy", [100 * 0.9**k for k in range(20)], 1.0) for k in range(3)]
DEAD = [log(f"c{k}", "collapsed", [60, 40, 30, 20, *[100.0] * 16], 0.001) for k in range(3)]


def test_published_logs_are_read(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("step,d_loss,g_loss,fid\n100,1.5,0.5,\n200,1.4,0.4,30.5\n")
    columns = "run,loss,auxiliary_terms_in_d_loss,label,best_fid_step"
    (tmp_path / "runs.csv").write_text(f"{columns}\na,hinge,yes,healthy,200\n")
    (found,) = read_logs(tmp_path)
    assert found.is_auxiliary and found.label == "healthy" and found.last_step == 200
    assert found.rows[0] == {"step": 100, "d_loss": 1.5, "g_loss": 0.5}
    assert found.rows[1]["fid"] == 30.5


def test_saved_steps_are_counted_from_the_collapse() -> None:
    verdict = judge(DEAD[0], "default", with_fid=True)
    assert verdict is not None
    assert DEAD[0].collapse == 5000
    assert DEAD[0].saved(verdict) == pytest.approx((20_000 - max(verdict.at, 5000)) / 15_000)


@pytest.mark.integration
def test_left_out_logs_are_judged_by_thresholds_of_the_others() -> None:
    for with_fid in (True, False):
        found = left_out([*HEALTHY, *DEAD], with_fid)
        assert [is_stopped for _, is_stopped in found] == [False] * 3 + [True] * 3


@pytest.mark.integration
def test_the_tables_of_the_logs() -> None:
    text = report_logs([*HEALTHY, *DEAD], ["default"])
    assert text.count("| default | 3 of 3 | 0 of 0 | 0 of 3 | 0 of 0 |") == 2
    assert "| only losses | discriminator_won | margin | 3 | 0 |" in text
    assert "6 runs" in text


def test_the_public_logs_that_are_read_are_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert len(read_list()) > 60
    (tmp_path / "one" / "gan").mkdir(parents=True)
    rows = "".join(f"{k},1.39,0.7\n" for k in range(40))
    (tmp_path / "one" / "gan" / "log.csv").write_text(f"step,d_loss,g_loss\n{rows}")
    (tmp_path / "one" / "gan" / "other.csv").write_text("step,d_loss\n1,1.39\n")
    (tmp_path / "one" / "gan" / "notes.txt").write_text("no losses\n")
    names = ("log.csv", "other.csv", "notes.txt")
    contains = ("d_loss g_loss", "d_loss g_loss", "")
    lines = (f"one/gan\tc0ffee\t{n}\t{c}\n" for n, c in zip(names, contains, strict=True))
    (tmp_path / "list.tsv").write_text(f"repository\tcommit\tfile\tcontains\n{''.join(lines)}")
    monkeypatch.setattr("benchmarks.public_logs.LIST", tmp_path / "list.tsv")
    page, results = tmp_path / "page.md", tmp_path / "results"
    page.write_text("<!-- public_logs_cpu -->\n<!-- end -->\n")
    options = ("--logs", f"{tmp_path}", "--results", f"{results}", "--page", f"{page}")
    public_logs_main(options)
    assert "| all | 2 | 1 | 1 (50%) | 1 | 0 | 0 |" in page.read_text()
    assert "not counted: 1." in page.read_text()
