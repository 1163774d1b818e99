"""What is printed before a search, by ``--dry-run``, and after it."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from gantune.config import load_config
from gantune.events import Observer
from gantune.health import Verdict
from gantune.health.remedies import proposals
from gantune.report.analysis.spending import busy_seconds, saved_by, stopped_by
from gantune.report.terminal.summary import print_everything, print_plan, print_summary
from gantune.scores import HeldOut
from gantune.tuner.answer import answer
from gantune.tuner.options import Options
from gantune.tuner.prepare import prepare
from gantune.tuner.state import RunState
from tests.canned import make_score
from tests.report.factory import (
    NAME,
    console,
    finalist,
    finals,
    outcome,
    search,
    state,
    trial,
    written,
)


def summary(of: RunState, width: int = 100, **options: bool) -> str:
    made = console(width)
    print_summary(made, of, **options)
    return written(made)


def everything(of: RunState, width: int = 100) -> str:
    made = console(width)
    print_everything(made, of)
    return written(made)


def flat(text: str) -> str:
    return " ".join(text.split())


RECORDS = {
    "finals": (search(), finals()),
    "one seed": (search(), []),
    "no score": ([record for record in search() if record.value is None], []),
    "nothing": ([], []),
    "many": (
        [trial(n, outcome("completed", value=9.0 + n)) for n in range(60)],
        [
            finalist(9 * seed + n, n, seed, outcome("completed", value=9.0 + n + seed / 9))
            for seed in range(4)
            for n in range(9)
        ],
    ),
    "of every rule": (
        [
            replace(
                trial(n),
                outcome=replace(
                    outcome("diverged", 3.0),
                    verdict=Verdict("diverged", f"rule_number_{n}", 3.0, "it diverged"),
                ),
            )
            for n in range(40)
        ],
        [],
    ),
}


@pytest.mark.parametrize("width", [60, 80, 100])
@pytest.mark.parametrize("interrupted", [True, False])
@pytest.mark.parametrize("name", RECORDS)
def test_the_closing_screen_has_at_most_15_lines_and_starts_with_the_answer(
    name: str, width: int, interrupted: bool
) -> None:
    of = state(*RECORDS[name])
    text = summary(of, width, interrupted=interrupted)
    assert len(text.splitlines()) <= 15
    assert flat(text).startswith(str(answer(of)))
    assert text.splitlines()[-1 - interrupted] == "all of it  gantune status runs/dcgan --all"
    assert flat(everything(of)).startswith(str(answer(of)))


def test_the_closing_screen_shows_the_start_recipe_among_many_finalists() -> None:
    trials, runs = RECORDS["many"]
    late = [replace(record, is_start=record.number == 8) for record in trials]
    shown = summary(state(late, runs), 80)
    assert "\n9  8 start  17.2 ± 0.14" in shown and "\n5 " not in shown


def test_green_is_only_for_what_was_learned() -> None:
    failed = [record for record in search() if record.value is None]
    nothing = replace(outcome("completed"), score=make_score(80.0, recall=0.0))
    for of, colour in (
        (state(search(), finals()), "32m"),
        (state(failed), "31m"),
        (state([trial(0, nothing)]), "33m"),
        (state([]), "33m"),
    ):
        made = Console(file=io.StringIO(), width=100, force_terminal=True, color_system="standard")
        print_summary(made, of)
        assert f"{colour}{str(answer(of))[:20]}" in written(made)


def test_the_rest_has_the_winner_with_its_errors_and_metrics() -> None:
    text = flat(everything(state(search(), finals())))
    assert (
        f"Trial 3: {NAME} 8.50 ± 0.50 over 3 seeds (sampling error 0.10); recall 0.60, "
        "coverage 0.70" in text
    )
    assert "Optuna calls it the best trial" not in text
    lucky = [*search(), trial(12, outcome("completed", value=5.0))]
    text = flat(everything(state(lucky, finals())))
    assert "Trial 12 has the best score of the search (5.00, one seed)" in text
    text = flat(everything(state(search())))
    assert f"Trial 3: {NAME} 8.10 (sampling error 0.10), one seed; recall 0.60" in text


def test_each_rule_is_counted_with_the_share_at_which_it_stopped() -> None:
    found = {(s.reason, s.ending): (s.runs, round(s.share, 3)) for s in stopped_by(state(search()))}
    assert found == {
        ("pruned by rank", "pruned"): (2, 0.375),
        ("discriminator_won", "collapsed"): (2, 0.375),
        ("exploding", "diverged"): (1, 0.2),
        ("stillborn", "stalled"): (1, 0.55),
        ("out of memory", "out_of_memory"): (1, 0.0),
        ("crashed", "crashed"): (1, 0.075),
    }
    text = flat(everything(state(search())))
    assert "discriminator_won collapsed 2 (1 scored) 38%" in text


def test_each_rule_has_something_to_try() -> None:
    text = flat(everything(state(search())))
    for rule in ("discriminator_won", "exploding"):
        first = next(
            record.number
            for record in search()
            if record.outcome and record.outcome.verdict and record.outcome.verdict.rule == rule
        )
        assert f"against {rule}, for trial {first}: {proposals(rule)[0]}" in text


def test_what_stopping_saved() -> None:
    """Of ten ended trials of 40 kimg those stopped by health and rank left 150 undone."""
    saved = saved_by(state(search(), seconds=1e9))
    assert saved.kimg == pytest.approx(32 + 20 + 16 + 30 + 18 + 34)
    assert saved.share == pytest.approx(saved.kimg / 400)
    assert saved.seconds == pytest.approx(saved.kimg / 2)  # the factory trains 2 kimg a second
    assert "Stopping early saved 150 kimg, 38% of the trials' budget" in everything(state(search()))
    assert "early stops saved 38%" in flat(summary(state(search())))


def test_seconds_saved_are_shared_by_the_workers() -> None:
    busy = busy_seconds(search())
    alone, together = state(search(), seconds=busy), state(search(), seconds=busy / 2)
    assert saved_by(together).seconds == pytest.approx(saved_by(alone).seconds / 2)


def test_the_held_out_comparison_is_shown(tmp_path: Path) -> None:
    held_out = HeldOut(
        count=360, value=12.3, training=11.9, between=3.1, nearer_training=0.512, copying=0.4
    )
    scored = replace(outcome("completed"), score=make_score(8.0, held_out=held_out))
    told = (
        "held-out images: no sign of copying; samples lie nearer to training images than held-out "
        f"ones do in 51% of pairs (copies: 100%); {NAME} of 360 images each: samples to held-out "
        "12.3, samples to training 11.9, held-out to training 3.10"
    )
    of = state([trial(0, scored)], folder=tmp_path)
    assert told in flat(everything(of))
    assert "neighbours.png" not in everything(of)
    picture = of.folder.trial("trials/0000").neighbours
    picture.parent.mkdir(parents=True)
    picture.touch()
    assert f"neighbours {picture}" in everything(of, width=40).splitlines()
    further = replace(held_out, value=12.5, nearer_training=0.532)
    second = replace(scored, score=make_score(9.0, held_out=further))
    runs = [finalist(0, 0, 1, scored), finalist(1, 0, 2, second)]
    told = told.replace("held-out 12.3", "held-out 12.4").replace("51%", "52%")
    assert told in flat(everything(state([trial(0, scored)], runs)))
    assert "held-out" not in everything(state(search(), finals()))


def test_the_remark_on_small_batches_is_for_short_searches() -> None:
    favour = "small batches get more updates"
    assert favour in flat(everything(state(search())))
    long = [replace(record, budget_kimg=5000.0) for record in search()]
    assert favour not in flat(everything(state(long)))
    fixed = [replace(record, params={"loss": "hinge"}) for record in search()]
    assert favour not in flat(everything(state(fixed)))


def test_it_ends_with_files_and_the_command_to_type(tmp_path: Path) -> None:
    of = state(search(), finals(), tmp_path / "dcgan")
    assert of.winner is not None and of.winner.origin == 3
    checkpoint = of.folder.trial("finalists/0000").best  # of its trial's and finals' the best score
    assert "gantune sample" not in summary(of)
    checkpoint.parent.mkdir(parents=True)
    checkpoint.touch()
    lines = summary(of, width=40).splitlines()  # commands are never broken
    assert f"train it   gantune train {of.folder.best}" in lines
    assert f"sample it  gantune sample {checkpoint} -n 64 -o grid.png" in lines


def test_after_an_interruption_it_says_how_to_resume() -> None:
    assert "run the same command again" in summary(state(search()), interrupted=True)
    assert "run the same command again" not in summary(state(search()))


def test_without_survivors_it_says_what_to_do(tmp_path: Path) -> None:
    of = state([record for record in search() if record.value is None], folder=tmp_path)
    home = of.folder.trial("trials/0001")
    home.path.mkdir(parents=True)
    home.config.write_text("generator: {lr: 1e-3}\n")
    text = flat(summary(of))
    assert "No trial has survived" in text
    assert "pruned by rank (2)" in text and "exploding (1)" in text
    assert "stability=lenient" in text and "start recipe" in text
    assert "trials/0009/error.txt" in text
    assert f"gantune stabilize '{tmp_path}#1' # exploding: generator.lr 1e-3 → 2e-4" in text
    assert "gantune train" not in text
    home.config.unlink()  # nothing is left to stabilize
    assert "gantune stabilize" not in summary(of)


def test_advice_for_an_external_trainer_whose_samples_are_not_finite(tmp_path: Path) -> None:
    verdict = Verdict("diverged", "non_finite", 5.0, "the samples are no numbers", since=5.0)
    broken = replace(outcome("diverged", 5.0), verdict=verdict)
    of = state([trial(0, broken)], folder=tmp_path)
    assert "gantune init dcgan" in flat(summary(of)) and "lenient" not in flat(summary(of))
    (tmp_path / "trials/0000").mkdir(parents=True)
    (tmp_path / "trials/0000/output.txt").touch()
    text = flat(summary(of))
    assert "trials/0000/output.txt" in text and "gantune init dcgan" not in text
    assert "gantune stabilize" not in text


def test_a_search_without_trials_has_a_summary() -> None:
    assert "No trial has started yet" in summary(state([]), interrupted=True)


def small_space(folder: Path) -> Path:
    """One open setting: a shipped space has thousands of combinations to check."""
    path = folder / "small.yaml"
    path.write_text(
        "trial:\n  kimg: 100\n  data: {source: 'gaussians:ring'}\n  network: {name: mlp}\n"
        "  generator: {lr: {low: 1e-4, high: 1e-3, log: true}}\n"
        "start: [{generator.lr: 2e-4}]\n"
    )
    return path


@pytest.mark.parametrize(
    ("top", "cost"), [(0, "for 3 trials, about"), (2, "and the finals, about")]
)
def test_a_plan_is_a_config_with_its_cost_at_a_known_speed(
    tmp_path: Path, top: int, cost: str
) -> None:
    options = Options(trials=3, out=tmp_path / "run", overrides=(f"finalists.top={top}",))
    search = prepare(small_space(tmp_path), options, Observer())
    placement = replace(search.placement, images_per_second=1000.0)
    made = console(200)
    print_plan(made, replace(search, placement=placement))
    text = written(made)
    assert cost in text and "speed: about 1,000 images/s" in text
    (tmp_path / "one.yaml").write_text(text)
    assert load_config(tmp_path / "one.yaml") == search.config


@pytest.mark.parametrize(
    ("budget", "told"),
    [
        # Of 20 kimg: 27 to 10%, 12 to 50%, 5 to the end, 6 trainings of the finals:
        # 54 + 96 + 50 + 120.
        (
            "{trials: 27}",
            "about 320 kimg for 27 trials and the finals, about 5 min of training, as",
        ),
        ("{kimg: 200}", "about 200 kimg for as many trials as fit and the finals, about 3 min"),
        ("{trials: 27, kimg: 200}", "about 200 kimg for 27 trials"),
        ("{trials: 27, time: 2m}", "it ends after 2m 00s (budget.time), finals included"),
        ("{patience: 30}", "it ends after 30 trials without a better score (budget.patience)"),
    ],
)
def test_the_cost_of_a_plan_knows_halving_and_each_budget(
    tmp_path: Path, budget: str, told: str
) -> None:
    overrides = (
        f"budget={budget}",
        "trial.kimg=20",
        "pruning={rule: halving, rungs: [10%, 50%], factor: 3}",
        "finalists={top: 2, seeds: 2}",
    )
    options = Options(out=tmp_path / "run", overrides=overrides)
    search = prepare(small_space(tmp_path), options, Observer())
    placement = replace(search.placement, images_per_second=1000.0)
    made = console(200)
    print_plan(made, replace(search, placement=placement))
    assert told in written(made)


def test_paused_trials_are_counted_and_not_called_stopped(tmp_path: Path) -> None:
    waits = [
        trial(n, outcome("paused", 1.0), rungs={10: 5.0 + n}, budget_kimg=10.0) for n in range(3)
    ]
    of = state([*waits, trial(3)], folder=tmp_path, is_over=False)
    text = flat(summary(of, interrupted=True))
    assert "3 trials paused at a rung, and the best there go on" in text
    assert "What stopped" not in text and "stopped by" not in text
    assert "stopped with 1 trial unfinished and 3 paused at a rung" in text
    best = trial(4, outcome("completed", value=3.0), rungs={10: 4.0})
    text = everything(state([*waits, best], folder=tmp_path, is_over=False))
    assert "|| paused at its last rung" in flat(text)
    assert "- stopped by rank" not in text
