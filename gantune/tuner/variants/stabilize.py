"""``stabilize``: finds a small change that makes a failing config train.

It is made of two searches. The first one trains the config as it is on several seeds. Where that
fails, the second one tries remedies and pairs of them, the most promising first, as alternatives of
one decision. Halving stops the worse ones early, and the best two are trained again on other seeds
as finalists. Both are ordinary searches in run folders.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from gantune.config import AnyConfig, ExternalConfig, TrialConfig, dump_config, trainer_section
from gantune.errors import GantuneError, RunError
from gantune.health import read_stability
from gantune.health.remedies import (
    Remedy,
    plain_values,
    remedies_for,
)
from gantune.health.rules import RULES
from gantune.io.files import write_text
from gantune.io.formatting import count, format_value, last_line
from gantune.io.validation import (
    comma_list,
    did_you_mean,
    dotted_values,
    find_field,
    nested_names,
    path_hint,
)
from gantune.io.yaml_document import as_comment
from gantune.run_folder.run import RunFolder, read_images
from gantune.space import load_space
from gantune.space.distributions import Choices
from gantune.space.remedies import AS_IT_IS, DECISION, is_kept, space_tree, variants
from gantune.space.settings import Pruning
from gantune.trial.records import TrialRecord
from gantune.tuner.budget import RATES
from gantune.tuner.finals.margins import Margin
from gantune.tuner.options import Options
from gantune.tuner.prepare import reach_of
from gantune.tuner.state import RunState, SearchObserver
from gantune.tuner.variants.margins import train_margins
from gantune.tuner.variants.search import search_tree, study_of
from gantune.tuner.variants.tried import Tried, in_order, summary

_BUDGET = 12.0  # lengths of the config in all, with three seeds
_SEEDS = 3
_PRUNING = {"rule": "halving", "factor": 4, "noise": 0}  # ties would leave room for fewer changes
_FEW = 4  # alternatives that are all trained to their end
_EXEMPT = [1, 2]
"""The alternatives that are trained to their end where a run breaks: the two most promising
remedies. Most of what keeps a run whole also slows it down, so that early scores say little.
Against a rule about pace the remedy is speed, which they show."""
_FINALISTS, _FINAL_SEEDS = 2, 2


@dataclass(frozen=True)
class Stabilized:
    """The answer of ``stabilize``."""

    config: AnyConfig
    folder: RunFolder
    base: Tried
    """The config as it is, on its seeds."""
    tried: tuple[Tried, ...]
    """The remedies: first ``best``, then those that hold by score, then the others by how far they
    came."""
    margins: tuple[Margin, ...] = ()
    """Of a config that trains as it is: how far its learning rates stand from failing."""
    untrained: int = 0
    """Seeds of the config as it is that did not end in the time."""
    untried: int = 0
    """Changes that were not begun, as the time, the training or the trials were over."""
    reach: tuple[str, ...] = ()
    """Sentences on the rules of health that act late or never in a run of this length."""

    @property
    def is_healthy(self) -> bool:
        """Whether the config trains as it is."""
        return self.base.holds

    @property
    def best(self) -> Tried | None:
        """The answer: the smallest change within the standard error of the best that holds."""
        return next((one for one in self.tried if one.holds), None)

    @property
    def file(self) -> Path:
        """The config that trains, if one was found."""
        return self.folder.path / "stable.yaml"

    @property
    def table(self) -> Path:
        """All that was tried, as CSV; where something was."""
        return self.folder.path / "tried.csv"


class _Once(SearchObserver):
    """Passes each message on once: its searches say the same of the images and of the rules."""

    def __init__(self, observer: SearchObserver) -> None:
        self._observer, self._said = observer, set[str]()

    def message(self, text: str) -> None:
        if text not in self._said:
            self._said.add(text)
            self._observer.message(text)

    def progress(self, what: str, done: int, total: int, note: str = "") -> None:
        self._observer.progress(what, done, total, note)

    def refresh(self, state: RunState) -> None:
        self._observer.refresh(state)


def stabilize(
    config: AnyConfig,
    options: Options,
    *,
    keep: Sequence[str] = (),
    seeds: int = _SEEDS,
    sections: Mapping[str, Any] | None = None,
    remedies: Sequence[Remedy] = (),
    observer: SearchObserver | None = None,
) -> Stabilized:
    """Finds a change of at most three settings that makes ``config`` train, or resumes.

    ``options``: ``out`` names its folder; ``trials`` limits the alternatives that are tried and
    ``time`` the seconds; ``data``, ``kimg``, ``seed`` and ``overrides`` belong into the config.
    ``keep``: settings or sections that are not changed, by dotted path. ``sections``: ``objective``
    and ``stability`` of a space file. ``remedies``: what may be tried on the config of an own
    trainer; for gantune's own they follow from the verdict. Trains at most twelve times the
    config's length with three ``seeds``, and once more for each further one.

    Raises ``RunError`` where ``keep`` names no setting or leaves nothing to try, where the folder
    holds something else and where the config cannot be trained at all, and what ``search`` raises.
    """
    observer = _Once(observer or SearchObserver())
    folder = RunFolder(Path(options.out or "runs/stabilize"))
    _check_kept(config, keep)
    _check_folder(folder)
    sections = dict(sections or {})
    if isinstance(config, ExternalConfig):
        sections |= trainer_section(config.trainer)
    used = [config.seed + number for number in range(seeds)]
    _check_seeds(folder, used)
    base = _train_as_it_is(config, used, folder, options, sections, observer)
    tried = summary(AS_IT_IS, config, config, base.trials)
    seconds = None if base.time_limit is None else max(base.time_limit - base.seconds, 1.0)
    left = (_BUDGET + max(seeds - _SEEDS, 0)) * config.kimg - tried.kimg
    untrained = seeds - tried.ended
    if tried.holds:
        limits = {} if seconds is None else {"time": seconds}
        margins: tuple[Margin, ...] = ()
        if tried.has_learned:  # else they say nothing
            margins = _margins(config, base, folder, options, sections, limits, observer)
        reach = tuple(reach_of(load_space(RunFolder(folder.path / AS_IT_IS).space)))
        return Stabilized(config, folder, tried, (), margins, untrained, reach=reach)
    if untrained and base.time_limit is not None and base.seconds >= base.time_limit:
        raise RunError(
            f"--time {options.time}: {tried.ended or 'none'} of {count(seeds, 'seed')} came to an "
            "end in that time; the same command with more time, or without --time, resumes"
        )
    first = tried.verdict
    if first is None:
        errors = [record.outcome.error for record in base.trials if record.outcome]
        why = next((last_line(error) for error in errors if error), "no seed ended")
        raise RunError(f"the config cannot be trained as it is: {why}")
    rule = first.rule
    observer.message(
        f"{tried.survived} of {tried.ended} seeds survived: {first.kind} at {first.at:g} kimg: "
        f"{first.sentence}"
    )
    if not isinstance(config, ExternalConfig):
        remedies = remedies_for(rule, config)
    every = _fitting(config, remedies, keep, base)
    if len(every) == 1:
        kept = f" but what --keep names ({comma_list(keep)})" if keep else ""
        raise RunError(f"{rule}: no remedy changes anything in this config{kept}")
    _check_remedies(folder, every)
    failed = next(record for record in base.trials if record.outcome and record.outcome.verdict)
    seed = failed.params["seed"]  # as it is, it fails here too
    limits = {"kimg": left} | ({} if seconds is None else {"time": seconds})
    exempt = [] if RULES[rule].is_about_pace() else _EXEMPT
    state = _try(every, seed, folder, options, sections, limits, observer, exempt)
    found = _results(state, config, every)
    untried = len(every) - 1 - len(found)
    result = Stabilized(config, folder, tried, tuple(found), (), untrained, untried)
    _write_table(result)
    if result.best is not None:
        _write(result, every[result.best.name], options.command)
    return result


def _fitting(
    config: AnyConfig, remedies: Sequence[Remedy], keep: Sequence[str], base: RunState
) -> dict[str, AnyConfig]:
    """The alternatives that fit the images that the config was trained on, and the rungs."""
    data = read_images(base.folder.path)
    images = math.inf if data is None else data.images
    rungs = Pruning.model_validate(_PRUNING).shares
    return variants(config, remedies, keep, images=images, rungs=rungs)


def _margins(
    config: AnyConfig,
    base: RunState,
    folder: RunFolder,
    options: Options,
    sections: Mapping[str, Any],
    limits: Mapping[str, float],
    observer: SearchObserver,
) -> tuple[Margin, ...]:
    """Those of a config that trains, on a seed on which it does. A message says why there are
    none."""
    seeds = [
        record.params["seed"]
        for record in base.trials
        if record.outcome is not None and record.outcome.ending == "completed"
    ]
    if isinstance(config, ExternalConfig):
        why = "which settings of your own trainer are rates is not known"
    elif not read_stability(sections.get("stability", "default")):
        why = "no rule of health is on, so nothing would fail"
    else:
        home = RunFolder(folder.path / "margins")
        options = replace(options, trials=None, time=None)
        study = f"{study_of(folder)}.margins"
        try:
            return train_margins(
                *(config, RATES, seeds[0], home, options, sections, observer),
                study=study,
                limits=limits,
            ).margins
        except GantuneError as error:
            why = str(error)
    observer.message(f"its margins were not trained: {why}")
    return ()


def _check_kept(config: AnyConfig, keep: Sequence[str]) -> None:
    own = plain_values(config) if isinstance(config, ExternalConfig) else None
    known = nested_names(TrialConfig) if own is None else list(dict(dotted_values(own)))
    for path in keep:
        is_known = find_field(TrialConfig, path.split(".")) is not None
        if own is not None:
            is_known = any(is_kept(name, [path]) for name in known)
        if not is_known:
            names = list(TrialConfig.model_fields if own is None else own)
            hint = did_you_mean(path, known) if "." in path else path_hint(path, names, known)
            raise RunError(f"--keep {path}: a config has no such setting{hint}")


def _check_folder(folder: RunFolder) -> None:
    """Raises ``RunError`` where the folder holds another search or a training."""
    is_other = folder.space.exists() and DECISION not in load_space(folder.space).parameters()
    if is_other or any((folder.path / name).exists() for name in ("ticks.jsonl", "config.yaml")):
        raise RunError(
            f"{folder.path}: holds another search or training; choose another folder with --out"
        )


def _check_seeds(folder: RunFolder, seeds: Sequence[int]) -> None:
    """Raises ``RunError`` where the folder was begun with others."""
    space = RunFolder(folder.path / AS_IT_IS).space
    begun = load_space(space).values_at("seed") if space.exists() else seeds
    if list(begun) != list(seeds):
        raise RunError(
            f"{folder.path}: was begun with {len(begun)} seeds, {comma_list(map(str, begun))}; "
            "give the same (--seeds), or choose another folder with --out"
        )


def _check_remedies(folder: RunFolder, variants: Iterable[str]) -> None:
    """Raises ``RunError`` where the folder was begun with others."""
    begun = load_space(folder.space).parameters()[DECISION] if folder.space.exists() else None
    if isinstance(begun, Choices) and set(begun.values) != set(variants):
        raise RunError(
            f"{folder.path}: was begun with other remedies: give the same --keep and the same "
            "remedies in the space, or choose another folder with --out"
        )


def _train_as_it_is(
    config: AnyConfig,
    seeds: Sequence[int],
    folder: RunFolder,
    options: Options,
    sections: Mapping[str, Any],
    observer: SearchObserver,
) -> RunState:
    tree = space_tree(
        {AS_IT_IS: config},
        seeds,
        study=f"{study_of(folder)}.as_it_is",
        budget={"trials": len(seeds)} | ({"time": options.time} if options.time else {}),
        pruning={"rule": "none"},
        finalists={"top": 0},
        start=[{"seed": seed} for seed in seeds],
        **sections,
    )
    options = replace(options, out=folder.path / AS_IT_IS, trials=None, time=None)
    return search_tree(tree, options, observer)


def _try(
    variants: Mapping[str, AnyConfig],
    seed: int,
    folder: RunFolder,
    options: Options,
    sections: Mapping[str, Any],
    limits: Mapping[str, float],
    observer: SearchObserver,
    exempt: Sequence[int],
) -> RunState:
    """Tries the alternatives in their order, the config as it is first, and those with the numbers
    ``exempt`` to their end."""
    trials = len(variants)
    if options.trials is not None:  # of changes
        trials = min(trials, 1 + options.trials)
    is_pruned = len(variants) > _FEW
    tree = space_tree(
        variants,
        [seed],
        study=study_of(folder),
        budget={"trials": trials, **limits},
        pruning=_PRUNING | {"exempt": list(exempt)} if is_pruned else {"rule": "none"},
        finalists={"top": _FINALISTS, "seeds": _FINAL_SEEDS, "start": False},
        start=[{DECISION: name, "seed": seed} for name in variants],
        **sections,
    )
    options = replace(options, out=folder.path, trials=None, time=None)
    return search_tree(tree, options, observer, judges_alone=True)  # as the config itself was


def _results(state: RunState, config: AnyConfig, variants: Mapping[str, AnyConfig]) -> list[Tried]:
    """What each remedy did, the answer first."""
    by_name: dict[str, list[TrialRecord]] = {}
    for record in state.trials:
        by_name.setdefault(record.params[DECISION], []).append(record)
    for record in state.finalists:
        if record.origin is not None:
            by_name[state.trials[record.origin].params[DECISION]].append(record)
    found = [
        summary(name, variants[name], config, records)
        for name, records in by_name.items()
        if name != AS_IT_IS
    ]
    return in_order(found)


def _write_table(result: Stabilized) -> None:
    """Writes ``tried.csv``: the config as it is, then every change, in their order."""
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(["remedy", "changes", "seeds", "survived", "score", "last_rung", "kimg"])
    for one in (result.base, *result.tried):
        rung = "" if one.rung is None else f"{format_value(one.rung[1])} at {one.rung[0]}%"
        score = "" if one.score is None else format_value(one.score)
        changes = "; ".join(map(str, one.changes))
        rows.writerow([one.name, changes, one.ended, one.survived, score, rung, f"{one.kimg:g}"])
    write_text(result.table, text.getvalue())


def _write(result: Stabilized, config: AnyConfig, command: str) -> None:
    best, base = result.best, result.base
    assert best is not None
    seeds = count(best.ended, "seed")
    score = "" if best.score is None else f", score {format_value(best.score)} at the end"
    lines = [
        f"{best.name}: {best.survived} of {seeds} survived{score}; as it is "
        f"{base.survived} of {base.ended}",
        *map(str, best.changes),
        f"found by {command}",
    ]
    write_text(result.file, as_comment("\n".join(lines)) + "\n" + dump_config(config))
