"""``{same: PATH}``: a setting that takes the value of another one."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gantune.config import dump_config, load_config
from gantune.errors import SpaceError
from gantune.io.yaml_document import format_document
from gantune.space import SearchSpace, load_space, space_differences
from gantune.space.distributions import Choices, Distribution, Range
from tests.space.conftest import Load, Problems

SPACE = """
    trial:
      generator: {lr: {low: 1e-5, high: 1e-2, log: true}}
      discriminator: {lr: {same: generator.lr}}
    """


def samples(space: SearchSpace, count: int = 5) -> list[Any]:
    """Configs sampled at random."""
    source = random.Random(0)
    found = []
    for _ in range(count):
        given = {name: each.sample(source) for name, each in space.parameters().items()}
        found.append(space.configs_of(given))
    return found


def test_it_takes_the_sampled_value(load: Load, tmp_path: Path) -> None:
    space = load(SPACE)
    assert list(space.parameters()) == ["generator.lr"]
    configs = samples(space)
    assert len({config.generator.lr for config in configs}) == 5
    assert all(config.discriminator.lr == config.generator.lr for config in configs)
    assert space.values_at("discriminator.lr") == [1e-5, 1e-2]
    best = tmp_path / "best.yaml"
    best.write_text(dump_config(configs[0]))
    assert "same" not in best.read_text()
    assert load_config(best) == configs[0]


def test_it_reads_back_from_a_run_folder(load: Load, tmp_path: Path) -> None:
    space = load(SPACE)
    path = tmp_path / "again.yaml"
    path.write_text(format_document(space.resolved_tree()))
    assert load_space(path).hash == space.hash
    other = load(SPACE.replace("same: generator.lr", "same: ema.ramp"))
    assert space_differences(space, other) == [
        "trial.discriminator.lr: {same: generator.lr} → {same: ema.ramp}"
    ]


@pytest.mark.parametrize(
    ("trial", "path", "value"),
    [
        ("{discriminator: {lr: {same: generator.lr}}}", "lr", 2e-4),  # its default
        ("{generator: {lr: 1e-3}, discriminator: {lr: {same: generator.lr}}}", "lr", 1e-3),
        ("{generator: {lr: 1}, discriminator: {lr: {same: generator.lr}}}", "lr", 1.0),
        (
            "{generator: {optimizer: rmsprop}, discriminator: {optimizer: {same: "
            "generator.optimizer}}}",
            "optimizer",
            "rmsprop",
        ),
        ("{seed: 1, kimg: 20, discriminator: {steps: {same: seed}}}", "steps", 1),
        (
            "{kimg: 3, generator: {lr: {same: discriminator.weight_decay}}, "
            "discriminator: {lr: {same: generator.lr}, weight_decay: 0.5}}",
            "lr",
            0.5,
        ),
        (
            "{generator: {lr: 1e-3}, discriminator: {lr: {same: generator.lr}, "
            "weight_decay: {low: 2, high: 2, times: discriminator.lr}}}",
            "weight_decay",
            2e-3,
        ),
    ],
)
def test_values_of_any_kind_and_through_others(
    load: Load, trial: str, path: str, value: Any
) -> None:
    (config,) = samples(load(f"trial: {trial}"), 1)
    found = getattr(config.discriminator, path)
    assert (type(found), found) == (type(value), pytest.approx(value) if path == "lr" else value)


def test_in_alternatives(load: Load) -> None:
    space = load("""
        trial:
          generator: {lr: {low: 1e-5, high: 1e-2, log: true}}
          choose:
            rates:
              tied: {discriminator: {lr: {same: generator.lr}}}
              apart: {discriminator: {lr: {low: 1e-5, high: 1e-2, log: true}}}
            penalty:
              weak: {penalties: {r1: {weight: 0.1}}, ema: {half_life: {same: penalties.r1.weight}}}
              usual: {penalties: {r1: {}}, ema: {half_life: {same: penalties.r1.weight}}}
        """)
    usual = {"rates": "tied", "penalty": "usual", "generator.lr": 3e-4}
    config = space.configs_of(usual)
    assert config.discriminator.lr == config.generator.lr == 3e-4
    assert config.ema.half_life == config.penalties.r1.weight
    assert space.configs_of({**usual, "penalty": "weak"}).ema.half_life == 0.1
    apart = {**usual, "rates": "apart", "discriminator.lr": 1e-3}
    assert space.configs_of(apart).discriminator.lr == 1e-3


def test_own_trainers(load: Load) -> None:
    space = load("""
        trainer: mine:train
        trial:
          kimg: {choices: [1, 2]}
          net: {widths: [8, 16], norm: {choices: [batch, none]}}
          critic: {widths: {same: net.widths}, norm: {same: net.norm}, until: {same: kimg}}
        """)
    for config in samples(space):
        values = config.mapping()
        assert values["critic"] == {
            "widths": [8, 16],
            "norm": values["net"]["norm"],
            "until": values["kimg"],
        }
        values["critic"]["widths"].append(3)
        assert config.mapping()["net"]["widths"] == [8, 16]


@pytest.mark.parametrize(
    ("entry", "override", "point", "note"),
    [
        ("{generator.lr: 3e-4}", "seed=0", 3e-4, ""),
        ("{generator.lr: 3e-4, discriminator.lr: 3e-4}", "seed=0", 3e-4, ""),
        ("{generator: {lr: 3e-4}, discriminator: {lr: 3e-4}}", "seed=0", 3e-4, ""),
        (
            "{generator.lr: 3e-4, discriminator.lr: 3e-4}",
            "generator.lr=1e-3",
            None,
            "discriminator.lr 3e-4 is replaced by --set generator.lr=1e-3",
        ),
        (
            "{generator.lr: 3e-4, discriminator.lr: 3e-4}",
            "discriminator.lr=1e-3",
            3e-4,
            "discriminator.lr 3e-4 is replaced by --set discriminator.lr=1e-3",
        ),
    ],
)
def test_start_entries(load: Load, entry: str, override: str, point: Any, note: str) -> None:
    space = load(f"{SPACE}\nstart: [{entry}]".replace("\n    ", "\n"), override)
    (params,) = space.start_points()
    assert params.get("generator.lr") == point
    assert note in space.note
    if "discriminator" not in override:
        assert space.first_config().discriminator.lr == space.first_config().generator.lr


def test_start_entry_that_contradicts(problems: Problems) -> None:
    text = f"{SPACE}\nstart: [{{generator.lr: 2e-4, discriminator.lr: 3e-4}}]"
    assert problems(text.replace("\n    ", "\n")) == [
        "s.yaml:6:30: start[0]: discriminator.lr is the same as generator.lr in trial, 2e-4, "
        "not 3e-4"
    ]


def test_set(load: Load) -> None:
    text = "trial: {generator: {lr: {low: 1e-4, high: 1e-2}}}"
    space = load(text, "discriminator.lr={same: generator.lr}")
    assert space.values_at("discriminator.lr") == [1e-4, 1e-2]
    assert load(SPACE, "generator.lr=1e-3").first_config().discriminator.lr == 1e-3
    assert load(SPACE, "discriminator.lr=1e-3").first_config().discriminator.lr == 1e-3
    ranged = load(SPACE, "discriminator.lr={low: 1e-4, high: 1e-3}")
    assert set(ranged.parameters()) == {"generator.lr", "discriminator.lr"}


@pytest.mark.parametrize(
    ("trial", "message"),
    [
        ("{kimg: {same: tick_kim}}", "kimg: same: there is no setting 'tick_kim' (did you mean 't"),
        (
            "{discriminator: {lr: {same: lr}}}",
            "there is no setting 'lr' (did you mean 'generator.lr'?)",
        ),
        ("{discriminator: {lr: {same: trial.generator.lr}}}", "(did you mean 'generator.lr'?)"),
        ("{discriminator: {lr: {same: gen.lr}}}", "there is no setting 'gen.lr'"),
        ("{kimg: {same: budget.trials}}", "there is no setting 'budget.trials'"),
        ("{discriminator: {lr: {same: generator}}}", "'generator' is a group of settings; name"),
        ("{kimg: {same: penalties.r1}}", "is a group of settings; name one of them, such as pen"),
        ("{kimg: {same: kimg}}", "kimg: same: this value depends on itself in a circle"),
        (
            "{kimg: {same: tick_kimg}, tick_kimg: {low: 1, high: 2, times: kimg}}",
            "this value depends on itself in a circle",
        ),
        ("{kimg: {same: [seed, kimg]}}", "the path of one other setting belongs here, not [seed, "),
        ("{kimg: {same: seed, low: 1, high: 2}}", "{same: seed} stands alone; a multiple is writ"),
        ("{kimg: {same: loss}}", "kimg: takes vanilla from loss; 'vanilla' is text where a number"),
        ("{kimg: {same: seed}, seed: 0}", "kimg: takes 0 from seed; input should be greater"),
        (
            "{seed: {same: generator.lr}, generator: {lr: {low: 1e-4, high: 1}}}",
            "seed: takes 1e-4 from generator.lr; input should be a valid integer",
        ),
        (
            "{kimg: {same: penalties.r1.weight}}",
            "some trials that have this value have no 'penalties.r1.weight'",
        ),
        (
            "{choose: {a: {x: {generator: {lr: 1e-3}}, y: {discriminator: {lr: "
            "{same: generator.lr}}}}}}",
            "'generator.lr' is set only where a is x, and this value is elsewhere",
        ),
        ("{data: {resolution: {same: batch_size}}}", "data.resolution: cannot be searched"),
        (
            "{generator: {lr: x}, discriminator: {lr: {same: generator.lr}}}",
            "generator.lr: 'x' is text where a number belongs",
        ),
    ],
)
def test_what_is_wrong_is_named_in_one_line(problems: Problems, trial: str, message: str) -> None:
    first, *others = problems(f"trial: {trial}")
    assert message in first
    assert len(others) <= trial.count("{low: 1, high: 2, times")  # the other end of a circle


@pytest.mark.parametrize(
    ("trial", "message"),
    [
        ("{kimg: 1, x: {same: y}}", "x: same: there is no setting 'y'"),
        ("{kimg: 1, x: {same: nat.width}, net: {width: 1}}", "(did you mean 'net.width'?)"),
        ("{kimg: 1, x: {same: net}, net: {width: 1}}", "'net' is a group of settings; name one"),
        ("{kimg: 1, x: {same: y}, y: {same: x}}", "depends on itself in a circle"),
        ("{kimg: {same: y}, y: soon}", "kimg: takes soon from y; 'soon' is text where a number"),
        (
            "{kimg: 1, x: {same: y}, choose: {d: {a: {y: 1.0}, b: {}}}}",
            "x: same: some trials that have this value have no 'y'",
        ),
        (
            "{kimg: 1, choose: {d: {a: {y: 1.0}, b: {x: {same: y}}}}}",
            "'y' is set only where d is a, and this value is elsewhere",
        ),
    ],
)
def test_what_is_wrong_with_own_settings(problems: Problems, trial: str, message: str) -> None:
    assert message in problems(f"trainer: a:b\ntrial: {trial}")[0]


def test_chains_without_end_are_refused(problems: Problems) -> None:
    """Neither a deep one nor a wide one may take the reader's stack or its time."""
    deep = ", ".join(f"k{n}: {{same: k{n + 1}}}" for n in range(3000))
    assert (
        "leads through too many other settings"
        in problems(f"trainer: a:b\ntrial: {{kimg: 1, {deep}, k3000: 1}}")[0]
    )
    wide = ", ".join(
        f"d{n}: {{a: {{k{n}: {{same: k{n + 1}}}}}, b: {{k{n}: {{same: k{n + 1}}}}}}}"
        for n in range(15)
    )
    assert (
        "leads through too many other settings"
        in problems(f"trainer: a:b\ntrial: {{kimg: 1, k15: 1, choose: {{{wide}}}}}")[0]
    )


def test_a_circle_that_no_trial_has(load: Load) -> None:
    space = load(
        "trainer: a:b\ntrial: {kimg: 1, choose: {d: {a: {x: 1, y: {same: x}}, "
        "b: {y: 2, x: {same: y}}}}}"
    )
    found = [space.configs_of({"d": word}).values for word in "ab"]
    assert [(values["x"], values["y"]) for values in found] == [(1, 1), (2, 2)]


@pytest.mark.parametrize(
    ("written", "is_known"),
    [
        ("generator.lr", True),
        ("'generator.lr'", True),
        ("${generator.lr}", True),
        ("kimg", True),
        ("generator", False),
        ("generator.rate", False),
    ],
)
def test_a_path_where_a_number_belongs_is_told_how_to_write_it(
    problems: Problems, written: str, is_known: bool
) -> None:
    (line,) = problems(f"trial:\n  discriminator:\n    lr: {written}")
    name = written.strip("${}'")
    assert (f"; write {{same: {name}}} for the value of that setting" in line) == is_known


@pytest.mark.parametrize("written", ["net.lr", "${net.lr}", "${lr}"])
def test_a_path_as_text_of_ones_own_setting_is_advised_against(load: Load, written: str) -> None:
    text = "trainer: a:b\ntrial: {kimg: 1, lr: 1.0, net: {lr: 1.0}, x: '%s', y: plain.text}"
    assert f"x is the text '{written}'" in load(text % written).note
    assert "y is the text" not in load(text % written).note


NUMBERS = st.floats(1e-6, 1.0)


@given(
    value=st.one_of(
        NUMBERS,
        st.tuples(NUMBERS, NUMBERS).map(lambda ends: {"low": min(ends), "high": max(ends)}),
        st.lists(NUMBERS, min_size=1, max_size=3, unique=True).map(lambda n: {"choices": n}),
    ),
    length=st.integers(1, 4),
)
def test_chains_of_any_length(value: Any, length: int, tmp_path_factory: Any) -> None:
    keys = [f"k{n}" for n in range(length)]
    chain = {key: {"same": after} for key, after in zip(keys, [*keys[1:], "end"], strict=True)}
    path = tmp_path_factory.mktemp("same") / "s.yaml"
    tree = {"trainer": "a:b", "trial": {"kimg": 1, **chain, "end": value}}
    path.write_text(format_document(tree))
    try:
        space = load_space(path)
    except SpaceError as error:
        raise AssertionError(str(error)) from error
    found: dict[str, Distribution] = space.parameters()
    assert all(isinstance(each, Range | Choices) for each in found.values()) and len(found) <= 1
    for config in samples(space, 3):
        assert {config.values[key] for key in keys} == {config.values["end"]}
