"""Margins with canned outcomes."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from gantune.config import ExternalConfig, TrialConfig, load_config, make_external_config
from gantune.errors import RunError, SpaceError
from gantune.io.yaml_document import format_document
from gantune.report.page.answer import answer as answer_section
from gantune.report.run_data import RunData
from gantune.report.status import status_json
from gantune.run_folder.run import RunFolder
from gantune.space import SearchSpace, load_space
from gantune.tuner.answer import answer
from gantune.tuner.budget import check_budget, rates
from gantune.tuner.finals.margins import (
    Margin,
    TrainedMargins,
    read_margins,
    wider,
    write_margins,
)
from gantune.tuner.options import Options
from gantune.tuner.state import RunState, SearchObserver
from gantune.tuner.variants import margins as module
from gantune.tuner.variants.margins import search_with_margins
from tests.tuner.factory import Curve, by_lr, make_driver, play, toy_space
from tests.tuner.own_trainers import own_space


class Messages(SearchObserver):
    """Keeps what is said, and the last state."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.last: RunState | None = None

    def message(self, text: str) -> None:
        self.said.append(text)

    def refresh(self, state: RunState) -> None:
        self.last = state


def fragile(config: TrialConfig) -> float | str:
    return "diverged" if config.generator.lr > 1.5e-3 else 5.0


@dataclass
class Played:
    """Searches with margins whose runs are canned."""

    path: Path
    patch: pytest.MonkeyPatch
    curve: Curve = fragile
    trained: list[TrialConfig] = field(default_factory=list)
    """What the margins have trained."""
    searches: int = 0
    stop_at: int = 0
    """The search of margins that a person interrupts."""
    observer: Messages = field(default_factory=Messages)

    def margins(
        self, tree: Mapping[str, Any], options: Options, _: SearchObserver, *, judges_alone: bool
    ) -> RunState:
        assert judges_alone
        self.searches += 1
        if self.searches == self.stop_at:
            raise KeyboardInterrupt
        home = Path(str(options.out))
        home.mkdir(parents=True, exist_ok=True)
        file = home / "space.yaml"
        file.write_text(format_document(dict(tree)))
        driver = make_driver(home, load_space(file))

        def curve(config: TrialConfig) -> float | str:
            self.trained.append(config)
            return self.curve(config)

        play(driver, curve)
        return driver.state()

    def run(self, space: SearchSpace, winner: Curve = by_lr) -> RunState:
        def search(_: Any, __: SearchObserver) -> RunState:
            driver = make_driver(self.path, space)
            play(driver, winner)
            return driver.state()

        self.patch.setattr(module, "run_search", search)
        prepared: Any = SimpleNamespace(
            **{"space": space, "folder": RunFolder(self.path), "workers": 1, "storage": None},
            **{"resolve": lambda config: config, "command": ""},
        )
        return search_with_margins(prepared, Options(), self.observer)


@pytest.fixture
def played(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Played:
    found = Played(tmp_path, monkeypatch)
    monkeypatch.setattr(module, "search_tree", found.margins)
    return found


def one(path: Path, *overrides: str) -> SearchSpace:
    """A space whose only finalist ties with nothing."""
    only = ("finalists.top=1", "start=[]", "batch_size=16", "generator.lr=1e-3")
    return toy_space(path, "budget.trials=1", *only, *overrides)


def test_the_winner_is_trained_with_each_rate_multiplied(played: Played, tmp_path: Path) -> None:
    state = played.run(one(tmp_path, "finalists.margins=true", "finalists.kimg=2x"))
    rates = [(config.generator.lr, config.discriminator.lr) for config in played.trained]
    d = load_config(tmp_path / "run" / "best.yaml").discriminator.lr
    assert sorted(rates) == sorted(
        [(2e-3, d), (5e-4, d), (2.5e-4, d)] + [(1e-3, f * d) for f in (2, 0.5, 4, 0.25)]
    )
    assert {config.kimg for config in played.trained} == {20}
    assert {config.seed for config in played.trained} == {1}
    lines = [
        "generator.lr survives 0.25x to 1x, fails at 2x",
        "discriminator.lr survives 0.25x to 4x",
    ]
    assert [str(margin) for margin in state.margins[0]] == lines
    comment = (tmp_path / "run" / "best.yaml").read_text()
    assert all(f"# {line}\n" in comment for line in lines)
    assert load_config(tmp_path / "run" / "best.yaml").generator.lr == 1e-3
    assert played.observer.last is state, "not the search of the margins"
    assert (state.folder.path / "margins" / "0000-20kimg").is_dir()
    assert status_json(state)["margins"]["0"]["generator.lr"] == {
        "2": False,
        "0.5": True,
        "0.25": True,
    }
    assert lines[0] in str(answer_section(RunData(state)))


def test_margins_are_trained_once_and_the_comment_keeps_them(
    played: Played, tmp_path: Path
) -> None:
    space = one(tmp_path, "finalists.margins=true")
    played.run(space)
    played.trained.clear()
    played.run(space)
    assert not played.trained
    assert (tmp_path / "run" / "best.yaml").read_text().count("survives") == 2


def test_margins_go_on_where_they_were_stopped(played: Played, tmp_path: Path) -> None:
    space, played.stop_at = one(tmp_path, "finalists.margins=true"), 2
    with pytest.raises(KeyboardInterrupt):
        played.run(space)
    assert len(played.trained) == 4 and not (tmp_path / "run" / "margins.json").exists()
    assert played.observer.last is not None, "the page of the search itself is written"
    state = played.run(space)
    assert len(played.trained) == 7
    assert [margin.width for margin in state.margins[0]] == [2, 4]


def test_margins_that_cannot_be_trained_do_not_lose_the_search(
    played: Played, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> RunState:
        raise RunError("the disk is full:\nall of it")

    monkeypatch.setattr(module, "search_tree", fail)
    state = played.run(one(tmp_path, "finalists.margins=true"))
    assert state.winner is not None
    said = "the margins could not be trained: the disk is full:\nall of it"
    assert said in played.observer.said
    assert "all of it" in state.folder.log.read_text()


@pytest.mark.parametrize(
    ("overrides", "trials", "wanted"),
    [
        pytest.param(["finalists.margins=false"], 200, False, marks=pytest.mark.integration),
        # 16 runs of 204 and more
        pytest.param([], 200, True, marks=pytest.mark.integration),
        pytest.param([], 100, False, marks=pytest.mark.integration),
        (["budget.patience=3"], 200, False),  # the search ends soon
        (["finalists.margins=true", "stability=off"], 2, False),  # nothing would fail
        (["finalists.margins=true"], 2, True),
        (["finalists.margins=true", "finalists.top=0"], 2, False),
    ],
)
def test_margins_that_nobody_asked_for_take_less_than_a_tenth(
    played: Played, tmp_path: Path, overrides: list[str], trials: int, wanted: bool
) -> None:
    changes = (f"budget.trials={trials}", "pruning.rule=none", "sampler.name=random", *overrides)
    played.run(toy_space(tmp_path, *changes), lambda config: 1.0 * config.batch_size)
    assert bool(played.trained) == wanted


def test_a_budget_of_kimg_holds_the_margins(played: Played, tmp_path: Path) -> None:
    space = toy_space(tmp_path, "budget={kimg: 400}", "finalists.margins=true")
    state = played.run(space)
    searched = sum(r.outcome.kimg for r in (*state.trials, *state.finalists) if r.outcome)
    assert 100 < searched <= 400 - 16 * 10
    with pytest.raises(SpaceError, match="22 trainings of the finals, 16 of them for margins"):
        check_budget(toy_space(tmp_path, "budget={kimg: 200}", "finalists.margins=true"))


def test_of_two_that_tie_the_one_with_the_wider_margin_is_named(
    played: Played, tmp_path: Path
) -> None:
    space = toy_space(tmp_path, "finalists.margins=true", "start=[]", "pruning.rule=none")
    state = played.run(space, lambda config: 5.0 + 0.01 * config.seed + config.generator.lr)
    first, second = (ranked.origin for ranked in state.ranking)
    assert set(state.margins) == {first, second}

    def told(of_first: bool, of_second: bool) -> str:
        survived = {first: of_first, second: of_second}
        write_margins(
            state.folder,
            {
                number: TrainedMargins(10, 40, 9, (Margin("lr", ENDS | {2.0: alive, 4.0: alive}),))
                for number, alive in survived.items()
            },
        )
        return str(answer(replace(state)))

    assert told(False, True).endswith(
        f"; trial {second} has the wider margin before it fails, on one seed."
    )
    assert "margin" not in told(True, False) and "margin" not in told(True, True)


def test_the_second_margins_have_what_the_first_ones_left_of_the_time(
    played: Played, tmp_path: Path
) -> None:
    overrides = ("finalists.margins=true", "start=[]", "pruning.rule=none", "budget.time=1h")
    space = toy_space(tmp_path, *overrides)

    def curve(config: TrialConfig) -> float:
        return 5.0 + 0.01 * config.seed + config.generator.lr

    state = played.run(space, curve)
    first, second = (ranked.origin for ranked in state.ranking)
    homes = {
        number: next((tmp_path / "run/margins").glob(f"{number:04d}-*"))
        for number in (first, second)
    }
    shutil.rmtree(homes[second])
    known = TrainedMargins(10, 40, 1000, (Margin("lr", ENDS),))
    write_margins(state.folder, {first: known})
    played.run(space, curve)
    limits = {number: load_space(home / "space.yaml").budget.time for number, home in homes.items()}
    assert limits[first] is not None and limits[second] is not None
    assert limits[first] > 3500 and limits[second] == pytest.approx(2600, abs=100)


ENDS = {0.5: False}
"""The lower side of a margin."""


def test_a_seed_on_which_the_winner_itself_fails_is_not_taken(
    played: Played, tmp_path: Path
) -> None:
    space = one(tmp_path, "finalists.margins=true")
    played.run(space, lambda config: "diverged" if config.seed == 1 else 5.0)
    assert {config.seed for config in played.trained} == {2}


def test_finals_of_another_length_have_their_own_margins(played: Played, tmp_path: Path) -> None:
    played.run(one(tmp_path, "finalists.margins=true"))
    state = played.run(one(tmp_path, "finalists.margins=true", "finalists.kimg=2x"))
    assert {config.kimg for config in played.trained} == {10, 20}
    assert state.margins[0] and "survives" in (tmp_path / "run" / "best.yaml").read_text()
    assert not played.run(one(tmp_path, "finalists.margins=false", "finalists.kimg=4x")).margins


@pytest.mark.parametrize("text", ["", "[]", "{", '{"0": 1}', '{"0": {"margins": []}}'])
def test_a_damaged_file_is_made_again(played: Played, tmp_path: Path, text: str) -> None:
    space = one(tmp_path, "finalists.margins=true")
    folder = played.run(space).folder
    played.trained.clear()
    folder.margins.write_text(text)
    assert read_margins(folder) == {}
    assert played.run(space).margins and not played.trained, "its searches are there"


def test_what_a_budget_has_left_limits_the_margins(played: Played, tmp_path: Path) -> None:
    """After a search that was not asked for margins."""
    limits = ["budget={kimg: 60, trials: 1}"]
    played.run(one(tmp_path, *limits, "finalists.margins=false"))
    played.run(one(tmp_path, *limits, "finalists.margins=true"))
    assert len(played.trained) == 3  # 30 kimg are left: one fails at 1, two train 10 each


OWN = """
study: own
trainer: own.py:train
objective: {score: loss}
trial:
  kimg: 10
  width: {low: 16, high: 256, log: true}
  choose:
    optimizer:
      adam: {lr: {low: 1e-5, high: 1e-2, log: true}}
      sgd: {lr: {low: 1e-3, high: 1.0, log: true}}
      own: {lr: auto}
start:
  - {optimizer: adam, lr: 1e-3, width: 32}
"""


def test_an_own_trainers_rates(tmp_path: Path) -> None:
    space = own_space(tmp_path, "def train(config, session): ...", OWN)
    assert rates(space) == ["lr"]
    config = space.first_config()
    assert isinstance(config, ExternalConfig)
    found = module._variants(config, rates(space))
    assert [one.config.mapping()["lr"] for one in found.values()] == [2e-3, 5e-4, 4e-3, 2.5e-4]
    text = make_external_config(config.trainer, {**config.values, "lr": "auto"})
    assert module._variants(text, rates(space)) == {}


@pytest.mark.parametrize(
    ("survived", "text", "width"),
    [
        ({2.0: True, 0.5: True, 4.0: False, 0.25: True}, "survives 0.25x to 2x, fails at 4x", 3),
        ({2.0: True, 0.5: True, 4.0: True, 0.25: True}, "survives 0.25x to 4x", 4),
        ({2.0: False, 0.5: False}, "fails at 0.5x and 2x", 0),
        ({2.0: False, 0.5: True, 0.25: False}, "survives 0.5x to 1x, fails at 0.25x and 2x", 1),
        ({2.0: True}, "survives 1x to 2x", 1),  # the other one crashed
        ({}, "was not told by any run", 0),
    ],
)
def test_a_margin_as_text(survived: dict[float, bool], text: str, width: float) -> None:
    margin = Margin("generator.lr", survived)
    assert str(margin) == f"generator.lr {text}"
    assert margin.width == width


def test_only_margins_that_are_known_to_their_ends_are_compared() -> None:
    wide = Margin("lr", {2.0: True, 4.0: True, 0.5: False})
    narrow = Margin("lr", {2.0: False, 0.5: False})
    known = {1: [wide], 2: [narrow]}
    assert wider(known, 2, [1]) == 1
    assert wider(known, 1, [2]) is None
    assert wider(known, 3, [1]) is None and wider(known, 2, [3]) is None
    lost = Margin("lr", {0.5: False})  # the other side ran out of memory
    assert wider({1: [wide], 2: [lost]}, 2, [1]) is None
    assert wider({1: [wide], 2: []}, 2, [1]) is None
    assert wider({1: [wide, Margin("eps", wide.survived)], 2: [narrow]}, 2, [1]) is None
