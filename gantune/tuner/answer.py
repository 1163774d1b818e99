"""What a search has found, in one sentence: the first on the page, the terminal and dashboards."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gantune.io.formatting import count, first_names, format_value, times
from gantune.trial.records import TrialRecord
from gantune.tuner.finals.finalists import FinalistResult, start_recipe
from gantune.tuner.finals.margins import wider
from gantune.tuner.finals.significance import compare_with_best
from gantune.tuner.state import RunState, unscored_finalists

_MOST_TIES = 4  # that the sentence names
_NOTHING = 0.005  # recall that is shown as 0.00


@dataclass(frozen=True)
class Answer:
    """The first sentence of a report."""

    text: str
    is_success: bool
    """Whether something was learned: nothing else is shown in green."""

    def __str__(self) -> str:
        return self.text


def answer(state: RunState) -> Answer:
    """The winner against the start recipe and its ties, or why there is none."""
    best, winner = state.best, state.winner
    if best is None or best.score is None:
        return Answer(_without_score(state), False)
    if not has_learned_anything(state):
        return Answer("Nothing learned yet: recall is 0.00 everywhere; train longer.", False)
    text = _before_finals(state, best) if winner is None else _after_finals(state, winner)
    recall = best.score.recall if winner is None else winner.recall
    if not has_learned(recall):
        return Answer(f"{text} But its recall is 0.00: look at its samples.", False)
    if winner is not None and winner.warnings:
        return Answer(f"{text} But every finalist has a warning: look at its samples.", False)
    return Answer(text, True)


def has_learned_anything(state: RunState) -> bool:
    """Whether any trial or finalist with a score has learned something."""
    recalls = [record.score.recall for record in state.survivors if record.score is not None]
    recalls += [ranked.recall for ranked in state.ranking]
    return any(map(has_learned, recalls))


def has_learned(recall: float | None) -> bool:
    """Whether samples have any of the real images' variety; trainers without recall may have."""
    return recall is None or recall >= _NOTHING


def _without_score(state: RunState) -> str:
    if not state.trials:
        return "No trial has started yet."
    if not state.outcome_counts:
        return "No trial has ended yet."
    if state.paused:
        paused = count(len(state.paused), "trial")
        return (
            f"No trial has come to its end yet: {paused} paused at a rung, and the best there go "
            "on."
        )
    return "No trial has survived: there is no score to rank by."


def _before_finals(state: RunState, best: TrialRecord) -> str:
    """The best trial by one seed."""
    whole = count(state.outcome_counts.total(), "trial")
    what = f"the best of {whole}" if state.is_over else "the best so far"
    text = f"Trial {best.number} is {what}: {format_value(best.value)}"
    start = next((record for record in start_recipe(state.trials)), None)
    if start is not None and best.number == start.number:
        text += ", the start recipe itself, on one seed"
    elif start is not None and start.value is not None and best.value is not None:
        text += f", {_better(best.value, start.value)} the start recipe"
        text += f" ({format_value(start.value)}), on one seed each"
    else:
        text += f", on one seed{_failed_start(state)}"
    return f"{text}." if state.is_over else f"{text}; the finals decide."


def _after_finals(state: RunState, winner: FinalistResult) -> str:
    """The winner over several seeds."""
    ties = [one.origin for one in compare_with_best(state.ranking) if one.is_tie]
    text = _without_margins(state, winner, ties)
    if (stable := wider(state.margins, winner.origin, ties)) is not None:
        wide = f"trial {stable} has the wider margin before it fails, on one seed"
        text = f"{text.removesuffix('.')}; {wide}."
    return text


def _without_margins(state: RunState, winner: FinalistResult, ties: Sequence[int]) -> str:
    start = next((ranked for ranked in state.ranking if ranked.is_start), None)
    name, mean = f"Trial {winner.origin}", format_value(winner.mean)
    if winner.is_start:
        tied = _tied(ties).removeprefix(" and ")
        return f"No trial is better than the start recipe, {name.lower()} ({mean}), which {tied}."
    if start is None:
        whole = count(state.outcome_counts.total(), "trial")
        text = f"{name} is the best of {whole} ({mean})"
        text += _tied(ties) if len(state.ranking) > 1 else ""
        return f"{text}{_failed_start(state)}."
    both = f"({mean} against {format_value(start.mean)})"
    if max(len(winner.values), len(start.values)) == 1 and start.mean > winner.mean:
        better = f"{_better(winner.mean, start.mean)} the start recipe {both}"
        return f"{name} is {better}, on one seed each; more seeds may tell."
    if start.origin in ties:
        others = [origin for origin in ties if origin != start.origin]
        and_others = f" and with {_trials(others)}" if others else ""
        return f"{name} ties with the start recipe {both}{and_others}; more seeds may tell."
    if start.mean <= winner.mean:  # it has lost by its warnings
        return f"{name} is the best {both}{_tied(ties)}: the start recipe has a warning."
    return f"{name} is {_better(winner.mean, start.mean)} the start recipe {both}{_tied(ties)}."


def _failed_start(state: RunState) -> str:
    """``; the start recipe stalled``; empty where it did not fail."""
    for start in start_recipe(state.trials):
        if start.number in unscored_finalists(state):
            return "; the start recipe has no score on any seed"
        if start.value is None and start.outcome is not None and start.outcome.is_failure:
            ending = start.outcome.ending
            return (
                f"; the start recipe {'ran out of memory' if ending == 'out_of_memory' else ending}"
            )
    return ""


def _better(value: float, other: float) -> str:
    """``3.8 times better than``; scores that may be 0 or negative have no such factor."""
    if min(value, other) <= 0:
        return "better than"
    factor = times(other / value)
    return f"{factor} times better than" if other > value else "not better than"


def _tied(ties: Sequence[int]) -> str:
    return f" and ties with {_trials(ties) if ties else 'none'}"


def _trials(numbers: Sequence[int]) -> str:
    """``trial 4``, ``trials 4 and 7``."""
    if len(numbers) == 1:
        return f"trial {numbers[0]}"
    if len(numbers) > _MOST_TIES:
        return f"trials {first_names([str(number) for number in numbers], _MOST_TIES)}"
    *first, last = map(str, numbers)
    return f"trials {', '.join(first)} and {last}"
