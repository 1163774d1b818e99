"""What to search next: changes to the space that the results of a search speak for.

Each one is an override such as ``loss=hinge`` with a sentence that says why. The terminal and the
page show them, and ``gantune next`` writes the space with all of them.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from functools import cached_property
from typing import Any

from gantune.errors import SpaceError
from gantune.io.formatting import count, number, setting_duration, share
from gantune.io.yaml_document import Document, KeyPath, as_comment, format_document, parse_document
from gantune.report.analysis.hyperparameters import hyperparameter_importance
from gantune.report.analysis.outcomes import ending_of, rank_trials
from gantune.report.analysis.rungs import rung_agreement
from gantune.space import SearchSpace, load_space
from gantune.space.distributions import Choices, Number, Range, is_number, plain
from gantune.space.prior import DEFAULT_TOP
from gantune.space.sampling import is_active
from gantune.space.tree import Decision, Leaf
from gantune.trial.records import TrialRecord
from gantune.tuner.answer import has_learned_anything
from gantune.tuner.budget import fewest_kimg
from gantune.tuner.finals.significance import compare_with_best
from gantune.tuner.state import RunState

_BEST = 10  # trials that may share a value
_LEADERS = 5  # trials that may stand at the end of a range, or still get better
_END = 0.15  # of a range's width: what counts as its end
_WIDER = 0.5  # of a range's width: how much is added
_CHANCE = 0.01  # that so many trials share a value by chance
_FALL = 0.1  # of the score, with each doubling of the training
_MOST_SEEDS = 10
_FACTOR = 3.0  # of halving, where early scores say little
_IDLE_TRIALS = (40, 2000)  # fewer show nothing, and more take seconds
_IDLE = 0.1  # of the differences in rank: the most that a setting may explain by itself


@dataclass(frozen=True)
class Suggestion:
    """One change to the space, or advice without one."""

    what: str
    """In a few words: ``widen generator.lr to 0.1``."""
    why: str
    """What was seen, in a sentence without a full stop."""
    override: str = ""
    """``path=value`` as ``--set`` takes it; empty where there is nothing to set."""
    place: KeyPath = ()
    """What it changes, in the space file."""

    def __str__(self) -> str:
        return f"{self.what}: {self.why}"


def suggestions(state: RunState) -> list[Suggestion]:
    """What to try after a search that has ended, in the order of what it may bring.

    Empty for fewer than five trials, and where the run's space cannot be read. The space takes all
    of them together; what it would refuse, and what would leave nothing to search, is left out.
    """
    is_enough = state.is_over and state.outcome_counts.total() >= _LEADERS
    space = _changed(state, []) if is_enough else None
    if space is None:
        return []
    search = _Search(state, space)
    found: list[Suggestion] = []
    for kind in (_train_longer, _widen, _fix_shared, _more_seeds, _better_rungs, _fix_idle):
        for one in kind(search):
            is_new = not one.place or all(one.place != other.place for other in found)
            if is_new and (not one.override or _changed(state, [*found, one]) is not None):
                found.append(one)
    return [*found, *_raise_budget(search, _changed(state, found))]


def next_space(state: RunState, found: Sequence[Suggestion], top: int = DEFAULT_TOP) -> str:
    """The next space as YAML: with these suggestions, each under its reason, and with this search
    as its prior: the ``top`` best of its settings are tried early. It is named after its file.

    Raises ``SpaceError`` where the run's space cannot be read.
    """
    tree = load_space(state.folder.space, _overrides(found)).resolved_tree()
    tree.pop("study", None)
    run = str(state.folder.path.resolve())
    head = [f"{state.study}, searched again after {count(len(state.trials), 'trial')}"]
    if not state.is_over:
        head.append("It has not ended, so nothing is changed.")
    if len(tree["start"]) < len(load_space(state.folder.space).points):
        head.append("Its start entries that do not fit any more are left out.")
    above: dict[int | None, list[str]] = {}
    if "from" in tree["trial"]:  # a trainer's own key; start could not name a run
        head.append(f"Give --prior {run} to begin with the best settings of that search.")
        document = parse_document(format_document(tree))
    else:
        tree["start"] = [*tree["start"], {"from": run, "top": top}]
        document = parse_document(format_document(tree))
        why = "the last entry: the best settings of that search, taken by their rank alone"
        above[_line(document, ("start",))] = [why]
    for one in found:
        above.setdefault(_line(document, one.place), []).append(str(one))
    written = [as_comment("\n".join([*head, *above.pop(None, [])]))]
    for at, text in enumerate(document.text.splitlines(), start=1):
        indent = " " * (len(text) - len(text.lstrip()))
        written += [f"{indent}{as_comment(why)}" for why in above.get(at, [])]
        written.append(text)
    return "\n".join(written) + "\n"


def _line(document: Document, place: KeyPath) -> int | None:
    """The line of a setting; ``None`` where it has none."""
    found = document.positions.get(place) if place else None
    return None if found is None else found[0]


def _overrides(found: Sequence[Suggestion]) -> list[str]:
    return [one.override for one in found if one.override]


def _changed(state: RunState, found: Sequence[Suggestion]) -> SearchSpace | None:
    """The space of the search with some suggestions; ``None`` where it would refuse them, or where
    nothing would be left to search."""
    try:
        space = load_space(state.folder.space, _overrides(found))
    except SpaceError:
        return None
    searched = [
        distribution
        for name, distribution in space.parameters().items()
        if name != "seed" and len(set(distribution.ends())) > 1
    ]
    return space if searched or not found else None


class _Search:
    """A search and what several suggestions read of it."""

    def __init__(self, state: RunState, space: SearchSpace) -> None:
        self.state, self.space, self.best = state, space, state.best
        self.trials = [
            record
            for record in rank_trials(state.trials)
            if record.value is not None or ending_of(record) in ("pruned", "paused")
        ]
        """From best to worst; without those that failed."""

    @cached_property
    def open(self) -> list[Decision | Leaf]:
        """What is searched and has a value in the best trial; not the seed."""
        if self.best is None:
            return []
        params = self.best.params
        chosen = {d.path: params[d.name] for d in self.space.tree.decisions if d.name in params}
        return [
            item
            for item in self.space.tree.open
            if item.name in params and item.name != "seed" and is_active(item.when, chosen)
        ]

    @property
    def fixable(self) -> list[Decision | Leaf]:
        """Those of them that every trial has, and that are no multiple of another setting."""
        return [
            item
            for item in self.open
            if not item.when and not (isinstance(item, Leaf) and item.times)
        ]

    def best_value(self, item: Decision | Leaf) -> Any:
        """The best trial's value."""
        assert self.best is not None
        return self.best.params[item.name]

    def with_value(self, name: str, most: int) -> list[TrialRecord]:
        """The best trials that have a parameter."""
        return [record for record in self.trials if name in record.params][:most]


# ---- What may bring most comes first -------------------------------------------------------------


def _train_longer(search: _Search) -> Iterator[Suggestion]:
    """Where scores still fall at the end: by a power of the length, from the last rung on."""
    tree, state = search.space.tree, search.state
    leaves = [leaf for leaf in tree.leaves if leaf.dotted == "kimg"]
    length = leaves[0].value if leaves else tree.default_of(("kimg",))
    if len(leaves) > 1 or (leaves and leaves[0].when) or not is_number(length):
        return

    def longer(times: int, words: str, why: str) -> Suggestion:
        text = f"{times * length:g}"
        what = f"train {words} as long, {text} kimg"
        return Suggestion(what, why, f"trial.kimg={text}", ("trial", "kimg"))

    if state.survivors and not has_learned_anything(state):
        why = "recall is 0.00 everywhere, so nothing was learned yet"
        yield longer(4, "four times", why)
        return
    whole = [*state.survivors[:_LEADERS], *state.finalists]
    if any(record.budget_kimg > length for record in whole):
        return  # the finals tell what a longer training brings
    falls = [fall for record in whole if (fall := _fall(record)) is not None]
    if len(falls) < 3 or statistics.median(falls) < _FALL:
        return
    last = max(rung for record in whole for rung in record.rungs if rung < 100)
    yield longer(
        2,
        "twice",
        f"in {len(falls)} whole runs of the best trials the score falls from {last}% of the length "
        f"to the end by about {share(statistics.median(falls))} with each doubling",
    )


def _fall(record: TrialRecord) -> float | None:
    """The share by which a doubling of the training lowers the score, from the last two rungs."""
    if len(record.rungs) < 2 or 100 not in record.rungs:
        return None
    *_, before, last = sorted(record.rungs)
    first, end = record.rungs[before], record.rungs[last]
    if not (0 < first < math.inf and 0 < end < math.inf):
        return None
    error = math.hypot(record.rung_errors.get(before, 0.0), record.rung_errors.get(last, 0.0))
    if first - end <= 2 * error:
        return 0.0
    return float(1 - (end / first) ** (1 / math.log2(last / before)))


def _widen(search: _Search) -> Iterator[Suggestion]:
    """Ranges at whose end the best trials stand."""
    for item in search.open:
        limits = item.distribution
        if not isinstance(limits, Range) or limits.low == limits.high:
            continue
        own = _position(limits, search.best_value(item))
        near = search.with_value(item.name, _LEADERS)
        places = [_position(limits, record.params[item.name]) for record in near]
        for is_high in (False, True):
            ends = [(1 - place if is_high else place) <= _END for place in (own, *places)]
            wide = _wider(limits, is_high)
            if len(places) < 3 or not ends[0] or 2 * sum(ends[1:]) <= len(places) or wide is None:
                continue
            side = "upper" if is_high else "lower"
            why = (
                f"the best trial has {number(search.best_value(item))}, at the {side} end of "
                f"{limits}, and so have {sum(ends[1:])} of the best {len(places)}"
            )
            end = plain(wide.high if is_high else wide.low)
            yield _setting(item, f"widen {item.base} to {end}", why, _flow(wide))


def _position(limits: Range, value: float) -> float:
    """Where a value lies in a range: 0 at its low end, 1 at its high end, on its own scale."""
    low, high, at = limits.low, limits.high, value
    if limits.log:
        low, high, at = math.log(low), math.log(high), math.log(value)
    return float((at - low) / (high - low))


def _wider(limits: Range, is_high: bool) -> Range | None:
    """A range with one end half of its width further out, as a number of two digits, or of whole
    steps; ``None`` where that would be outside the numbers of its scale."""
    low, high = Decimal(str(limits.low)), Decimal(str(limits.high))
    if limits.log:
        step = (high / low).sqrt()
        end = high * step if is_high else low / step
    elif limits.step is not None:
        size = Decimal(str(limits.step))
        step = size * max(1, math.ceil(_WIDER * float((high - low) / size)))
        end = high + step if is_high else low - step
    else:
        step = (high - low) / 2
        end = high + step if is_high else low - step
    rounding = ROUND_CEILING if is_high else ROUND_FLOOR
    if limits.is_whole:
        end = end.to_integral_value(rounding)
    elif limits.step is None and end:
        end = end.quantize(Decimal(1).scaleb(end.adjusted() - 1), rounding)
    value: Number = int(end) if limits.is_whole else float(end)
    if limits.log and value <= 0:
        return None
    return replace(limits, high=value) if is_high else replace(limits, low=value)


def _fix_shared(search: _Search) -> Iterator[Suggestion]:
    """Choices that the best trials share, although other values were tried as well."""
    for item in search.fixable:
        if not isinstance(item.distribution, Choices):
            continue
        value, best = search.best_value(item), search.with_value(item.name, _BEST)
        begun = [r.params[item.name] for r in search.state.trials if item.name in r.params]
        usual = sum(one == value for one in begun) / len(begun)
        is_shared = all(record.params[item.name] == value for record in best)
        if len(best) == _BEST and is_shared and usual**_BEST <= _CHANCE:
            why = f"all of the best {_BEST} trials have it, of all trials {share(usual)}"
            yield _setting(item, f"fix {item.base} at {plain(value)}", why, _text(value))


def _more_seeds(search: _Search) -> Iterator[Suggestion]:
    """The first finalist that ties with the winner, and how many seeds would tell them apart."""
    ranking = [ranked for ranked in search.state.ranking if not ranked.warnings]
    if search.state.winner is None or search.state.winner.warnings:
        return
    one = next((one for one in compare_with_best(ranking) if one.is_tie), None)
    if one is None:
        return
    pair, seeds = f"trials {ranking[0].origin} and {one.origin}", len(ranking[0].values)
    needed = math.inf if seeds > 1 else 3  # nothing is known of the spread over seeds
    low, high, gap = one.low, one.high, one.value
    if low is not None and high is not None:
        if one.is_ratio:
            low, high, gap = math.log(low), math.log(high), math.log(gap)
        if gap:  # the interval narrows with the root of the number of seeds
            needed = max(math.ceil(seeds * ((high - low) / 2 / gap) ** 2), seeds + 1)
    why = f"{pair} tie after {count(seeds, 'seed')}"
    if needed <= _MOST_SEEDS:
        what, place = f"train finalists on {needed} seeds", ("finalists", "seeds")
        why += ", and so many would tell such a difference from chance" if seeds > 1 else ""
        yield Suggestion(what, why, f"finalists.seeds={needed}", place)
    else:
        yield Suggestion("take the one of the winner and its tie that suits you better", why)


def _better_rungs(search: _Search) -> Iterator[Suggestion]:
    """Rungs that rank trials differently from their ends."""
    agreement = rung_agreement(search.state.trials)
    if agreement is None or not agreement.is_low:
        return
    objective, pruning = search.space.objective, search.space.pruning
    why = f"scores at rungs ranked {agreement.trials} trials differently from their full scores"
    if objective.rung_samples < objective.samples:
        most = min(4 * objective.rung_samples, objective.samples)
        override = f"objective.rung_samples={most}"
        place: KeyPath = ("objective", "rung_samples")
        yield Suggestion(f"score rungs with {most:,} samples", why, override, place)
    elif pruning.pauses and pruning.reduction_factor > _FACTOR:
        what, override = "promote the best third and its ties", f"pruning.factor={_FACTOR:g}"
        yield Suggestion(what, why, override, ("pruning", "factor"))


def _fix_idle(search: _Search) -> Iterator[Suggestion]:
    """Settings that made no difference by themselves, at the best trial's value."""
    fewest, most = _IDLE_TRIALS
    if not fewest <= len(search.trials) <= most:
        return
    found = {one.name: one for one in hyperparameter_importance(search.trials)}
    for item in search.fixable:
        one, value = found.get(item.name), search.best_value(item)
        if one is None or one.is_supported or one.high >= _IDLE or one.trials < fewest:
            continue
        why = (
            f"by itself it explains at most {share(max(one.high, 0.01))} of the differences in "
            f"rank between {one.trials} trials"
        )
        yield _setting(item, f"fix {item.base} at {number(value)}", why, _text(value))


def _raise_budget(search: _Search, changed: SearchSpace | None) -> Iterator[Suggestion]:
    """The limits of training and time, where trials or finals have become longer: for as many."""
    space, records = search.space, (*search.state.trials, *search.state.finalists)
    trained = sum(one.outcome.kimg for one in records if one.outcome is not None)
    least, budget = fewest_kimg(space), space.budget
    whole = budget.kimg or max(trained, least)
    if changed is None or not whole:
        return
    longer = changed.first_config().kimg / space.first_config().kimg
    then = fewest_kimg(changed)
    if longer == 1 and then == least:
        return
    times = ((whole - least) * longer + then) / whole
    why = "trials or finals take longer, and as many of them fit then"
    limits = {
        "kimg": budget.kimg and f"{math.ceil(10 * times * budget.kimg) / 10:g}",
        "time": budget.time and setting_duration(math.ceil(times * budget.time)),
    }
    for name, text in limits.items():
        if text:
            what, place = f"raise budget.{name} to {text}", ("budget", name)
            yield Suggestion(what, why, f"budget.{name}={text}", place)


def _setting(item: Decision | Leaf, what: str, why: str, value: str) -> Suggestion:
    """A suggestion that sets a value or decision."""
    path = item.base if isinstance(item, Decision) else ".".join(map(str, item.path))
    return Suggestion(what, why, f"{path}={value}", item.path)


def _flow(limits: Range) -> str:
    """A range as it is written in a space file."""
    fields = {"low": limits.low, "high": limits.high, "step": limits.step, "times": limits.times}
    parts = [f"{key}: {_text(value)}" for key, value in fields.items() if value is not None]
    return f"{{{', '.join([*parts, *(['log: true'] if limits.log else [])])}}}"


def _text(value: Any) -> str:
    """A single value as YAML, which reads back with its type."""
    return format_document({"value": value}).removeprefix("value:").strip()
