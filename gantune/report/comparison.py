"""Several searches under one protocol: which found what, for how much training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import accumulate

from gantune.errors import ScoreError
from gantune.report.analysis.significance import Comparison, compare_with_best
from gantune.report.run_data import RunData
from gantune.run_folder.stored_scores import read_protocol
from gantune.scores.protocol import Protocol, differing_text
from gantune.tuner.finalists import FinalistResult
from gantune.tuner.state import RunState


def check_same_terms(runs: Sequence[RunData]) -> Protocol:
    """The one protocol of all runs. Raises ``ScoreError``, naming what differs, of two."""
    protocols = [_protocol(run) for run in runs]
    for run, other in zip(runs[1:], protocols[1:], strict=True):
        if other != protocols[0]:
            raise ScoreError(
                f"{runs[0].folder.path} and {run.folder.path} were scored under two protocols, "
                f"{protocols[0].hash} and {other.hash}, which cannot be compared; they differ in\n"
                f"{differing_text(protocols[0], other)}\n"
                "score the winners' checkpoints again under one with `gantune evaluate`"
            )
    return protocols[0]


def names_of(runs: Sequence[RunData]) -> list[str]:
    """What each run is called: its folder's name, where two have one name the whole path."""
    names = [run.folder.path.resolve().name for run in runs]
    paths = [str(run.folder.path) for run in runs]
    return [p if names.count(n) > 1 else n for n, p in zip(names, paths, strict=True)]


def best_of(state: RunState) -> FinalistResult | None:
    """The winner of the finals, else the best survivor as one of a single seed."""
    if state.winner is not None:
        return state.winner
    best = state.best
    if best is None or best.score is None:
        return None
    return FinalistResult(best.number, best.is_start, (0,), (best.score,), ())


def rank_runs(runs: Sequence[RunData]) -> list[tuple[int, FinalistResult]]:
    """Places of the runs that have an answer, and that answer, the best first; those whose finals
    have warnings last."""
    found = [(place, best) for place, run in enumerate(runs) if (best := best_of(run.state))]
    return sorted(found, key=lambda entry: (bool(entry[1].warnings), entry[1].mean))


def tie_sentences(ranked: Sequence[tuple[int, FinalistResult]], names: Sequence[str]) -> list[str]:
    """Each run beside the best one."""
    places = [place for place, _ in ranked]
    found = compare_with_best([replace(best, origin=place) for place, best in ranked])
    return [_sentence(one, names[places[0]], names[one.origin]) for one in found]


def tied_names(ranked: Sequence[tuple[int, FinalistResult]], names: Sequence[str]) -> list[str]:
    """The runs that cannot be told apart from the best one; empty where it leads."""
    found = compare_with_best([replace(best, origin=place) for place, best in ranked])
    return [names[one.origin] for one in found if one.is_tie]


def progress_of(state: RunState) -> list[tuple[float, float, str]]:
    """How the best score came down: (kimg of all trials so far, best score, its trial's name) at
    each trial that ended with a score better than all before."""
    ended = [record for record in state.trials if record.outcome is not None]
    ended.sort(key=lambda record: (record.ended or 0.0, record.number))
    spent = accumulate(record.outcome.kimg for record in ended if record.outcome)
    steps: list[tuple[float, float, str]] = []
    total = 0.0
    for record, total in zip(ended, spent, strict=True):
        if record.value is not None and (not steps or record.value < steps[-1][1]):
            steps.append((total, record.value, record.name))
    return [*steps, (total, *steps[-1][1:])] if steps else []


def _protocol(run: RunData) -> Protocol:
    score = next((r.score for r in run.state.trials if r.score is not None), None)
    return score.protocol if score is not None else read_protocol(run.folder)


def _sentence(one: Comparison, first: str, other: str) -> str:
    if one.low is None or one.high is None:
        return f"{other} and {first}: one seed each, so the difference may be chance."
    gap = (
        f"{one.value:.2f} times the score (95% interval {one.low:.2f} to {one.high:.2f})"
        if one.is_ratio
        else f"{one.value:.3g} more (95% interval {one.low:.3g} to {one.high:.3g})"
    )
    if one.is_tie:
        return f"A tie: {other} and {first} cannot be told apart; {other} has {gap}."
    return f"{other} is worse than {first}: {gap}."
