"""The scores of a winner, a trial and a finalist as text."""

import textwrap
from collections.abc import Sequence

from gantune.io.formatting import format_value
from gantune.scores.score import HeldOut
from gantune.scores.text import (
    extra_metrics_text,
    held_out_text,
    protocol_line,
    sampling_error_text,
    score_text,
)
from gantune.trial.records import TrialRecord
from gantune.tuner.finals.finalists import FinalistResult
from gantune.tuner.finals.significance import compare_with_best
from gantune.tuner.state import RunState

_WIDTH = 98  # of a comment's text


def mean_text(ranked: FinalistResult) -> str:
    """A finalist's mean over seeds with its standard deviation: ``27.2 ± 1.9``."""
    spread = "" if ranked.deviation is None else f" ± {format_value(ranked.deviation, digits=2)}"
    return f"{format_value(ranked.mean)}{spread}"


def ranked_text(ranked: FinalistResult) -> str:
    """A finalist's score: ``27.2 ± 1.9 over 3 seeds (sampling error 0.40)``."""
    scored, trained = len(ranked.scores), len(ranked.seeds)
    seeds = f"{scored} of {trained} seeds" if scored < trained else f"{trained} seeds"
    seeds = "1 seed" if trained == 1 else seeds
    return f"{mean_text(ranked)} over {seeds}{sampling_error_text(ranked.error)}"


def describe_best(state: RunState) -> str:
    """The score of the winner or of the best trial so far, with its protocol and spread."""
    ranked = state.winner
    if ranked is None:
        assert state.best is not None
        return describe_trial(state.best)
    seeds = ", ".join(str(seed) for seed in ranked.seeds)
    score = ranked.scores[0]
    lines = [
        f"{score.name} {ranked_text(ranked)}, {protocol_line(score.protocol)}",
        extra_metrics_text(ranked.recall, ranked.coverage),
        *_held_out_lines(score.name, ranked.held_out),
        f"trial {ranked.origin}, trained from scratch on seeds {seeds}",
        *(f"warning: {text}" for text in ranked.warnings),
        *margin_lines(state),
        *further_lines(state.ranking),
    ]
    return "\n".join(lines)


def margin_lines(state: RunState) -> list[str]:
    """How far the winner's rates stand from failing, a line each; none where it is not known."""
    if state.winner is None:
        return []
    return [str(one) for one in state.margins.get(state.winner.origin, ()) if one.survived]


def further_names(ranking: Sequence[FinalistResult]) -> list[str]:
    """Names of the scores that finals have beside the first one."""
    return list(dict.fromkeys(o.name for r in ranking for s in r.scores for o in s.also))


def further_lines(ranking: Sequence[FinalistResult]) -> list[str]:
    """Whether the scores beside the first one name the same winner, a sentence each."""
    winner = ranking[0]
    equals = [one for one in ranking if bool(one.warnings) == bool(winner.warnings)]
    return [
        f"{name}: {_agreement(winner.origin, found)}"
        for name in further_names(ranking)
        if (found := [by for one in equals if (by := one.by(name))])
    ]


def _agreement(winner: int, finalists: list[FinalistResult]) -> str:
    first, *others = sorted(finalists, key=lambda one: one.mean)
    mine = next((one for one in finalists if one.origin == winner), None)
    if mine is None:
        return f"trial {winner} does not have it on every seed"
    if not others:
        return mean_text(mine)
    if first.origin == winner:
        return f"it agrees, trial {winner} is first by it too ({mean_text(mine)})"
    ahead = f"by it trial {first.origin} is ahead of trial {winner}"
    values = f"({mean_text(first)} against {mean_text(mine)})"
    if compare_with_best([first, mine])[0].is_tie:
        return f"{ahead}, but not significantly {values}"
    return f"it disagrees, {ahead} {values}; compare their samples"


def describe_winner(state: RunState) -> str:
    """A note for the study: Optuna's best trial and the search's choice may differ."""
    single = state.survivors[0]
    assert state.best is not None and single.value is not None
    return (
        f"gantune's choice is trial {state.best.number}: {describe_best(state).splitlines()[0]}. "
        f"Optuna's best trial is {single.number}, by its single score of "
        f"{format_value(single.value)}; the finals, trained on fresh seeds, are the study "
        f"{state.study}.finalists."
    )


def describe_trial(record: TrialRecord) -> str:
    """A survivor's score, with its protocol and the other metrics."""
    assert record.score is not None
    score = record.score
    lines = [
        f"{score_text(score)}, {protocol_line(score.protocol)}",
        extra_metrics_text(score.recall, score.coverage),
        *_held_out_lines(score.name, score.held_out),
        f"trial {record.number}, one seed",
    ]
    return "\n".join(lines)


def _held_out_lines(name: str, held_out: HeldOut | None) -> list[str]:
    return [] if held_out is None else textwrap.wrap(held_out_text(name, held_out), _WIDTH)


def score_name(state: RunState) -> str:
    """The name of the score, such as ``fid[classifier-digits]``; at first plain ``score``.

    It comes from the scores, and before there is one from the rungs' protocol. Only a distance by
    the Inception network is called plain ``fid``.
    """
    found = next((r.score for r in (*state.trials, *state.finalists) if r.score), None)
    protocol = found.protocol if found is not None else state.rung_protocol
    return "score" if protocol is None else protocol.score_name
