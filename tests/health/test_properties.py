"""Properties of the verdict on the log of any trainer."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gantune.config.loss_families import LOSSES
from gantune.health import HealthMonitor, Verdict
from tests.examples import examples
from tests.health.runs import calm

Rows = Sequence[Mapping[str, float | None]]
FEW = examples(25)
LOSS = st.sampled_from([*LOSSES, None])
SEED = st.integers(0, 10**6)


def log(loss: str | None, count: int, seed: int) -> list[dict[str, float | None]]:
    """Records of a calm run every hundred steps; each fifth has a score, and scores fall."""
    rows = calm(loss or "hinge", count, seed)
    rng = random.Random(seed)
    for k, row in enumerate(rows):
        del row["kimg"]
        row["step"] = 100.0 * (k + 1)
        if k % 5 == 4:
            row["fid"] = 10 + 90 * 0.9 ** (k / 5) * rng.uniform(0.9, 1.1)
    return rows


def failing(loss: str | None, count: int, seed: int) -> list[dict[str, float | None]]:
    """The same run, but D wins after a third of it, and the score gets worse after half."""
    rows = log(loss, count, seed)
    for k, row in enumerate(rows):
        if k > count // 3:
            row["d_loss"] = 1e-5 * (row["d_loss"] or 0.0)
        if "fid" in row and k > count // 2:
            row["fid"] = 200.0
    return rows


def judged(loss: str | None, rows: Rows, **options: Any) -> Verdict | None:
    monitor = HealthMonitor(loss, **options)
    for row in rows:
        monitor.observe(**row)
    return monitor.verdict


@FEW
@given(loss=LOSS, seed=SEED, step=st.integers(1, 5))
@example(loss="wgan", seed=20_000, step=1)  # a critic's noise around 0, once taken for cycling
def test_thinned_healthy_log_stays_healthy(loss: str | None, seed: int, step: int) -> None:
    rows = log(loss, 300, seed)
    scored = [row for k, row in enumerate(rows) if k % step == 0 or "fid" in row]
    assert judged(loss, scored) is None
    assert judged(loss, rows[::step]) is None


@FEW
@given(
    loss=LOSS,
    seed=SEED,
    scale=st.floats(1e-6, 1e6),
    make=st.sampled_from([log, failing]),
    with_fid=st.booleans(),
)
def test_scale_of_losses_with_other_terms_does_not_matter(
    loss: str | None, seed: int, scale: float, make: Any, with_fid: bool
) -> None:
    rows = make(loss, 200, seed)
    if not with_fid:
        rows = [{key: row[key] for key in row if key != "fid"} for row in rows]
    scaled = [
        {key: row[key] * (scale if key in ("d_loss", "g_loss") else 1) for key in row}
        for row in rows
    ]
    first = judged(loss, rows, auxiliary=True)
    second = judged(loss, scaled, auxiliary=True)
    assert (first is None) == (second is None)
    if first is not None and second is not None:
        assert (first.rule, first.at, first.since) == (second.rule, second.at, second.since)


@FEW
@given(
    loss=LOSS,
    seed=SEED,
    place=st.integers(0, 99),
    name=st.sampled_from(["d_loss", "g_loss", "d_real", "d_fake", "fid"]),
    value=st.sampled_from([math.nan, math.inf, -math.inf]),
)
def test_non_finite_number_gives_a_verdict_at_its_place(
    loss: str | None, seed: int, place: int, name: str, value: float
) -> None:
    rows = log(loss, 100, seed)
    rows[place][name] = value
    verdict = judged(loss, rows)
    assert verdict is not None
    assert (verdict.kind, verdict.rule, verdict.at) == ("diverged", "non_finite", 100 * (place + 1))


@FEW
@given(loss=LOSS, seed=SEED, holes=st.lists(st.integers(0, 99), max_size=60), drop=st.booleans())
def test_missing_values_give_no_verdict(
    loss: str | None, seed: int, holes: list[int], drop: bool
) -> None:
    rows = log(loss, 100, seed)
    for place in holes:
        for name in ("d_loss", "g_loss", "d_grad", "g_grad", "spread"):
            rows[place][name] = None
            if drop:
                del rows[place][name]
    assert judged(loss, rows) is None


@FEW
@given(loss=LOSS, seed=SEED, cut=st.integers(1, 200))
def test_verdict_does_not_depend_on_later_records(loss: str | None, seed: int, cut: int) -> None:
    rows = failing(loss, 200, seed)
    whole, begun = judged(loss, rows), judged(loss, rows[:cut])
    if begun is not None:
        assert whole == begun
    elif whole is not None:
        assert whole.at > (rows[cut - 1]["step"] or 0.0)


@FEW
@given(
    loss=LOSS,
    seed=SEED,
    names=st.lists(st.text("abcxyz_", min_size=3), max_size=3),
    number=st.floats(),
)
def test_unknown_columns_are_ignored(
    loss: str | None, seed: int, names: list[str], number: float
) -> None:
    rows = failing(loss, 120, seed)
    more = [{**dict.fromkeys((f"my_{name}" for name in names), number), **row} for row in rows]
    assert judged(loss, more) == judged(loss, rows)


@pytest.mark.parametrize("loss", ["vanilla", "hinge", "lsgan"])
def test_failing_log_is_found_by_its_losses_or_by_its_scores(loss: str) -> None:
    rows = failing(loss, 300, 0)
    by_both = judged(loss, rows)
    alone = judged(loss, [{k: row[k] for k in row if k != "fid"} for row in rows])
    by_score = judged(None, [{k: row[k] for k in row if k in ("step", "fid")} for row in rows])
    assert by_both is not None
    assert alone is not None and alone.rule == "discriminator_won"
    assert by_score is not None and by_score.rule == "worsened"


def test_a_log_in_two_units_is_refused() -> None:
    monitor = HealthMonitor("hinge")
    monitor.observe(step=100, d_loss=2.0)
    with pytest.raises(
        ValueError, match="earlier places of this run are in step, this one is in kimg"
    ):
        monitor.observe(kimg=1.0, d_loss=2.0)
    with pytest.raises(ValueError, match="the place of the run is missing"):
        monitor.observe(d_loss=2.0)


@pytest.mark.integration
def test_long_log_is_checked_a_limited_number_of_times() -> None:
    """The verdict is late by at most a two-hundredth of the observed length."""
    rows = [{"step": float(k + 1), "d_loss": 2.0 if k < 3e4 else 1e-6} for k in range(60_000)]
    verdict = judged("hinge", rows)
    assert verdict is not None
    assert 35_500 <= verdict.at <= 37_000
    assert verdict.sentence.startswith("D loss at 5e-07 of its neutral value for 7,")


def test_spike_at_the_start_is_not_the_scale() -> None:
    """For example in the first steps of a penalty: later losses are not compared with it."""
    rows = [{"step": 100.0 * k, "d_loss": 120.0 if k < 6 else 2.0} for k in range(1, 200)]
    assert judged("hinge", rows, auxiliary=True) is None


def test_common_names_of_losses_are_known() -> None:
    rows = failing("hinge", 300, 0)
    alone = [{k: row[k] for k in row if k != "fid"} for row in rows]
    assert judged("Hinge", alone) == judged("hinge", alone)
    assert judged("wgan-gp", alone) == judged("wgan", alone)
