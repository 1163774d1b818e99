"""One trial on the terminal."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from gantune.config import make_config
from gantune.health.remedies import proposals
from gantune.report.terminal.trial import trial_sheet
from gantune.scores import HeldOut
from gantune.trial.records import Standing
from tests.canned import make_score
from tests.report.factory import NAME, PROTOCOL, begun, finals, outcome, search, shown, state, trial


def test_a_trial_shows_its_outcome_with_the_reason_and_its_scores() -> None:
    of = state(search())
    text = " ".join(shown(trial_sheet(of, of.trials[4])).split())
    assert "dcgan, trial 4" in text
    assert "outcome collapsed at 24 of 40 kimg" in text
    assert "verdict discriminator_won: it collapsed" in text
    assert f"{NAME} 10.5 (protocol {PROTOCOL})" in text
    assert "scored at 20 kimg" in text
    assert "sampling error 0.10" in text and "kid 0.0100 (standard error 1.0e-3)" in text
    assert "recall 0.60, coverage 0.70" in text and "precision 0.80, density 0.90" in text
    assert "held-out" not in text and "class balance" not in text
    assert "generator.lr 1.06e-3" in text


def test_a_trial_that_failed_shows_what_to_try(tmp_path: Path) -> None:
    record = trial(3, outcome("collapsed", 9.0))
    of = state([record], folder=tmp_path)
    text = shown(trial_sheet(of, record), 200)
    advice = [str(one) for one in proposals("discriminator_won")]
    assert len(advice) == 3 and all(one in text for one in advice)  # its config is not there
    assert "gantune stabilize" not in text
    home = of.folder.trial(record.name)
    home.path.mkdir(parents=True)
    home.config.write_text("generator: {lr: 1e-3}\n")
    text = shown(trial_sheet(of, record), 200)
    config = make_config({"generator": {"lr": 1e-3}})
    changes = [str(one) for one in proposals("discriminator_won", config)]
    assert len(changes) == 3 and all(one in text for one in changes)
    assert advice[0] not in text and f"gantune stabilize {tmp_path}" in text
    own = f"trainer: {tmp_path}/mine.py:train\n"
    (tmp_path / "mine.py").write_text("def train(config, session): ...\n")
    home.config.write_text(f"{own}kimg: 5\nlr: 0.1\n")
    assert advice[0] in shown(trial_sheet(of, record), 200)
    space = f"study: own\n{own}trial: {{kimg: 5, lr: 0.1}}\n"
    of.folder.space.write_text(f"{space}remedies: {{slower: {{lr: 0.5x}}}}\n")
    text = shown(trial_sheet(of, record), 200)
    assert "lr 0.1 → 0.05" in text and advice[0] not in text
    assert f"gantune stabilize {tmp_path}" in text
    assert "try" not in shown(trial_sheet(of, trial(4, outcome("completed", value=9.0))), 200)


def test_a_trial_shows_copies_and_lost_classes(tmp_path: Path) -> None:
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
    text = " ".join(shown(trial_sheet(of, record), 200).split())
    assert "held-out images no sign of copying" in text
    assert f"{NAME} of 9 images each: samples to held-out 3.00, samples to training 2.50" in text
    assert "class balance 50% agreement with the real shares" in text
    assert "warning lost 1 of 2 classes: b" in text
    assert f"neighbours {picture}" in text


def test_an_unfinished_trial_runs_or_was_interrupted(tmp_path: Path) -> None:
    of = state(search(), finals()[:8], tmp_path)
    text = " ".join(shown(trial_sheet(of, of.trials[10])).split())
    assert "outcome none: interrupted with its search" in text
    with of.folder.locked():
        assert "outcome none yet" in " ".join(shown(trial_sheet(of, of.trials[10])).split())


def test_a_start_recipe_is_named(tmp_path: Path) -> None:
    of = state(search(), folder=tmp_path)
    assert "a start recipe" in shown(trial_sheet(of, of.trials[0]))


def test_rung_scores_have_their_protocol(tmp_path: Path) -> None:
    rungs = begun(tmp_path)
    of = state(search(), folder=tmp_path)
    text = " ".join(shown(trial_sheet(of, of.trials[2]), 140).split())
    assert f"at 50% 31.2 ({NAME}, protocol {rungs.hash}, 500 samples)" in text


def test_a_pruned_trial_says_by_how_much(tmp_path: Path) -> None:
    standing = Standing(25, 256.0, 116.0)
    pruned = replace(outcome("pruned", 10.0), standing=standing)
    of = state([trial(0, pruned, rungs={25: 256.0})], folder=tmp_path)
    text = " ".join(shown(trial_sheet(of, of.trials[0]), 200).split())
    assert "outcome pruned by rank at 10 of 40 kimg" in text
    assert "reason 256 against 116, the bound at 25%" in text


def test_an_odd_end_is_told(tmp_path: Path) -> None:
    odd = replace(outcome("completed", value=116.0), remark="the best score is long past")
    of = state([trial(0, odd)], folder=tmp_path)
    assert "the best score is long past" in shown(trial_sheet(of, of.trials[0]), 200)
