"""``diagnose`` on whole logs."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gantune import diagnose
from gantune.errors import ConfigError
from gantune.health import diagnosis
from gantune.health.diagnosis import Diagnosis
from tests.examples import examples
from tests.health.logs.making import as_csv, as_lines, calm_rows, won_rows

BROKEN = [math.nan, math.inf, -math.inf]
few = examples(25)


def diagnosed(rows: list[dict[str, Any]], **terms: Any) -> dict[str, Any]:
    tree = diagnose(rows, **({"loss": "vanilla"} | terms)).to_dict()
    json.dumps(tree, allow_nan=False)
    return tree


def test_healthy_without_scores() -> None:
    tree = diagnosed(calm_rows(50))
    rules = {rule.pop("rule"): rule for rule in tree.pop("rules")}
    assert rules["exploding"] == {"from": 2000, "needs": "20 ticks"}
    assert rules["generator_idle"] == {"from": None, "needs": "the length of the run"}
    assert tree == {
        "verdict": "healthy",
        "rule": None,
        "step": None,
        "best_step": 5000,
        "evidence": None,
        "wasted_share": 0.0,
        "unit": "step",
        "last_step": 5000,
        "records": 50,
        "remedies": [],
        "notes": [],
    }


def test_healthy_with_scores_is_best_at_the_lowest() -> None:
    rows = calm_rows(50)
    for index, fid in ((9, 40.0), (19, 30.0), (29, 30.0), (39, 33.0)):
        rows[index]["fid"] = fid
    tree = diagnosed(rows)
    assert (tree["verdict"], tree["best_step"], tree["wasted_share"]) == ("healthy", 2000, 0.6)


def test_a_verdict_without_scores_is_best_before_the_evidence() -> None:
    found = diagnose(won_rows(), loss="vanilla")
    assert found.verdict and found.verdict.rule == "discriminator_won"
    assert found.best is not None and found.best < found.verdict.since < found.verdict.at
    assert found.wasted_share == pytest.approx(1 - found.best / 10_000)
    tree = diagnosed(won_rows())
    assert tree["step"] == found.verdict.at < 10_000
    first = tree["remedies"][0]
    assert first["remedy"] == found.proposals[0].remedy.name and first["changes"] == {}
    assert str(found.proposals[0]).startswith(first["advice"]) and len(tree["remedies"]) == 3
    assert "cured" not in str(found.proposals[0]), "it was tried on one config"


def test_a_change_to_the_loss_that_a_run_has_is_not_proposed() -> None:
    minimax, hinge = (diagnose(won_rows(), loss=loss).proposals for loss in ("minimax", "hinge"))
    assert "hinge" in [one.remedy.name for one in minimax]
    assert "hinge" not in [one.remedy.name for one in hinge]
    assert len(hinge) == 3


def test_a_verdict_with_scores_is_best_at_the_lowest_up_to_it() -> None:
    rows = won_rows()
    for index, fid in ((4, 80.0), (9, 60.0), (14, 70.0), (90, 5.0)):
        rows[index]["fid"] = fid
    tree = diagnosed(rows)
    assert (tree["rule"], tree["best_step"]) == ("discriminator_won", 1000)
    assert tree["wasted_share"] == 0.9


def test_log_that_is_broken_from_the_start_has_no_best_place() -> None:
    tree = diagnosed([{"step": 100, "d_loss": math.nan}, *calm_rows(9)[1:]])
    assert (tree["step"], tree["best_step"], tree["wasted_share"]) == (100, None, 1.0)
    assert tree["evidence"] == "D loss not finite at 100 steps"


def test_best_place_is_not_a_broken_record() -> None:
    rows = calm_rows(20)
    for row in rows[10:]:
        row["d_loss"] = math.nan
    tree = diagnosed(rows, preset="lenient")  # which wants two in a row
    assert (tree["step"], tree["best_step"]) == (1200, 1000)


def test_unknown_loss_says_what_was_not_judged() -> None:
    rows = [row | {"d_loss": 8.0 + row["d_loss"]} for row in calm_rows()]  # near no neutral value
    found = diagnose(rows)
    assert found.verdict is None and found.loss is None and found.kind == "not judged"
    assert "discriminator_won and critic_dead were not judged" in found.notes[0]
    assert "D's loss is not in the log" in diagnose([{"step": 1, "g_loss": 1.0}]).notes[1]


def test_log_that_goes_back_is_judged_by_its_later_records() -> None:
    rows = calm_rows(40)
    rows[29]["fid"] = 5.0
    resumed = [*rows[:30], *calm_rows(40, seed=1)[20:]]
    tree = diagnosed(resumed)
    assert (tree["verdict"], tree["best_step"], tree["records"]) == ("healthy", 4000, 50)
    assert tree["notes"][0].startswith("the log goes back once")
    twice = diagnosed([*resumed, *calm_rows(50)[30:]])
    assert twice["notes"][0].startswith("the log goes back 2 times")


def test_records_after_a_resume_past_the_verdict_are_noted_but_not_judged() -> None:
    rows = calm_rows(40)
    rows[30] |= {"d_loss": math.nan}
    tree = diagnosed([*rows[:31], *calm_rows(60)[20:]])
    assert (tree["verdict"], tree["step"], tree["last_step"]) == ("diverged", 3100, 6000)
    assert "after the verdict the log resumes at step 2,100: not judged" in tree["notes"]


def test_lines_of_one_place_are_one_record() -> None:
    apart = [{"step": row["step"], name: row[name]} for row in won_rows() for name in row]
    assert diagnosed(apart)["step"] == diagnosed(won_rows())["step"]
    assert (
        diagnosed([row for row in won_rows() for _ in "ab"])["step"]
        == diagnosed(won_rows())["step"]
    )


def test_losses_have_the_names_of_others_and_wrong_ones_are_reported() -> None:
    assert diagnose(calm_rows(), loss="non-saturating").loss == "vanilla"
    with pytest.raises(ConfigError, match="did you mean"):
        diagnose(calm_rows(), loss="hing")
    with pytest.raises(ConfigError, match="did you mean"):
        diagnose(calm_rows(), preset="strickt")


def test_very_long_logs_are_thinned_for_the_monitor(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = won_rows(3000, after=600)
    whole = diagnosed(rows)["step"]
    monkeypatch.setattr(diagnosis, "_ALL_OBSERVED", 100)
    assert diagnosed(rows)["step"] == pytest.approx(whole, rel=0.05)
    rows = calm_rows(3000)
    rows[2887]["g_loss"] = math.inf
    assert diagnosed(rows)["step"] == 288_800


def test_table_and_json_lines_give_equal_records(tmp_path: Path) -> None:
    rows = won_rows()
    (tmp_path / "log.csv").write_text(as_csv(rows))
    (tmp_path / "log.jsonl").write_text(as_lines(rows))
    for name in ("log.csv", "log.jsonl"):
        assert diagnose(str(tmp_path / name), loss="vanilla").to_dict() == diagnosed(rows)


@few
@given(seed=st.integers(0, 10**6), junk=st.text(max_size=5), others=st.integers(1, 3))
def test_unknown_columns_are_ignored(seed: int, junk: str, others: int) -> None:
    rows = won_rows() if seed % 2 else calm_rows(60, seed)
    more = [row | {f"other {k}": junk for k in range(others)} for row in rows]
    assert diagnosed(more) == diagnosed(rows)


@few
@given(empty=st.sets(st.tuples(st.integers(0, 59), st.sampled_from(["d_loss", "g_loss"]))))
def test_empty_cells_give_no_verdict(empty: set[tuple[int, str]]) -> None:
    rows = calm_rows(60)
    for index, name in empty:
        rows[index][name] = None
    assert diagnosed(rows)["verdict"] == "healthy"


def test_all_cells_empty_give_no_verdict() -> None:
    assert diagnosed([{"step": k, "d_loss": None, "g_loss": ""} for k in range(50)])["rule"] is None


@few
@given(
    index=st.integers(5, 59),
    name=st.sampled_from(["d_loss", "g_loss"]),
    value=st.sampled_from(BROKEN),
)
def test_non_finite_number_gives_a_verdict(index: int, name: str, value: float) -> None:
    rows = calm_rows(60)
    rows[index][name] = value
    tree = diagnosed(rows)
    assert (tree["rule"], tree["step"]) == ("non_finite", (index + 1) * 100)


@few
@given(
    index=st.integers(0, 59),
    name=st.sampled_from(["fid", "score", "d_grad"]),
    value=st.sampled_from([math.nan, -3.1e68, 1.2e57]),
)
def test_what_was_not_measured_gives_no_verdict(index: int, name: str, value: float) -> None:
    """A single NaN in a column that is empty else; a score that no distance can have."""
    rows = calm_rows(60)
    rows[index][name] = math.nan if name == "d_grad" else value
    tree = diagnosed(rows)
    assert (tree["verdict"], tree["best_step"]) == ("healthy", 6000)


@pytest.mark.parametrize("lost", [("d_loss", "g_loss"), ("d_loss",)])
def test_a_run_that_is_lost_in_its_first_records_is_found(lost: tuple[str, ...]) -> None:
    rows = calm_rows(60)
    for row in rows[2:]:
        row |= dict.fromkeys(lost, math.nan)
    tree = diagnosed(rows)
    assert tree["rule"] == "non_finite" and tree["step"] <= 1000


@few
@given(seed=st.integers(0, 10**6), keep=st.integers(1, 12))
def test_a_thinned_healthy_log_stays_healthy(seed: int, keep: int) -> None:
    assert diagnosed(calm_rows(300, seed)[::keep])["verdict"] == "healthy"


@few
@given(after=st.integers(5, 60), cut=st.integers(1, 100), broken=st.none() | st.integers(0, 99))
def test_diagnosis_of_a_prefix_does_not_depend_on_later_records(
    after: int, cut: int, broken: int | None
) -> None:
    rows = won_rows(100, after)
    if broken is not None:
        rows[broken]["g_loss"] = math.nan
    rows[min(after, 30)]["fid"] = 50.0
    whole, part = diagnose(rows, loss="vanilla"), diagnose(rows[:cut], loss="vanilla")
    assert whole.verdict is not None
    if whole.verdict.at <= cut * 100:
        assert _said(part) == _said(whole)
    else:
        assert part.verdict is None


def _said(found: Diagnosis) -> tuple[object, ...]:
    return found.verdict, found.best, found.best_score


@few
@given(
    scale=st.sampled_from([2.0**k for k in range(-8, 9)]),
    after=st.integers(10, 60),
    loss=st.sampled_from(["vanilla", "hinge", "wgan", None]),
)
def test_scale_of_auxiliary_losses_does_not_matter(
    scale: float, after: int, loss: str | None
) -> None:
    rows = won_rows(100, after)
    scaled = [r | {k: r[k] * scale for k in ("d_loss", "g_loss")} for r in rows]
    assert _outline(scaled, loss) == _outline(rows, loss)


def _outline(rows: list[dict[str, Any]], loss: str | None) -> tuple[Any, ...]:
    tree = diagnosed(rows, loss=loss, auxiliary=True)
    return tree["verdict"], tree["rule"], tree["step"], tree["best_step"]


def test_needs_neither_torch_nor_optuna() -> None:
    code = (
        "import sys, gantune\n"
        "gantune.HealthMonitor(loss='hinge').observe(step=1, d_loss=2.0, g_loss=0.0)\n"
        "gantune.diagnose([{'step': 1, 'd_loss': 2.0}], loss='hinge')\n"
        "sys.exit(bool({'torch', 'optuna', 'plotly', 'numpy'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
