"""Several searches under one protocol: what each found, and for how much training."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import accumulate

from gantune.errors import ScoreError
from gantune.report.analysis.significance import compare_with_best
from gantune.report.findings import Finding, about_comparison
from gantune.report.run_data import RunData
from gantune.run_folder.stored_scores import read_protocol
from gantune.scores.protocol import Protocol, differing_text
from gantune.tuner.finalists import FinalistResult
from gantune.tuner.state import RunState

RankedRun = tuple[int, FinalistResult]
"""Index of a run, and its best result."""


def check_same_protocol(runs: Sequence[RunData]) -> Protocol:
    """The protocol of all runs. Raises ``ScoreError`` with the differences where they have two."""
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


def run_names(runs: Sequence[RunData]) -> list[str]:
    """The name of each run's folder; its whole path where two have the same name."""
    names = [run.folder.path.resolve().name for run in runs]
    paths = [str(run.folder.path) for run in runs]
    return [p if names.count(n) > 1 else n for n, p in zip(names, paths, strict=True)]


def best_of(state: RunState) -> FinalistResult | None:
    """The winner of the finals, or else the best survivor, with one seed."""
    if state.winner is not None:
        return state.winner
    best = state.best
    if best is None or best.score is None:
        return None
    return FinalistResult(best.number, best.is_start, (0,), (best.score,), ())


def rank_runs(runs: Sequence[RunData]) -> list[RankedRun]:
    """The runs that have a score, the best first; those whose finals have warnings come last."""
    found = [(index, best) for index, run in enumerate(runs) if (best := best_of(run.state))]
    return sorted(found, key=lambda entry: (bool(entry[1].warnings), entry[1].mean))


def compare_runs(ranked: Sequence[RankedRun], names: Sequence[str]) -> list[Finding]:
    """How each run compares with the best one."""
    found = compare_with_best(_indexed(ranked))
    return [about_comparison(one, names[ranked[0][0]], names[one.origin]) for one in found]


def tied_names(ranked: Sequence[RankedRun], names: Sequence[str]) -> list[str]:
    """The runs that cannot be told apart from the best one."""
    return [names[one.origin] for one in compare_with_best(_indexed(ranked)) if one.is_tie]


def progress_of(state: RunState) -> list[tuple[float, float, int]]:
    """How the best score improved: (kimg of all trials so far, best score, its trial's number).

    One entry for each trial that improved it, and one for the end of the search.
    """
    ended = [record for record in state.trials if record.outcome is not None]
    ended.sort(key=lambda record: (record.ended or 0.0, record.number))
    spent = accumulate(record.outcome.kimg for record in ended if record.outcome)
    steps: list[tuple[float, float, int]] = []
    total = 0.0
    for record, total in zip(ended, spent, strict=True):
        if record.value is not None and (not steps or record.value < steps[-1][1]):
            steps.append((total, record.value, record.number))
    return [*steps, (total, *steps[-1][1:])] if steps else []


def _indexed(ranked: Sequence[RankedRun]) -> list[FinalistResult]:
    """The results with the runs' indices for the trials' numbers."""
    return [replace(best, origin=index) for index, best in ranked]


def _protocol(run: RunData) -> Protocol:
    score = next((r.score for r in run.state.trials if r.score is not None), None)
    return score.protocol if score is not None else read_protocol(run.folder)
