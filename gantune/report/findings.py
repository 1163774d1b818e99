"""What the data support, in sentences: where runs come apart, what ties, which settings matter."""

from __future__ import annotations

from collections.abc import Iterator

from gantune.io.formatting import count, format_value, number, share
from gantune.report.analysis.importance import FEWEST, Importance
from gantune.report.analysis.outcomes import UNSTABLE
from gantune.report.analysis.significance import Comparison, compare_with_best, seed_noise
from gantune.report.analysis.spending import stopped_by
from gantune.report.analysis.stability import RATIO, Region, Stability
from gantune.report.wording import short_names
from gantune.tuner.state import RunState

_SMALLEST_P = 0.001


_LISTED = 8  # trials named as tied with the best


def region_sentence(region: Region) -> str:
    """``D lr at 2e-3 and above, with wgan: 7 of 8 came apart; elsewhere 2 of 15 (p 0.004).``"""
    name = "D lr / G lr" if region.name == RATIO else short_names([region.name])[region.name]
    if region.choice is not None:
        where = f"{name} {region.choice}"
    elif region.low is not None:
        where = f"{name} at {number(region.low)} and above"
    else:
        where = f"{name} at {number(region.high)} and below"
    if region.loss is not None:
        where += f", with {region.loss}"
    return (
        f"{where}: {region.apart} of {region.runs} came apart; elsewhere {region.others_apart} of "
        f"{region.others} (p {_p(region.p)})."
    )


def about_regions(stability: Stability) -> Iterator[str]:
    """A sentence for each region that stands out, and how they were found."""
    if not stability.runs:
        yield "No trial has ended alive or come apart yet."
        return
    whole = f"{stability.apart} of {count(stability.runs, 'run')} came apart"
    if not stability.apart:
        yield f"None of {count(stability.runs, 'run')} came apart: the whole map is alive."
        return
    if stability.apart == stability.runs:
        yield f"All {whole}: nothing on the map lives, so nothing tells its parts from each other."
        return
    if not stability.regions:
        yield (
            f"{whole}; no region differs from the rest by more than chance would explain. More "
            "trials would tell."
        )
        return
    yield from map(region_sentence, stability.regions)


def about_importance(found: list[Importance]) -> str:
    """Which settings the data tell from chance."""
    if not found:
        return (
            f"Fewer than {FEWEST} trials have ended with settings that differ: too few to say "
            "which setting matters."
        )
    names = short_names([one.name for one in found])
    clear = [one for one in found if one.is_supported]
    if not clear:
        return (
            "The data do not support a ranking: no setting explains more of the differences than "
            "chance alone might. More trials, or wider ranges, would tell."
        )
    listed = ", ".join(f"{names[one.name]} ({share(one.share)}, p {_p(one.p)})" for one in clear)
    others = len(found) - len(clear)
    rest = f"; {count(others, 'other setting')} cannot be told from chance" if others else ""
    return f"What matters here: {listed}{rest}."


def winners_ties(state: RunState) -> list[str]:
    """Of the finalists those that cannot be told apart from the first."""
    found = compare_with_best(state.ranking)
    return [_against(one, state.ranking[0].origin) for one in found if one.is_tie]


def about_ties(state: RunState) -> Iterator[str]:
    """Which finalists cannot be told apart, and what another seed alone changes."""
    for one in compare_with_best(state.ranking):
        yield _against(one, state.ranking[0].origin)
    yield from _about_singles(state)


def _against(one: Comparison, first: int) -> str:
    names = f"trial {one.origin} and trial {first}"
    if one.low is None or one.high is None:
        return f"A tie: {names} have one score each; more seeds would tell them apart."
    if one.is_ratio:
        gap = f"its scores are {one.value:.2f} times as high"
        ends = f"{one.low:.2f} to {one.high:.2f} times"
    else:
        gap = f"its mean lies {format_value(one.value)} higher"
        ends = f"{format_value(one.low)} to {format_value(one.high)}"
    if one.is_tie:
        return (
            f"A tie: {names} cannot be told apart; {gap}, and anything from {ends} is possible "
            "(95% interval)."
        )
    return f"Trial {one.origin} is worse than trial {first}: {gap} (95% interval {ends})."


def _about_singles(state: RunState) -> Iterator[str]:
    """Survivors have one seed: what the finals say of that."""
    noise, survivors = seed_noise(state.ranking), state.survivors
    if noise is None or len(survivors) < 2:
        return
    best = survivors[0].value
    assert best is not None
    limit = best * noise.least if noise.is_ratio else best + noise.least
    close = [r for r in survivors[1:] if r.value is not None and r.value < limit]
    moves = share(noise.deviation) if noise.is_ratio else format_value(noise.deviation, 2)
    least = share(noise.least - 1) if noise.is_ratio else format_value(noise.least, 2)
    yield (
        f"Another seed alone moves the best scores by {moves} (standard deviation in the finals): "
        f"of two single trainings, a difference below {least} says nothing."
    )
    if close:
        shown = ", ".join(str(record.number) for record in close[:_LISTED])
        more = f" and {len(close) - _LISTED} more" if len(close) > _LISTED else ""
        one = "trial" if len(close) == 1 else "trials"
        verb = "ties" if len(close) == 1 else "tie"
        first = f"trial {survivors[0].number}"
        yield f"In the search itself {one} {shown}{more} {verb} with {first} by that measure."


def _p(value: float) -> str:
    """A p of 999 deals can be no smaller than one in a thousand."""
    if value <= _SMALLEST_P:
        return f"≤ {_SMALLEST_P}"
    return f"{value:.3f}" if value < 0.01 else f"{value:.2f}"


# What to do about a search that has found nothing.


def no_survivors(state: RunState) -> list[str]:
    """Sentences: what ended the trials, and what to change."""
    if not state.outcome_counts:
        return ["No trial has ended yet."]
    by = ", ".join(f"{stopped.by} ({stopped.trials})" for stopped in stopped_by(state))
    found = [
        "No trial has survived: there is no score to rank by.",
        f"What ended them: {by}.",
    ]
    endings = state.outcome_counts
    if any(endings[ending] for ending in UNSTABLE):
        found.append(_for_those_apart(state))
    if endings["out_of_memory"]:
        found.append("Take smaller batches (batch_size) or a narrower network (network.width).")
    crashed = [r for r in state.trials if r.outcome and r.outcome.ending == "crashed"]
    if crashed:
        found.append(f"The first crash: {state.folder.trial(crashed[0].name).error}")
    return found


def _for_those_apart(state: RunState) -> str:
    """Where a recipe is to be had, and whether other rules would have let the trials go on."""
    ended = [(state.folder.trial(r.name), r.outcome) for r in state.trials if r.outcome]
    outputs = [home.output for home, _ in ended if home.output.exists()]
    known = "a start recipe known to work and ranges around it"
    if outputs:  # the trainer is the user's own
        recipe = f"Look what the trainer printed, in {outputs[0]}; then try {known}"
    else:
        recipe = f"Try {known} (gantune init dcgan has one)"
    rules = {outcome.verdict.rule for _, outcome in ended if outcome.verdict is not None}
    if rules == {"non_finite"}:  # which is asked for in every preset
        return f"{recipe}."
    return f"{recipe}, or judge less strictly: --set stability=lenient"
