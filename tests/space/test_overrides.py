"""``--set path=value`` and how it changes the file."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from gantune.errors import SpaceError
from gantune.space import load_space
from gantune.tuner.options import Options
from tests.space.conftest import Load, Problems, every_shipped_space

SPACE = """
    trial:
      data: {source: images}
      network: {width: 16}
      batch_size: {choices: [32, 64]}
      generator: {lr: {low: 1e-5, high: 1e-2, log: true}}
      choose:
        loss:
          hinge: {loss: hinge}
          wgan:
            loss: wgan
            choose:
              lipschitz: {clip: {penalties: {weight_clip: {}}}, gp: {penalties: {r1: {}}}}
    start:
      - {loss: hinge, generator.lr: 1e-3}
      - {loss: wgan, lipschitz: clip, batch_size: 32}
    """


def test_values_and_distributions(load: Load) -> None:
    space = load(
        SPACE,
        "budget.trials=7",
        "network.width=32",
        "trial.seed=5",
        "batch_size={choices: [32, 64, 128]}",
        "ema.half_life=0",
    )
    assert space.budget.trials == 7
    assert str(space.parameters()["batch_size"]) == "32, 64, 128"
    config = space.first_config()
    assert (config.network.width, config.seed, config.ema.half_life) == (32, 5, 0)
    assert space.note == ""


def test_an_override_wins_over_start(load: Load) -> None:
    space = load(SPACE, "generator.lr=1e-4")
    assert space.start_points()[0] == {"loss": "hinge", "batch_size": 64}
    assert space.first_config().generator.lr == 1e-4
    assert space.note == "start[0]: generator.lr 1e-3 is replaced by --set generator.lr=1e-4"


def test_override_with_the_name_of_a_decision_fixes_it(load: Load) -> None:
    space = load(SPACE, "loss=wgan", "lipschitz=gp")
    assert str(space.parameters()["loss"]) == "wgan"
    assert space.start_points() == []
    assert "start[0] is left out: loss has no alternative 'hinge'" in space.note
    assert space.configs_of(
        {"loss": "wgan", "lipschitz": "gp", "batch_size": 32, "generator.lr": 1e-3}
    )


@pytest.mark.parametrize(
    ("first", "second", "message"),
    [
        ("loss=hinge", "loss=wgan", ""),
        ("seed=1", "trial.seed=2", ""),
        ("kimg=fast", " kimg = 3", ""),
        ("width", "width=3", "--set width: this is no path=value"),
    ],
)
def test_of_two_overrides_of_one_path_the_last_wins(
    load: Load, first: str, second: str, message: str
) -> None:
    if message:
        with pytest.raises(SpaceError, match=message):
            load(SPACE, first, second)
        return
    assert load(SPACE, first, second).hash == load(SPACE, second).hash
    assert load(SPACE, first, second).note == load(SPACE, second).note


def test_an_entry_for_another_alternative_is_left_out(load: Load) -> None:
    text = """
        trial:
          choose:
            loss:
              vanilla: {loss: vanilla, ema: {half_life: {low: 1, high: 20}}}
              wgan: {loss: lsgan, choose: {lipschitz: {clip: {}, gp: {seed: 1}}}}
        start: [{}, {ema.half_life: 3}]
        """
    assert len(load(text).start_points()) == 2
    space = load(text.replace("clip: {}", "clip: {seed: 2}"), "loss=wgan")
    assert space.start_points() == []
    assert space.note == (
        "start[0] is left out: does not set lipschitz; add lipschitz: one of clip, gp\n"
        "start[1] is left out: does not set lipschitz; add lipschitz: one of clip, gp"
    )
    space = load(text, "loss=wgan")
    assert len(space.start_points()) == 1
    assert space.note.startswith("start[1] is left out: ema.half_life is not open")


def every_alternative(name: str) -> list[list[str]]:
    """Overrides: each alternative of each decision, alone and with the decisions around it."""
    cases = []
    for decision in load_space(name).tree.decisions:
        outer = [f"{path[-1]}={word}" for path, word in decision.when]
        for word in decision.alternatives:
            one = [f"{decision.name}={word}"]
            cases += [one, [*outer, *one]] if outer else [one]
    return cases


@every_shipped_space
def test_every_decision_of_a_shipped_space_can_be_fixed(name: str) -> None:
    for overrides in every_alternative(name):
        space = load_space(name, overrides)
        fixed = dict(text.split("=") for text in overrides)
        for decision in space.tree.decisions:
            assert len(decision.alternatives) == 1 or decision.name not in fixed, overrides
        for point in space.start_points():
            assert all(point.get(decision, word) == word for decision, word in fixed.items())
        space.first_config()


def test_new_range_drops_entries_outside_it(load: Load) -> None:
    space = load(SPACE, "batch_size={choices: [64, 128]}")
    assert len(space.start_points()) == 1
    assert space.note == "start[1] is left out: batch_size: 32 is outside 64, 128"


def test_overrides_do_not_hide_wrong_entries(problems: Problems) -> None:
    text = SPACE.replace("batch_size: 32}", "batch_size: 33}")
    assert "33 is outside" in problems(text, "network.width=32")[0]


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("width", "this is no path=value"),
        ("=3", "this is no path=value"),
        ("a..b=3", "this is no path=value"),
        ("seed=", "no value; write null for none"),
        ("seed=[1", "the value: not YAML"),
        ("seed=abc", "seed: 'abc' is text where a number belongs"),
        ("budget.trials=0", "budget.trials: input should be greater than or equal to 1"),
        ("genrator.lr=1", "unknown name 'genrator' (did you mean 'generator'?)"),
        ("trials=3", "unknown name 'trials' (did you mean 'budget.trials'?)"),
        ("lr=1e-3", "(did you mean 'generator.lr' or 'discriminator.lr'?)"),
        ("r1.weight=1", "(did you mean 'penalties.r1.weight'?)"),
        ("data.source=gaussians:rng", "data.source: gaussians have no layout 'rng' (did you mean"),
        ("data.resolution=atuo", "auto or a whole number belongs here, not 'atuo' (did you mean"),
        ("stability={exploding: laxer}", "stability.exploding: no preset 'laxer'"),
        ("budgt.trials=1", "unknown name 'budgt' (did you mean 'budget'?)"),
        ("generator.lrr=1", "generator.lr"),
        ("network.width.x=1", "trial.network.width is not a mapping"),
        ("loss=hing", "the decision has no alternative 'hing' (did you mean 'hinge'?)"),
        ("loss=minimax", "the decision has no alternative 'minimax' (it chooses from hinge, wgan)"),
        (
            "penalties.weight_clip=null",
            "use --set choose.loss.wgan.choose.lipschitz.clip.penalties.weight_clip=... to set it",
        ),
    ],
)
def test_wrong_overrides_are_named(problems: Problems, override: str, message: str) -> None:
    found = "\n".join(problems(SPACE, override))
    assert found.startswith(f"--set {override}: ")
    assert message in found


def test_an_unknown_name_lists_each_known_one_once(problems: Problems) -> None:
    known = problems(SPACE, "zzzz=1")[0].partition("known: ")[2].split(", ")
    assert {"loss", "lipschitz", "budget", "kimg"} < set(known)
    assert len(known) == len(set(known))


def test_remedy_of_a_conflict_works(load: Load) -> None:
    path = "choose.loss.wgan.choose.lipschitz.clip.penalties.weight_clip.limit"
    space = load(SPACE, f"{path}=0.5")
    clip = space.configs_of(space.start_points()[1]).penalties.weight_clip
    assert clip is not None
    assert clip.limit == 0.5


def test_problems_of_the_file_keep_their_place(problems: Problems) -> None:
    text = SPACE.replace("loss: hinge}", "loss: hnge}")
    assert problems(text, "loss=hinge", "seed=1")[0].startswith("s.yaml:9:15: loss:")


def test_data_paths_are_relative_to_the_file_that_has_them(
    load: Load, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    assert load(SPACE).first_config().data.source == str(tmp_path / "images")
    own = load(SPACE, "data.flip=true")
    assert own.first_config().data.source == str(tmp_path / "images")
    for override in ("data.source=mine", "data={source: mine}"):
        assert load(SPACE, override).first_config().data.source == str(elsewhere / "mine")
    assert load(SPACE, "data.source=digits").first_config().data.source == "digits"


def test_overrides_of_a_shipped_space() -> None:
    space = load_space("dcgan", ["generator.lr={low: 1e-4, high: 1e-3, log: true}"])
    assert str(space.parameters()["generator.lr"]) == "1e-4 … 1e-3 (log)"


def test_a_fixed_decision_wins_over_the_value_it_sets(load: Load) -> None:
    text = """
        trial: {choose: {game: {h: {loss: hinge}, w: {loss: lsgan}}}}
        start: [{game: h, loss: hinge}]
        """
    assert load(text).note == ""
    assert load(text.replace("game: h,", ""), "game=w").note == (
        "start[0]: loss hinge is replaced by --set game=w"
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (Options(kimg=math.nan), "--kimg nan: kimg: nan is no finite number"),
        (Options(kimg=math.inf), "--kimg inf: kimg: inf is no finite number"),
        (Options(kimg=-1), "--kimg -1: kimg: input should be greater than 0"),
        (Options(kimg=0), "--kimg 0: kimg: input should be greater than 0"),
        (Options(kimg=1e9), "--kimg 1e+09: kimg: input should be less than"),
        (Options(time="nan"), "--time nan: budget.time: 'nan' is not a duration; write 2h, 90m"),
        (Options(time="1:30"), "--time 1:30: budget.time: '1:30' is not a duration"),
        (Options(time="2026-01-01"), "--time 2026-01-01: budget.time: '2026-01-01' is not a"),
        (Options(time="-1h"), "--time -1h: budget.time: '-1h' is not a duration"),
        (Options(time="0"), "--time 0: budget.time: input should be greater than 0"),
        (Options(trials=0), "--trials 0: budget.trials: input should be greater than"),
        (Options(overrides=("kimg=nan",)), "--set kimg=nan: kimg: nan is no finite number"),
        (Options(kimg=1, overrides=("kimg=nan",)), "--set kimg=nan: kimg: nan is no finite"),
        (Options(overrides=("generator.lr={low:1, high: 2}",)), "the value: 'low:1' has no value"),
    ],
)
def test_a_fault_of_an_option_names_it_as_it_was_typed(options: Options, message: str) -> None:
    with pytest.raises(SpaceError) as caught:
        load_space("dcgan", options.as_overrides())
    (problem,) = caught.value.problems
    assert message in str(problem)
