"""What to search next: changes to the space that the results of a search speak for.

Each one is an override such as ``loss=hinge`` with a sentence that says why. The terminal and the
page show them, and ``gantune next`` writes the space with all of them.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from gantune.errors import SpaceError
from gantune.io.formatting import count, number, share
from gantune.io.yaml_document import Document, as_comment, format_document, parse_document
from gantune.report.analysis.hyperparameters import hyperparameter_importance
from gantune.report.analysis.outcomes import rank_trials
from gantune.report.analysis.rungs import rung_agreement
from gantune.space import SearchSpace, load_space
from gantune.space.distributions import Choices, Number, Range, is_number, plain
from gantune.space.prior import DEFAULT_TOP
from gantune.space.settings import percent_text
from gantune.space.tree import Decision, Leaf
from gantune.trial.records import TrialRecord
from gantune.tuner.answer import has_learned
from gantune.tuner.significance import compare_with_best
from gantune.tuner.state import RunState

_BEST = 10  # trials that may share a value
_LEADERS = 5  # trials that may stand at the end of a range, or still get better
_END = 0.15  # of a range's width: what counts as its end
_WIDER = 0.5  # of a range's width: how much is added
_CHANCE = 0.01  # that so many trials share a value although it does not matter
_FALL = 0.1  # of the score, with each doubling of the training
_MOST_SEEDS = 10
_IDLE_TRIALS = 40  # that show that a setting does not matter
_IDLE = 0.1  # of the differences in rank: the most that it may explain


@dataclass(frozen=True)
class Suggestion:
    """One change to the space, or advice without one."""

    what: str
    """In a few words: ``widen generator.lr to 0.1``."""
    why: str
    """What was seen, in a sentence without an end."""
    override: str = ""
    """``path=value`` as ``--set`` takes it; empty where there is nothing to set."""

    @property
    def path(self) -> str:
        """The setting that it changes; empty where there is nothing to set."""
        return self.override.partition("=")[0]

    def __str__(self) -> str:
        return f"{self.what}: {self.why}"


def suggestions(state: RunState) -> list[Suggestion]:
    """What to try next, in the order of what it may bring.

    Empty before five trials have ended, and where the run's space cannot be read. The space takes
    all of them together; what it would refuse is left out.
    """
    space = None if state.outcome_counts.total() < _LEADERS else _changed(state, [])
    if space is None:
        return []
    search = _Search(state, space)
    found: list[Suggestion] = []
    for kind in (_train_longer, _widen, _fix_shared, _more_seeds, _better_rungs, _fix_idle):
        for one in kind(search):
            is_new = not one.override or all(one.path != other.path for other in found)
            if is_new and (not one.override or _changed(state, [*found, one]) is not None):
                found.append(one)
    return found


def next_space(state: RunState, top: int = DEFAULT_TOP) -> str:
    """The next space as YAML: with all suggestions, each under its reason, and with this search as
    its prior: the ``top`` best of its settings are tried first. It is named after its file.

    Raises ``SpaceError`` where the run's space cannot be read.
    """
    found = suggestions(state)
    overrides = [one.override for one in found if one.override]
    tree = load_space(state.folder.space, overrides).resolved_tree()
    tree.pop("study", None)
    tree["start"] = [*tree["start"], {"from": str(state.folder.path.resolve()), "top": top}]
    document = parse_document(format_document(tree))
    head = [f"{state.study}, searched again after {count(len(state.trials), 'trial')}"]
    above = {
        _line(document, "start"): [
            "the best settings of that search are tried first, by their rank alone"
        ]
    }
    for one in found:
        line = _line(document, one.path)
        if line is None:
            head.append(str(one))
        else:
            above.setdefault(line, []).append(str(one))
    written = [as_comment("\n".join(head))]
    for at, text in enumerate(document.text.splitlines(), start=1):
        indent = " " * (len(text) - len(text.lstrip()))
        written += [f"{indent}{as_comment(why)}" for why in above.get(at, [])]
        written.append(text)
    return "\n".join(written) + "\n"


def _line(document: Document, path: str) -> int | None:
    """The line of a setting or decision, by its path as ``--set`` takes it."""
    for key, (line, _) in document.positions.items():
        parts = [str(part) for part in (key[1:] if key[:1] == ("trial",) else key)]
        if path in (".".join(parts), ".".join(part for part in parts if part != "choose")):
            return line
    return None


def _changed(state: RunState, found: Sequence[Suggestion]) -> SearchSpace | None:
    """The space of the search with some suggestions; ``None`` where it would refuse them."""
    try:
        return load_space(state.folder.space, [one.override for one in found if one.override])
    except SpaceError:
        return None


class _Search:
    """A search and what several suggestions read of it."""

    def __init__(self, state: RunState, space: SearchSpace) -> None:
        self.state, self.space = state, space
        self.trials = rank_trials(state.trials)
        self.begun = [record for record in state.trials if record.params]

    @property
    def best(self) -> TrialRecord | None:
        """The winner's trial, or the best so far."""
        return self.state.best

    @cached_property
    def has_learned(self) -> bool:
        """Whether any score can be trusted."""
        scored = [record.score for record in self.state.survivors if record.score is not None]
        return any(has_learned(score.recall) for score in scored)

    def with_value(self, name: str, most: int) -> list[TrialRecord]:
        """The best trials that have a parameter, paused and pruned ones after the survivors."""
        return [record for record in self.trials if name in record.params][:most]


# ---- What may bring most first -------------------------------------------------------------------


def _train_longer(search: _Search) -> Iterator[Suggestion]:
    """Where scores still fall at the end: by a power of the length, from the last rung on."""
    kimg = next((leaf for leaf in search.space.tree.leaves if leaf.dotted == "kimg"), None)
    if kimg is None or not is_number(kimg.value):
        return
    if search.state.survivors and not search.has_learned:
        longer = f"{4 * kimg.value:g}"
        why = "recall is 0.00 everywhere, so nothing was learned yet"
        yield Suggestion(f"train four times as long, {longer} kimg", why, f"kimg={longer}")
        return
    whole = [*search.state.survivors[:_LEADERS], *search.state.finalists]
    falls = [fall for record in whole if (fall := _fall(record)) is not None]
    if len(falls) < 3 or statistics.median(falls) < _FALL:
        return
    longer = f"{2 * kimg.value:g}"
    last = max(rung for record in whole for rung in record.rungs if rung < 100)
    why = (
        f"in {len(falls)} whole runs of the best trials the score falls from {last}% of the length "
        f"to the end by about {share(statistics.median(falls))} with each doubling"
    )
    yield Suggestion(f"train twice as long, {longer} kimg", why, f"kimg={longer}")


def _fall(record: TrialRecord) -> float | None:
    """The share by which a doubling of the training lowers the score, from the last two rungs."""
    if len(record.rungs) < 2 or 100 not in record.rungs:
        return None
    *_, before, last = sorted(record.rungs)
    first, end = record.rungs[before], record.rungs[last]
    if min(first, end) <= 0:
        return None
    error = math.hypot(record.rung_errors.get(before, 0.0), record.rung_errors.get(last, 0.0))
    if first - end <= 2 * error:
        return 0.0
    return float(1 - (end / first) ** (1 / math.log2(last / before)))


def _widen(search: _Search) -> Iterator[Suggestion]:
    """Ranges at whose end the best trials stand."""
    for leaf in search.space.tree.leaves:
        limits = leaf.value
        if not isinstance(limits, Range) or limits.low == limits.high:
            continue
        near = search.with_value(leaf.name, _LEADERS)
        places = [_position(limits, record.params[leaf.name]) for record in near]
        if len(places) < 3 or search.best is None or leaf.name not in search.best.params:
            continue
        own = _position(limits, search.best.params[leaf.name])
        for is_high in (False, True):
            ends = [(1 - place if is_high else place) <= _END for place in (own, *places)]
            if not ends[0] or 2 * sum(ends[1:]) <= len(places):
                continue
            end = _beyond(limits, is_high)
            wide = replace(limits, high=end) if is_high else replace(limits, low=end)
            value = number(search.best.params[leaf.name])
            why = (
                f"the best trial has {value}, at the {'upper' if is_high else 'lower'} end of "
                f"{limits}, and so have {sum(ends[1:])} of the best {len(places)}"
            )
            yield Suggestion(
                f"widen {leaf.base} to {plain(end)}", why, f"{_set_path(leaf)}={_flow(wide)}"
            )


def _position(limits: Range, value: float) -> float:
    """Where a value lies in a range: 0 at its low end, 1 at its high end, on its own scale."""
    low, high, at = limits.low, limits.high, value
    if limits.log:
        low, high, at = math.log(low), math.log(high), math.log(value)
    return float((at - low) / (high - low))


def _beyond(limits: Range, is_high: bool) -> Number:
    """A new end, half of the range's width further out."""
    if limits.log:
        step = math.sqrt(limits.high / limits.low)
        end = limits.high * step if is_high else limits.low / step
    else:
        step = _WIDER * (limits.high - limits.low)
        end = limits.high + step if is_high else limits.low - step
    if limits.step is not None:
        steps = math.ceil((end - limits.low) / limits.step) if is_high else 0
        return type(limits.high)(limits.low + steps * limits.step) if is_high else limits.low
    return round(end) if limits.is_whole else float(f"{end:.2g}")


def _fix_shared(search: _Search) -> Iterator[Suggestion]:
    """Choices that the best trials share, although other values were tried as well."""
    for item in search.space.tree.open:
        if not isinstance(item.distribution, Choices):
            continue
        best = search.with_value(item.name, _BEST)
        begun = [r.params[item.name] for r in search.begun if item.name in r.params]
        values = {plain(record.params[item.name]) for record in best}
        if len(best) < _BEST or len(values) != 1:
            continue
        value = best[0].params[item.name]
        usual = sum(one == value for one in begun) / len(begun)
        if usual**_BEST > _CHANCE or usual == 1:
            continue
        why = f"all of the best {_BEST} trials have it, of all trials {share(usual)}"
        yield Suggestion(
            f"fix {item.base} at {plain(value)}", why, f"{_set_path(item)}={plain(value)}"
        )


def _more_seeds(search: _Search) -> Iterator[Suggestion]:
    """Finalists that tie with the winner, and how many seeds would tell them apart."""
    ranking = search.state.ranking
    if search.state.winner is None:
        return
    for one in compare_with_best(ranking):
        if not one.is_tie or one.low is None or one.high is None:
            continue
        pair = f"trials {ranking[0].origin} and {one.origin}"
        seeds = len(ranking[0].values)
        why = f"they tie after {count(seeds, 'seed')}"
        low, high, gap = one.low, one.high, one.value
        if one.is_ratio:
            low, high, gap = math.log(low), math.log(high), math.log(gap)
        # The interval narrows with the root of the number of seeds.
        needed = math.ceil(seeds * ((high - low) / 2 / gap) ** 2) if gap else math.inf
        if needed <= _MOST_SEEDS:
            yield Suggestion(
                f"train {pair} on {needed} seeds", why, f"finalists.seeds={max(needed, seeds + 1)}"
            )
        else:
            why += f", and {_MOST_SEEDS} would hardly tell them apart"
            yield Suggestion(f"take either of {pair}, the cheaper one", why)
        return


def _better_rungs(search: _Search) -> Iterator[Suggestion]:
    """Rungs that rank trials differently from their ends."""
    agreement = rung_agreement(search.state.trials)
    if agreement is None or not agreement.is_low:
        return
    objective, rungs = search.space.objective, search.space.pruning.shares
    if objective.rung_samples < objective.samples:
        most = min(4 * objective.rung_samples, objective.samples)
        yield Suggestion(
            f"score rungs with {most:,} samples",
            f"rungs ranked {agreement.trials} trials differently from their ends",
            f"objective.rung_samples={most}",
        )
    elif len(rungs) > 1:
        later = ", ".join(percent_text(rung) for rung in rungs[1:])
        yield Suggestion(
            f"leave out the rung at {percent_text(rungs[0])}",
            f"rungs ranked {agreement.trials} trials differently from their ends",
            f"pruning.rungs=[{later}]",
        )


def _fix_idle(search: _Search) -> Iterator[Suggestion]:
    """Settings that made no difference, at the best trial's value."""
    if len(search.trials) < _IDLE_TRIALS or search.best is None:
        return
    items = {item.name: item for item in search.space.tree.open}
    for one in hyperparameter_importance(search.trials):
        is_idle = not one.is_supported and one.high < _IDLE and one.trials >= _IDLE_TRIALS
        if is_idle and one.name in items and one.name in search.best.params:
            item, value = items[one.name], plain(search.best.params[one.name])
            why = (
                f"it explained under {share(one.high)} of the differences between {one.trials} "
                "trials"
            )
            if isinstance(item, Leaf) and item.times:
                continue  # a plain value would no longer follow the other
            shown = number(search.best.params[one.name])
            yield Suggestion(f"fix {item.base} at {shown}", why, f"{_set_path(item)}={value}")


def _set_path(item: Decision | Leaf) -> str:
    """The path of an item as ``--set`` takes it."""
    return item.base if isinstance(item, Decision) else ".".join(map(str, item.path[1:]))


def _flow(limits: Range) -> str:
    """A range as it is written in a space file."""
    fields = {"low": plain(limits.low), "high": plain(limits.high)}
    fields |= {"log": "true"} if limits.log else {}
    fields |= {"step": plain(limits.step)} if limits.step is not None else {}
    fields |= {"times": limits.times} if limits.times else {}
    return f"{{{', '.join(f'{key}: {value}' for key, value in fields.items())}}}"
