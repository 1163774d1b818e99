"""Trains a config also with each rate multiplied, to find how far it stands from failing.

A rate is trained at twice and half its value on one seed, and where that survives at four times and
a quarter. It is an ordinary search in a run folder below that of the search whose winner it is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from gantune.config import AnyConfig, ExternalConfig, make_config, make_external_config
from gantune.errors import ConfigError, GantuneError, first_line
from gantune.health.remedies import plain_values, with_values
from gantune.io.validation import dotted_values
from gantune.run_folder.run import RunFolder
from gantune.space import SearchSpace
from gantune.space.remedies import DECISION, space_tree
from gantune.tuner.budget import Ledger, rates
from gantune.tuner.finals.margins import FACTORS, Margin, read_margins, write_margins
from gantune.tuner.finals.significance import compare_with_best
from gantune.tuner.options import Options
from gantune.tuner.prepare import Search
from gantune.tuner.results import add_margins
from gantune.tuner.run import run_search
from gantune.tuner.state import RunState, SearchObserver
from gantune.tuner.variants.search import search_tree, study_name

_SECTIONS = ("objective", "stability", "trainer")


def search_with_margins(search: Search, options: Options, observer: SearchObserver) -> RunState:
    """Runs a search like ``run_search``; then, where its space asks for it and it has a winner,
    finds the margins of the winner and of the trial that ties with it.

    Where they cannot be trained, a message says so: the search itself is done.
    """
    state = run_search(search, observer)
    missing = [one for one in _contenders(state) if one not in read_margins(state.folder)]
    if not missing or not _is_wanted(search.space, state):
        return state
    try:
        for number in missing:
            observer.message(f"margins of trial {number}: each rate at twice and half its value")
            _train_margins_of(search, state, number, options, observer)
    except GantuneError as error:
        observer.message(f"the margins could not be trained: {first_line(error)}")
    finally:
        add_margins(state)
        observer.refresh(state)
    return state


def _contenders(state: RunState) -> list[int]:
    """The winner, and the best of the trials that tie with it."""
    if state.winner is None:
        return []
    ties = [one.origin for one in compare_with_best(state.ranking) if one.is_tie]
    return [state.winner.origin, *ties[:1]]


def _is_wanted(space: SearchSpace, state: RunState) -> bool:
    workers = state.timing.workers
    ledger = Ledger(space, state.trials, state.finalists, state.seconds, workers)
    return ledger.has_margins


def _train_margins_of(
    search: Search, state: RunState, number: int, options: Options, observer: SearchObserver
) -> None:
    space, record = search.space, state.trials[number]
    config = search.resolve(space.configs_of(record.params))
    config = config.replaced(kimg=space.finalists.budget(config.kimg))
    tree = space.resolved_tree()
    sections = {name: tree[name] for name in _SECTIONS if name in tree}
    home = RunFolder(state.folder.path / "margins" / f"{number:04d}")
    trained = replace(
        options,
        out=home.path,
        workers=search.workers,
        storage=search.storage,
        command=search.command,
        **_OF_THE_SPACE,
    )
    margins = train_margins(
        config, rates(space), config.seed + 1, home, trained, sections, observer, space.study
    )
    write_margins(state.folder, {**read_margins(state.folder), number: margins})


_OF_THE_SPACE: dict[str, Any] = {
    "trials": None,
    "kimg": None,
    "time": None,
    "data": None,
    "seed": None,
    "overrides": (),
    "prior": (),
}


def train_margins(
    config: AnyConfig,
    settings: Sequence[str],
    seed: int,
    folder: RunFolder,
    options: Options,
    sections: Mapping[str, Any],
    observer: SearchObserver,
    study: str,
    time: float | None = None,
) -> list[Margin]:
    """The margin of each setting of a config, or resumes finding it.

    ``settings``: dotted paths; those that the config has not are left out. ``seed``: of all
    trainings. ``sections``: those of a space file that the trainings share with a search.
    ``study``: the beginning of the study's name. ``time``: the seconds that it may take. Raises
    what ``search`` raises.
    """
    every = _variants(config, settings)
    if len(every) < 2:
        return []
    chosen = [name for name, one in every.items() if one.factor in FACTORS[:2]]
    survived: dict[str, bool] = {}
    while True:
        tree = space_tree(
            {name: one.config for name, one in every.items()},
            [seed],
            study=study_name(f"{study}.margins.{folder.path.name}"),
            budget={"trials": len(chosen)} | ({"time": time} if time else {}),
            pruning={"rule": "none"},
            finalists={"top": 0},
            start=[{DECISION: name, "seed": seed} for name in chosen],
            **sections,
        )
        state = search_tree(tree, options, observer)
        survived = _survived(state)
        further = [
            name
            for name, one in every.items()
            if name not in chosen and survived.get(one.before, False)
        ]
        if not further:
            break
        chosen += further
    return [
        Margin(
            path,
            {
                every[name].factor: alive
                for name, alive in survived.items()
                if every[name].path == path
            },
        )
        for path in settings
        if any(one.path == path for one in every.values())
    ]


@dataclass(frozen=True)
class _Variant:
    """The config with one setting multiplied."""

    path: str
    factor: float
    config: AnyConfig

    @property
    def before(self) -> str:
        """The name of the variant that must survive before this one is trained."""
        return _name(self.path, self.factor / 2 if self.factor > 1 else self.factor * 2)


def _name(path: str, factor: float) -> str:
    return f"{path}_{factor:g}x".replace(".", "_")


def _variants(config: AnyConfig, settings: Sequence[str]) -> dict[str, _Variant]:
    """By name; without values that the config cannot have."""
    tree, found = plain_values(config), {}
    values = dict(dotted_values(tree))
    for factor in FACTORS:
        for path in settings:
            if not values.get(path):
                continue
            changed = with_values(tree, {path: float(f"{factor * values[path]:.4g}")})
            try:
                one: AnyConfig = (
                    make_external_config(config.trainer, changed)
                    if isinstance(config, ExternalConfig)
                    else make_config(changed)
                )
            except ConfigError:
                continue
            found[_name(path, factor)] = _Variant(path, factor, one)
    return found


def _survived(state: RunState) -> dict[str, bool]:
    """By name of the variant; only of runs that came to their end or got a verdict."""
    found = {}
    for record in state.trials:
        outcome = record.outcome
        if outcome is not None and (outcome.ending == "completed" or outcome.verdict is not None):
            found[record.params[DECISION]] = outcome.verdict is None
    return found
