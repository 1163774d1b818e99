"""What the data support, in sentences: stable regions, ties, settings that matter, advice."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from shlex import quote

from gantune.health.remedies import Proposal
from gantune.io.formatting import count, first_names, format_value, number, share, times
from gantune.report.analysis.hyperparameters import FEWEST, Importance
from gantune.report.analysis.outcomes import UNSTABLE
from gantune.report.analysis.spending import stopped_by
from gantune.report.analysis.stability import RATIO, Region, Stability
from gantune.report.wording import short_names
from gantune.trial.records import TrialRecord
from gantune.tuner.advice import what_to_try
from gantune.tuner.finals.significance import Comparison, compare_with_best, seed_noise
from gantune.tuner.state import RunState

_SMALLEST_P = 0.001  # what 999 permutations can give
_MOST_REASONS = 6  # that are named, the most common first
_MOST_NAMED = 8  # trials that are named as ties of the best one


@dataclass(frozen=True)
class Finding:
    """A plain sentence, and the statistics behind it."""

    text: str
    details: str = ""

    def __str__(self) -> str:
        return self.text


def about_regions(stability: Stability) -> list[Finding]:
    """A finding for each region where trials fail in one way more, or less, than elsewhere."""
    runs, failed, what = count(stability.runs, "trial"), stability.unstable, stability.words
    if not stability.runs:
        text = "No trial has completed or been stopped by a health rule yet."
    elif not failed:
        text = f"None of {runs} {what}."
    elif failed == stability.runs:
        text = f"All {failed} of {runs} {what}, so no region stands out."
    elif not stability.regions:
        text = (
            f"{failed} of {runs} {what}. No region differs from the rest by more than chance; "
            "more trials may show one."
        )
    else:
        return [_about_region(region, what) for region in stability.regions]
    return [Finding(text)]


def _about_region(region: Region, what: str) -> Finding:
    """``D lr at 2e-3 and above, with wgan: 7 of 8 trials came apart; elsewhere 2 of 15.``"""
    name = "D lr / G lr" if region.name == RATIO else short_names([region.name])[region.name]
    if region.choice is not None:
        where = f"{name} {region.choice}"
    elif region.low is not None:
        where = f"{name} at {number(region.low)} and above"
    else:
        where = f"{name} at {number(region.high)} and below"
    if region.loss is not None:
        where += f", with {region.loss}"
    return Finding(
        f"{where}: {region.unstable} of {region.runs} trials {what}; elsewhere "
        f"{region.others_unstable} of {region.others}.",
        f"{where}, {what}: p {_p(region.p)}.",
    )


def about_importance(found: list[Importance]) -> Finding:
    """Which settings matter, as far as the data can tell."""
    if not found:
        return Finding(
            f"Fewer than {FEWEST} trials have ended with settings that differ: too few to say "
            "which setting matters."
        )
    names = short_names([one.name for one in found])
    supported = [one for one in found if one.is_supported]
    if not supported:
        return Finding(
            "The data do not support a ranking: no setting explains more of the differences than "
            "chance. More trials, or wider ranges, may show one."
        )
    *first, last = [names[one.name] for one in supported]
    listed = f"{', '.join(first)} and {last}" if first else last
    others = len(found) - len(supported)
    rest = f" The effect of {count(others, 'other setting')} may be chance." if others else ""
    details = ", ".join(
        f"{names[one.name]} {share(one.share)} ({share(one.low)} to {share(one.high)}), p "
        f"{_p(one.p)}"
        for one in supported
    )
    text = f"What matters{', most first' if first else ''}: {listed}.{rest}"
    return Finding(text, f"{details}.")


def about_comparison(one: Comparison, first: str, other: str) -> Finding:
    """Whether ``other`` differs from ``first``, the best one."""
    if one.low is None or one.high is None:
        return Finding(f"A tie: {other} and {first} have one seed each, so this may be chance.")
    if one.factor is not None:
        gap, ends = f"{times(one.factor)} times the score", f"{one.low:.2f} to {one.high:.2f}"
    else:
        gap = f"a score {format_value(one.value)} higher"
        ends = f"{format_value(one.low)} to {format_value(one.high)}"
    details = f"{other} has {gap} {'of' if one.is_ratio else 'than'} {first}; 95% interval {ends}."
    if one.is_tie:
        return Finding(f"A tie: {other} and {first} cannot be told apart.", details)
    return Finding(f"{other} is worse than {first}: {gap}.", details)


def winners_ties(state: RunState) -> list[Finding]:
    """The finalists whose difference from the first is not significant."""
    return _about_finalists(state, only_ties=True)


def about_ties(state: RunState) -> list[Finding]:
    """How each finalist compares with the first, and how far single seeds can be trusted."""
    return [*_about_finalists(state), *_about_single_seeds(state)]


def _about_finalists(state: RunState, only_ties: bool = False) -> list[Finding]:
    found = []
    for one in compare_with_best(state.ranking):
        if one.is_tie or not only_ties:
            first, other = f"trial {state.ranking[0].origin}", f"trial {one.origin}"
            finding = about_comparison(one, first, other)
            sentences = (s[:1].upper() + s[1:] for s in (finding.text, finding.details))
            found.append(Finding(*sentences))
    return found


def _about_single_seeds(state: RunState) -> Iterator[Finding]:
    """Which survivors, of one seed each, may be as good as the first."""
    noise, survivors = seed_noise(state.ranking), state.survivors
    if noise is None or len(survivors) < 2:
        return
    best = survivors[0].value
    assert best is not None
    limit = best * noise.least if noise.is_ratio else best + noise.least
    close = [r.number for r in survivors[1:] if r.value is not None and r.value < limit]
    first = f"trial {survivors[0].number}"
    text = f"In the search, {first} leads by more than another seed would change a score."
    if close:
        listed = ", ".join(map(str, close[:_MOST_NAMED]))
        more = f" and {len(close) - _MOST_NAMED} more" if len(close) > _MOST_NAMED else ""
        one = "Trial" if len(close) == 1 else "Trials"
        text = (
            f"{one} {listed}{more} may be as good as {first}: another seed can change a score by "
            "more than they differ."
        )
    if noise.is_ratio:
        moves = f"a factor of {times(math.exp(noise.deviation))}"
        least = f"{times(noise.least)} times as high"
    else:
        moves = format_value(noise.deviation, 2)
        least = f"{format_value(noise.least, 2)} higher"
    yield Finding(
        text,
        f"The standard deviation over seeds in the finals is {moves}. Of two trainings with one "
        f"seed each, the worse score must be at least {least} to be significant (95%).",
    )


def _p(value: float) -> str:
    if value <= _SMALLEST_P:
        return f"≤ {_SMALLEST_P}"
    return f"{value:.3f}" if value < 0.01 else f"{value:.2f}"


def why_no_score(state: RunState) -> list[str]:
    """What stopped the trials of a search without any score, and what to change."""
    if not state.outcome_counts:
        return []
    stops = [f"{stopped.reason} ({stopped.runs})" for stopped in stopped_by(state)]
    by = first_names(stops, _MOST_REASONS)
    found = [f"What stopped {'others' if state.paused else 'them'}: {by}."] if by else []
    endings = state.outcome_counts
    if any(endings[ending] for ending in UNSTABLE):
        found.append(_advice_for_unstable(state))
    if endings["out_of_memory"]:
        found.append("Use smaller batches (batch_size) or a narrower network (network.width).")
    crashed = [r for r in state.trials if r.outcome and r.outcome.ending == "crashed"]
    if crashed:
        found.append(f"The first crash: {state.folder.trial(crashed[0].name).error}")
    return found


@dataclass(frozen=True)
class Cure:
    """What may cure the trials that a rule has stopped."""

    rule: str
    trial: int
    """The first one."""
    proposals: tuple[Proposal, ...]
    """At least one, for that trial's config."""
    command: str
    """What tries remedies; empty where they are only advice: the config was deleted, or the space
    of a trainer of the user's own declares none."""


def cures(state: RunState) -> Iterator[Cure]:
    """What to try after each rule's verdicts, on its first trial; the most common rule first."""
    failed: dict[str, list[TrialRecord]] = {}
    for record in state.trials:
        if record.outcome is not None and record.outcome.verdict is not None:
            failed.setdefault(record.outcome.verdict.rule, []).append(record)
    for rule, records in sorted(failed.items(), key=lambda item: -len(item[1])):
        first = records[0]
        if found := tuple(what_to_try(state.folder, first.name, first.outcome)):
            command = f"gantune stabilize {quote(f'{state.folder.path}#{first.number}')}"
            is_known = any(proposal.changes for proposal in found)
            yield Cure(rule, first.number, found, command if is_known else "")


def cure(state: RunState) -> Cure | None:
    """What to try after the most common verdict; ``None`` without a verdict."""
    return next(cures(state), None)


def _advice_for_unstable(state: RunState) -> str:
    """Where to find a working recipe, and whether other rules would let the trials continue."""
    ended = [(state.folder.trial(r.name), r.outcome) for r in state.trials if r.outcome]
    outputs = [folder.output for folder, _ in ended if folder.output.exists()]
    recipe = "Try a start recipe known to work (gantune init dcgan has one)"
    if outputs:  # of an external trainer
        recipe = f"Read what the trainer printed, in {outputs[0]}; then try settings known to work"
    rules = {outcome.verdict.rule for _, outcome in ended if outcome.verdict is not None}
    if rules == {"non_finite"}:  # part of every preset
        return f"{recipe}."
    return f"{recipe}, or more lenient rules: --set stability=lenient"
