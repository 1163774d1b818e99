"""``stabilize`` with canned outcomes, and once with real training."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from gantune.config import (
    ExternalConfig,
    TrialConfig,
    load_any_config,
    load_config,
    make_config,
    make_external_config,
)
from gantune.errors import GantuneError, RunError
from gantune.health import Verdict
from gantune.health.remedies import REMEDIES, differences, remedies_for
from gantune.io.yaml_document import Document, format_document
from gantune.space import load_space, remedies
from gantune.space.remedies import AS_IT_IS, declared_remedies, is_kept, space_tree, variants
from gantune.trial.records import Ending, Outcome, TrialRecord
from gantune.tuner.driver import Driver
from gantune.tuner.options import Options
from gantune.tuner.state import RunState, SearchObserver, read_run
from gantune.tuner.variants import margins
from gantune.tuner.variants import stabilize as module
from gantune.tuner.variants.stabilize import Stabilized, stabilize
from gantune.tuner.variants.tried import Tried
from tests.tuner import factory
from tests.tuner.factory import Curve, make_driver, play

CONFIG = make_config(
    {"kimg": 10, "loss": "minimax", "generator": {"lr": 5e-3}, "discriminator": {"lr": 5e-3}}
)

Play = Callable[..., Stabilized]


@pytest.fixture
def outcome(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Play:
    """Stabilises ``CONFIG``, where a curve says how each config ends."""

    def run(curve: Curve, keep: tuple[str, ...] = (), **options: Any) -> Stabilized:
        def search(
            tree: Mapping[str, Any],
            options: Options,
            observer: SearchObserver,
            judges_alone: bool = False,
        ) -> RunState:
            has_alternatives = "choose" in tree["trial"]
            assert judges_alone == has_alternatives, "a change is judged as the config itself is"
            home = Path(str(options.out))
            home.mkdir(parents=True, exist_ok=True)
            file = home / "space.yaml"
            file.write_text(format_document(dict(tree)))
            driver = make_driver(home, load_space(file))
            play(driver, curve)
            return driver.state()

        for user in (module, margins):
            monkeypatch.setattr(user, "search_tree", search)
        pairs = options.pop("pairs", 6)  # a space of fewer pairs loads faster
        monkeypatch.setattr(remedies, "_PAIRS", pairs)
        seeds = options.pop("seeds", 3)
        return stabilize(CONFIG, Options(out=tmp_path / "found", **options), keep=keep, seeds=seeds)

    return run


def test_a_config_that_trains_is_told_so_and_nothing_else_is_tried(outcome: Play) -> None:
    result = outcome(lambda config: 5.0)
    assert result.is_healthy and result.best is None and result.tried == ()
    assert (result.base.ended, result.base.survived) == (3, 3)
    assert not result.file.exists()


def test_a_config_that_learns_nothing_gets_no_margins(
    outcome: Play, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(factory, "score", partial(factory.score, recall=0.0))
    result = outcome(lambda config: 3000.0)
    assert result.is_healthy and not result.base.has_learned
    assert result.base.recalls == (0.0, 0.0, 0.0)
    assert result.margins == () and not (result.folder.path / "margins").exists()


def test_a_change_is_ranked_by_its_score_at_the_end(
    outcome: Play, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The full score is of the best checkpoint, which may be a much earlier one."""

    def curve(config: TrialConfig) -> float | str:
        return 10.0 if config.loss == "hinge" else "diverged"

    def finish(driver: Driver, name: str, ended: Outcome) -> None:
        if ended.score is not None:
            ended = replace(ended, score=factory.score(1.0))
        finished(driver, name, ended)

    finished = Driver.finish
    monkeypatch.setattr(Driver, "finish", finish)
    result = outcome(curve)
    assert result.best is not None and result.best.scores == (10.0, 10.0, 10.0)


def test_a_config_that_trains_gets_its_margins(outcome: Play) -> None:
    result = outcome(lambda config: "diverged" if config.generator.lr > 9e-3 else 5.0)
    assert [str(margin) for margin in result.margins] == [
        "generator.lr survives 0.25x to 1x, fails at 2x",
        "discriminator.lr survives 0.25x to 4x",
    ]
    assert (result.folder.path / "margins").is_dir()


def test_the_smallest_change_with_the_best_score_is_the_answer(outcome: Play) -> None:
    def curve(config: TrialConfig) -> float | str:
        if config.discriminator.norm == "spectral":
            return 10.0
        return 20.0 if config.loss == "hinge" else "diverged"

    result = outcome(curve)
    assert result.best is not None and result.best.name == "spectral_norm"
    assert (result.base.ended, result.base.survived) == (3, 0)
    assert [(change.path, change.after) for change in result.best.changes] == [
        ("discriminator.norm", "spectral")
    ]
    assert result.best.survived == result.best.ended == 3  # one seed, and two fresh ones
    pair = result.tried[1]  # as good, with more changes
    assert "spectral_norm" in pair.name.split("+") and pair.scores == result.best.scores
    stable = load_config(result.file)
    assert (stable.discriminator.norm, stable.generator.lr, stable.seed) == ("spectral", 5e-3, 0)
    text = result.file.read_text()
    assert "# spectral_norm: 3 of 3 seeds survived, score 10.0 at the end; as it is 0 of 3" in text
    assert "# discriminator.norm none → spectral" in text and "# found by gantune" in text
    rows = list(csv.DictReader(result.table.read_text(encoding="utf-8").splitlines()))
    assert [row["remedy"] for row in rows] == ["as_it_is", *(one.name for one in result.tried)]
    assert (rows[1]["changes"], rows[1]["survived"]) == ("discriminator.norm none → spectral", "3")


@pytest.mark.parametrize(("rule", "ending"), [("exploding", "diverged"), ("stillborn", "stalled")])
def test_the_most_promising_changes_come_to_their_end_unless_a_run_is_too_slow(
    outcome: Play, rule: str, ending: str
) -> None:
    first = dict(list(variants(CONFIG, remedies_for(rule, CONFIG)).items())[1:3])

    def curve(config: TrialConfig) -> float | str:
        if any(config == one.replaced(seed=config.seed) for one in first.values()):
            return 30.0
        return ending if config == CONFIG.replaced(seed=config.seed) else 10.0

    ended = {one.name: one.rung for one in outcome(curve).tried}
    whole = [name for name in first if ended[name] == (100, 30.0)]
    assert whole == ([*first] if rule == "exploding" else [])


@pytest.mark.parametrize(("gain", "lines"), [(0.5, 1), (5.0, 3)])
def test_a_larger_change_is_the_answer_only_if_it_is_better_by_more_than_the_error(
    outcome: Play, gain: float, lines: int
) -> None:
    def curve(config: TrialConfig) -> float | str:
        if config.discriminator.norm != "spectral":
            return "diverged"
        return 10.0 + config.seed - gain * (config.generator.lr == 1e-3)

    result = outcome(curve)
    assert result.best is not None and len(result.best.changes) == lines
    best, other = result.tried[:2]
    assert best.is_within_error_of(other) == (lines == 1)
    assert {len(best.changes), len(other.changes)} == {1, 3}


@pytest.mark.integration
def test_a_pair_is_the_answer_where_no_single_remedy_holds(outcome: Play) -> None:
    def curve(config: TrialConfig) -> float | str:
        is_slow = config.generator.lr < 5e-3 and config.discriminator.lr < 5e-3
        return 10.0 if is_slow and config.discriminator.norm == "spectral" else "diverged"

    result = outcome(curve)
    assert result.best is not None and set(result.best.name.split("+")) & {"spectral_norm"}
    assert len(result.best.changes) == 3


def test_the_two_best_singles_are_finalists_where_pairs_are_worse(outcome: Play) -> None:
    def curve(config: TrialConfig) -> float | str:
        is_usual = config.generator.lr == config.discriminator.lr == 2e-4
        if config.loss == "minimax":
            return 11.0 if is_usual else 30.0
        is_alone = len(differences(CONFIG.replaced(seed=config.seed), config)) == 1
        return 10.0 if config.loss == "hinge" and is_alone else 20.0

    result = outcome(lambda config: "diverged" if is_as_it_is(config) else curve(config))
    assert [(one.name, one.score, one.ended) for one in result.tried[:2]] == [
        ("hinge", 10.0, 3),
        ("usual_rates", 11.0, 3),
    ]


def is_as_it_is(config: TrialConfig) -> bool:
    return differences(CONFIG.replaced(seed=config.seed), config) == []


def test_remedies_are_tried_on_a_seed_that_failed(outcome: Play) -> None:
    def curve(config: TrialConfig) -> float | str:
        return "diverged" if is_as_it_is(config) and config.seed != 0 else 10.0 + config.seed

    result = outcome(curve, trials=3)
    assert (result.base.survived, result.base.ended) == (1, 3)
    assert result.best is not None and result.best.scores[0] == 11.0  # seed 1
    assert load_config(result.file).seed == 0


@pytest.mark.integration
def test_a_remedy_that_one_seed_survives_does_not_hold(outcome: Play) -> None:
    def curve(config: TrialConfig) -> float | str:
        return 10.0 if config.loss != "minimax" and config.seed == 0 else "diverged"

    result = outcome(curve)
    assert result.best is None
    assert not result.file.exists()
    lucky = next(one for one in result.tried if one.name == "hinge")
    assert (lucky.survived, lucky.ended) == (1, 3)


def test_what_is_kept_is_not_changed(outcome: Play) -> None:
    def curve(config: TrialConfig) -> float | str:
        return 10.0 if config.loss != "minimax" or config.generator.lr < 1e-3 else "diverged"

    result = outcome(curve, keep=("loss",))
    assert result.best is not None
    assert all(change.path != "loss" for one in result.tried for change in one.changes)
    sections = (
        "generator",
        "discriminator",
        "loss",
        "penalties",
        "batch_size",
        "schedule",
        "augment",
        "instance_noise",
        "label_smoothing",
        "ema",
    )
    with pytest.raises(RunError, match=r"exploding: no remedy changes .* --keep names"):
        outcome(lambda config: "diverged", keep=sections, time=None)


@pytest.mark.integration
@pytest.mark.parametrize(("seeds", "lengths"), [(2, 12), (3, 12), (8, 17)])
def test_more_seeds_leave_as_much_training_for_remedies(
    outcome: Play, seeds: int, lengths: int
) -> None:
    def curve(config: TrialConfig) -> float | str:
        return "diverged" if is_as_it_is(config) and config.seed % 2 == 0 else 10.0

    result = outcome(curve, seeds=seeds, trials=2)
    left = load_space(result.folder.space).budget.kimg
    assert left == lengths * CONFIG.kimg - result.base.kimg


def test_other_seeds_or_kept_settings_need_another_folder(outcome: Play) -> None:
    def curve(config: TrialConfig) -> float | str:
        return 10.0 if config.loss == "hinge" else "diverged"

    outcome(curve, trials=2)
    with pytest.raises(RunError, match=r"found: was begun with 3 seeds, 0, 1, 2; give the same"):
        outcome(curve, seeds=2)
    with pytest.raises(RunError, match=r"found: was begun with other remedies: .*--keep.*--out"):
        outcome(curve, keep=("loss",))


@pytest.mark.parametrize(
    ("endings", "came"),
    [((), "none of 3 seeds"), (("completed",), "1 of 3 seeds"), (("stalled",) * 2, "2 of 3 seeds")],
)
def test_a_time_in_which_seeds_do_not_end_is_not_the_config_s_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, endings: tuple[Ending, ...], came: str
) -> None:
    def search(*_: Any, **__: Any) -> Any:
        trials = tuple(
            TrialRecord(f"trials/{seed:04d}", seed, {"seed": seed}, 10, outcome=Outcome(ending, 5))
            for seed, ending in enumerate(endings)
        )
        return SimpleNamespace(trials=trials, time_limit=30.0, seconds=31.0)

    monkeypatch.setattr(module, "search_tree", search)
    with pytest.raises(RunError, match=rf"--time 30s: {came} came to an end .* resumes"):
        stabilize(CONFIG, Options(out=tmp_path / "found", time="30s"))


@pytest.mark.parametrize(
    ("config", "options", "message"),
    [
        (CONFIG, {"time": "30x"}, r"^budget\.time: '30x' is not a duration"),
        (
            make_config({"data": {"source": "/no/dir"}}),
            {},
            r"^data\.source: /no/dir: no such file or folder",
        ),
    ],
)
def test_an_error_names_no_file_that_the_user_has_not_written(
    tmp_path: Path, config: TrialConfig, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(GantuneError, match=message):
        stabilize(config, Options(out=tmp_path / "found", **options))


def test_a_few_alternatives_are_all_trained_to_their_end(outcome: Play) -> None:
    def curve(config: TrialConfig) -> float | str:
        return "diverged" if is_as_it_is(config) else 10.0 if config.loss == "hinge" else 20.0

    kept = {*type(CONFIG).model_fields} - {"loss", "generator"}
    kept |= {f"generator.{name}" for name in type(CONFIG.generator).model_fields if name != "lr"}
    result = outcome(curve, keep=tuple(kept))
    names = [one.name for one in result.tried]
    assert names[0] == "hinge" and set(names[1:]) == {"lower_g_lr", "lower_g_lr+hinge"}
    assert all(one.ended for one in result.tried)


def test_more_changes_begin_than_if_ties_went_on(
    outcome: Play, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def begun() -> int:
        result = outcome(lambda config: "diverged" if is_as_it_is(config) else 10.0, pairs=20)
        shutil.rmtree(tmp_path / "found")
        return len(result.tried)

    changes = len(variants(CONFIG, remedies_for("exploding"))) - 1
    ranked = begun()
    monkeypatch.setitem(module._PRUNING, "noise", 0.15)
    assert begun() < 0.8 * ranked < ranked <= changes


def test_training_stays_within_twelve_lengths_and_the_number_of_trials(outcome: Play) -> None:
    result = outcome(lambda config: 10.0 if config.loss == "hinge" else "diverged", trials=4)
    assert len(result.tried) == 4
    more = outcome(lambda config: 10.0 if config.loss == "hinge" else "diverged", trials=6)
    assert len(more.tried) == 6
    result_kimg = result.base.kimg + sum(one.kimg for one in result.tried)
    assert result_kimg <= 12 * CONFIG.kimg


@pytest.mark.integration
def test_the_time_is_for_all_searches_together(outcome: Play, tmp_path: Path) -> None:
    outcome(lambda config: 10.0 if config.loss == "hinge" else "diverged", time="20m")
    limits = [
        load_space(tmp_path / "found" / name / "space.yaml").budget.time
        for name in ("as_it_is", "")
    ]
    assert limits[0] == 1200 and limits[1] is not None and 1100 < limits[1] < 1200


@pytest.mark.integration
def test_the_same_call_again_trains_nothing(outcome: Play) -> None:
    def curve(config: TrialConfig) -> float | str:
        return 10.0 if config.loss == "hinge" else "diverged"

    first = outcome(curve)

    def never(config: TrialConfig) -> float | str:
        raise AssertionError("trained again")

    assert outcome(never) == first


@pytest.mark.parametrize("rule", ["exploding", "stillborn", "discriminator_won"])
def test_the_space_of_variants_gives_each_of_them(rule: str, tmp_path: Path) -> None:
    found = variants(CONFIG, remedies_for(rule))
    file = tmp_path / "space.yaml"
    file.write_text(format_document(space_tree(found, [3, 4], study="s")))
    space = load_space(file)
    assert set(space.parameters()) == {"remedy", "seed"}
    for name, config in found.items():
        made = space.configs_of({"remedy": name, "seed": 4})
        assert made == config.replaced(seed=4), name
        assert len(differences(CONFIG, config)) <= 3
    assert len({config.model_dump_json() for config in found.values()}) == len(found)
    assert all(name == AS_IT_IS or set(name.split("+")) <= REMEDIES.keys() for name in found)


def test_the_space_of_variants_has_the_names_of_classes(tmp_path: Path) -> None:
    data = {"source": "digits", "classes": 2, "class_names": ["cat", "dog"]}  # as trials have them
    config = make_config({**CONFIG.model_dump(), "data": data})
    file = tmp_path / "space.yaml"
    found = variants(config, remedies_for("exploding"))
    file.write_text(format_document(space_tree(found, [3], study="s")))
    made = load_space(file).configs_of({"remedy": AS_IT_IS, "seed": 3})
    assert isinstance(made, TrialConfig) and made.data.class_names == ("cat", "dog")


def test_changes_that_fit_neither_the_images_nor_the_rungs_are_left_out() -> None:
    config = make_config({**CONFIG.model_dump(), "kimg": 5, "batch_size": 64})
    remedies = [REMEDIES[name] for name in ("larger_batch", "more_d_steps", "hinge")]
    every = set(variants(config, remedies))
    large = {"larger_batch", "larger_batch+hinge"}
    many = {"more_d_steps", "more_d_steps+hinge"}
    assert large | many < every
    assert every - set(variants(config, remedies, images=200)) == large
    rungs = 0.05, 0.25  # the first is at 250 images; steps take 256 and 320
    assert every - set(variants(config, remedies, rungs=rungs)) == large | many
    longer = config.replaced(kimg=20)
    assert set(variants(longer, remedies, rungs=rungs)) == every
    short = config.replaced(kimg=1)  # it does not reach the first rung itself
    assert set(variants(short, remedies, rungs=rungs)) == every


@pytest.mark.parametrize(
    ("path", "kept", "expected"),
    [
        ("generator.lr", "generator.lr", True),
        ("generator.lr", "generator", True),
        ("penalties.r1", "penalties.r1.weight", True),
        ("generator.lr", "generator.l", False),
        ("generator.lr", "discriminator", False),
    ],
)
def test_what_counts_as_kept(path: str, kept: str, expected: bool) -> None:
    assert is_kept(path, [kept]) is expected


@pytest.mark.integration
def test_a_failing_config_is_made_to_train(tmp_path: Path) -> None:
    tree = {"data": {"source": "digits", "resolution": 16}, "network": {"width": 8, "latent": 16}}
    rates = {"generator": {"lr": 1e-7}, "discriminator": {"lr": 1e-7}}  # it learns nothing
    config = make_config({**tree, **rates, "batch_size": 32, "kimg": 1.0, "tick_kimg": 0.1})
    rules = {"generator_idle": {"shortest": 0.1, "after": 0.2, "distance": 0.01}}
    sections = {"objective": {"samples": 100, "rung_samples": 100}, "stability": rules}
    options = Options(out=tmp_path / "found", trials=3, workers=1, device="cpu")
    lines: list[str] = []

    class Heard(SearchObserver):
        def message(self, text: str) -> None:
            lines.append(text)

    result = stabilize(config, options, seeds=2, sections=sections, observer=Heard())
    assert result.base.survived == 0 and result.base.verdicts[0].rule == "generator_idle"
    assert any("0 of 2 seeds survived" in line for line in lines)
    assert result.best is not None and len(result.tried) == 3
    assert load_config(result.file) == REMEDIES[result.best.name].applied(config)
    assert read_run(result.folder).winner is not None


OWN = """
def train(config, session):
    kimg = session.kimg
    while not session.should_stop:
        kimg += 0.125
        loss = float("nan") if config["lr"] > 0.2 else 1.0
        session.report(kimg=kimg, d_loss=loss, g_loss=0.7)
        if session.should_score:
            (session.checkpoint_dir / "kimg").write_text(str(kimg))
            session.score(config["lr"] + 2 - kimg)
"""


@pytest.mark.integration
@pytest.mark.usefixtures("forked_workers")
def test_a_failing_config_of_an_own_trainer_is_made_to_train(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(OWN)
    config = make_external_config(f"{tmp_path}/mine.py:train", {"kimg": 1, "lr": 0.5, "wide": 3})
    declared: dict[str, dict[str, Any]] = {"wider": {"wide": "2x"}, "lower_lr": {"lr": "0.25x"}}
    result = stabilize(
        config,
        Options(out=tmp_path / "found", workers=1),
        sections={"objective": {"score": "mmd"}},
        remedies=declared_remedies(declared, config, Document({})),
    )
    assert (result.base.survived, result.base.ended) == (0, 3)
    assert result.best is not None and result.best.name == "lower_lr"
    assert [str(change) for change in result.best.changes] == ["lr 0.5 → 0.125"]
    stable = load_any_config(result.file)
    assert isinstance(stable, ExternalConfig) and stable.trainer == config.trainer
    assert (stable.mapping()["lr"], stable.mapping()["wide"]) == (0.125, 3)
    with pytest.raises(RunError, match="--keep rate: a config has no such setting"):
        stabilize(config, Options(out=tmp_path / "other"), keep=["rate"])


def test_the_verdict_of_several_seeds_is_that_of_most() -> None:
    verdicts = (
        Verdict("diverged", "exploding", 1.0, "it broke"),
        Verdict("collapsed", "worsened", 2.0, "it broke"),
        Verdict("collapsed", "worsened", 3.0, "it broke"),
    )
    found = Tried(AS_IT_IS, (), 3, 0, (), (), None, 30.0, verdicts)
    assert found.verdict == verdicts[1]
    assert replace(found, verdicts=()).verdict is None
