"""Trains a config also with each rate multiplied, to find how far it stands from failing.

A rate is trained at twice and half its value, and where that survives at four times and a quarter,
on one seed on which the config itself survives. It is an ordinary search in a run folder below that
of the search whose winner it is; no run of it is compared with the others.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from gantune.config import AnyConfig, CommandFields
from gantune.errors import GantuneError
from gantune.health import read_stability
from gantune.health.remedies import changed, plain_values
from gantune.io.validation import dotted_values
from gantune.run_folder.run import RunFolder
from gantune.space.distributions import is_number
from gantune.space.remedies import DECISION, space_tree
from gantune.tracking.background import publishing
from gantune.tuner.budget import Ledger, rates
from gantune.tuner.finals.margins import (
    FACTORS,
    Margin,
    TrainedMargins,
    read_margins,
    write_margins,
)
from gantune.tuner.finals.significance import compare_with_best
from gantune.tuner.options import Options
from gantune.tuner.prepare import Search
from gantune.tuner.run import run_search
from gantune.tuner.state import RunState, SearchLogObserver, SearchObserver
from gantune.tuner.variants.search import search_tree, study_name

_SECTIONS = ("objective", "stability", "trainer", *CommandFields.model_fields)
_OF_THE_SPACE: dict[str, Any] = {
    **dict.fromkeys(("trials", "kimg", "time", "data", "seed")),
    "overrides": (),
    "prior": (),
}


def search_with_margins(search: Search, options: Options, observer: SearchObserver) -> RunState:
    """Runs a search like ``run_search``; then, where its space asks for it and it has a winner,
    finds the margins of the winner and of the trial that ties with it. Its runs are published to
    the trackers that the space names.

    Where they cannot be trained, a message says so: the search itself is done.
    """
    with publishing(search.folder, search.space.study, search.space.track, observer.message):
        return _search_with_margins(search, options, observer)


def _search_with_margins(search: Search, options: Options, observer: SearchObserver) -> RunState:
    state = run_search(search, observer)
    missing = [number for number in _contenders(state) if number not in state.margins]
    if not missing or not _is_wanted(search, state):
        return state
    log = SearchLogObserver(observer, state.folder.log)
    try:
        for number in missing:
            _train_margins_of(search, state, number, options, log)
    except GantuneError as error:
        log.message(f"the margins could not be trained: {error}")
    finally:
        observer.refresh(state)  # the last state was that of another search
    state = run_search(search, SearchObserver())  # there is nothing to train: it writes them
    observer.refresh(state)
    return state


def _contenders(state: RunState) -> list[int]:
    """The winner, and the best of the trials that tie with it."""
    if state.winner is None:
        return []
    ties = [one.origin for one in compare_with_best(state.ranking) if one.is_tie]
    return [state.winner.origin, *ties[:1]]


def _is_wanted(search: Search, state: RunState) -> bool:
    if not read_stability(search.space.stability):
        return False  # nothing would ever fail
    return _ledger(search, state).has_margins


def _ledger(search: Search, state: RunState) -> Ledger:
    seconds, workers = state.timing.seconds, state.timing.workers
    return Ledger(search.space, state.trials, state.finalists, seconds, workers, is_over=True)


def _train_margins_of(
    search: Search, state: RunState, number: int, options: Options, observer: SearchObserver
) -> None:
    space, record = search.space, state.trials[number]
    seeds = [
        run.seed
        for run in state.finalists
        if run.origin == number and run.outcome is not None and run.outcome.ending == "completed"
    ]
    if not seeds or seeds[0] is None:
        observer.message(f"margins of trial {number}: not trained, as no seed of it survived")
        return
    observer.message(f"margins of trial {number}: each rate at twice and half its value")
    config = search.resolve(space.configs_of(record.params))
    config = config.replaced(kimg=space.finalists.budget(config.kimg))
    known, ledger = read_margins(state.folder), _ledger(search, state)
    limits: dict[str, float] = {}
    if space.budget.kimg is not None:
        spent = ledger.trained + sum(one.kimg for one in known.values())
        limits["kimg"] = space.budget.kimg - spent
    if space.budget.time is not None:
        spent = ledger.seconds + sum(one.seconds for one in known.values())
        limits["time"] = space.budget.time - spent
    if any(left <= 0 for left in limits.values()):
        observer.message("its margins are left out: the budget is spent")
        return
    tree = space.resolved_tree()
    trained = train_margins(
        config,
        rates(space),
        seeds[0],
        RunFolder(state.folder.path / "margins" / f"{number:04d}-{config.kimg:g}kimg"),
        replace(
            options,
            workers=search.workers,
            storage=search.storage,
            command=search.command,
            **_OF_THE_SPACE,
        ),
        {name: tree[name] for name in _SECTIONS if name in tree},
        observer,
        study=f"{space.study}.margins.{number:04d}-{config.kimg:g}kimg",
        limits=limits,
    )
    write_margins(state.folder, {**known, number: trained})
    for margin in trained.margins:
        observer.message(f"trial {number}: {margin}, on one seed")


def train_margins(
    config: AnyConfig,
    settings: Sequence[str],
    seed: int,
    folder: RunFolder,
    options: Options,
    sections: Mapping[str, Any],
    observer: SearchObserver,
    *,
    study: str,
    limits: Mapping[str, float] | None = None,
) -> TrainedMargins:
    """The margin of each setting of a config, or resumes finding it.

    ``settings``: dotted paths; those that are no number in the config are left out. ``seed``: of
    all trainings. ``sections``: those of a space file that the trainings share with a search.
    ``limits``: ``time`` in seconds or ``kimg`` that they may take. Raises what ``search`` raises.
    """
    every = _variants(config, settings)
    if len(every) < 2:
        return TrainedMargins(config.kimg, 0.0, 0.0, ())
    chosen = [name for name, one in every.items() if one.factor in FACTORS[:2]]
    while True:
        tree = space_tree(
            {name: one.config for name, one in every.items()},
            [seed],
            study=study_name(study),
            budget={"trials": len(chosen), "max_failed": 2 * len(every), **(limits or {})},
            pruning={"rule": "none"},
            finalists={"top": 0},
            start=[{DECISION: name, "seed": seed} for name in chosen],
            **sections,
        )
        state = search_tree(tree, replace(options, out=folder.path), observer, judges_alone=True)
        survived = _survived(state)
        further = [
            name
            for name, one in every.items()
            if name not in chosen and survived.get(one.before, False)
        ]
        if not further:
            break
        chosen += further
    margins = [
        Margin(
            path,
            {every[n].factor: alive for n, alive in survived.items() if every[n].path == path},
        )
        for path in dict.fromkeys(one.path for one in every.values())
    ]
    kimg = sum(record.outcome.kimg for record in state.trials if record.outcome is not None)
    return TrainedMargins(config.kimg, kimg, state.seconds, tuple(margins))


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
    found, values = {}, dict(dotted_values(plain_values(config)))
    for factor in FACTORS:
        for path in settings:
            value = values.get(path)
            if not is_number(value) or not value:
                continue
            one = changed(config, {path: float(f"{factor * value:.4g}")})
            if one is not None:
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
