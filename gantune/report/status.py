"""The state of a search as plain values, for ``gantune status --json``."""

from typing import Any

from gantune.report.analysis.rungs import rung_agreement
from gantune.report.analysis.spending import scoring_share
from gantune.report.analysis.timeline import estimate
from gantune.scores.text import extra_metrics
from gantune.trial.records import TrialRecord, why_ended
from gantune.tuner.answer import answer
from gantune.tuner.descriptions import score_name
from gantune.tuner.finals.finalists import FinalistResult
from gantune.tuner.finals.margins import margins_json
from gantune.tuner.state import RunState


def status_json(state: RunState) -> dict[str, Any]:
    """What ``gantune status --json`` prints; later versions may add keys, never rename them.

    ``study``; ``answer``: the first sentence of each report; ``folder``; ``data``: ``found`` (one
    line on the images), ``source``, ``images``, ``content_hash`` and ``classes`` (number of images
    by name, in the order of the classes' numbers), or ``null`` where the trainer scores itself;
    ``is_running``: whether a process runs it; ``score``: the score's name;
    ``trials``: ``planned`` (``null`` if only time limits the search), ``ended``, ``running``,
    ``paused`` (they wait at a rung and may go on), ``interrupted`` (not ended while no process runs
    the search, which will resume them), ``endings`` (count by outcome, with ``paused``) and
    ``list`` (each trial: ``number``, ``ending`` (``null`` before its end, or ``paused``),
    ``score``, ``kimg``, ``budget_kimg``, ``rungs`` (score by percent of the budget), ``params``,
    ``is_start``, ``rule`` and ``evidence`` of a verdict, ``reason`` (why it ended),
    ``protocol`` (its hash), and with the score ``sampling_error``, ``recall``, ``coverage``,
    ``precision``, ``density``, ``kid``, ``kid_error``, ``balance``, ``spread``, ``held_out``,
    ``held_out_training``, ``held_out_between``, ``nearer_training``, ``copying``, as in
    ``trials.csv``); ``finals``: ``planned``, ``ended``, ``running``, ``interrupted``; ``ranking``:
    finalists, best first (``trial``, ``mean``, ``std`` over seeds, ``sampling_error``, ``recall``,
    ``coverage``, ``scores``, ``seeds``, ``is_start``, ``warnings``, ``protocol``);
    ``margins``: by trial and setting, whether a training with that multiple of it survived;
    ``rungs``: ``trials`` and
    ``rank_correlation`` between their best rung scores and their full ones, or ``null``;
    ``rung_protocol``: ``hash`` and ``samples`` of the rungs' scores, or ``null`` before the search
    starts; ``best``: number of the winner, or of the best survivor before the finals, or
    ``null``; ``seconds``, ``seconds_left`` (an estimate, or ``null``, also while nothing
    runs), and ``scoring_share`` of the search's time, in [0, 1].
    """
    agreement, scoring = rung_agreement(state.trials), scoring_share(state)
    data = state.folder.read_info().data if state.folder.info.exists() else None
    rungs, is_running = state.rung_protocol, state.folder.is_running
    return {
        "study": state.study,
        "answer": str(answer(state)),
        "folder": str(state.folder.path),
        "is_running": is_running,
        "score": score_name(state),
        "data": data and data.model_dump(),
        "trials": {
            "planned": state.planned_trials,
            **_counts(state.trials, is_running),
            "endings": dict(state.outcome_counts),
            "list": [_trial(record) for record in state.trials],
        },
        "finals": {"planned": state.planned_finalists, **_counts(state.finalists, is_running)},
        "ranking": [_ranked(ranked) for ranked in state.ranking],
        "margins": {str(number): margins_json(found) for number, found in state.margins.items()},
        "rungs": agreement
        and {"trials": agreement.trials, "rank_correlation": agreement.correlation},
        "rung_protocol": rungs and {"hash": rungs.hash, "samples": rungs.generated},
        "best": state.best.number if state.best else None,
        "seconds": state.seconds,
        "seconds_left": estimate(state).seconds_left if is_running else None,
        "scoring_share": scoring and scoring.total,
    }


def _counts(records: tuple[TrialRecord, ...], is_running: bool) -> dict[str, int]:
    left = sum(record.outcome is None for record in records)
    paused = sum(record.is_paused for record in records)
    running = left if is_running else 0
    return {
        "ended": len(records) - left - paused,
        "running": running,
        "paused": paused,
        "interrupted": left - running,
    }


def _trial(record: TrialRecord) -> dict[str, Any]:
    outcome = record.outcome
    verdict = outcome.verdict if outcome else None
    return {
        "number": record.number,
        "ending": outcome.ending if outcome else None,
        "score": record.value,
        **extra_metrics(record.score),
        "protocol": record.score.protocol.hash if record.score else None,
        "kimg": outcome.kimg if outcome else None,
        "budget_kimg": record.budget_kimg,
        "rungs": {str(percent): value for percent, value in sorted(record.rungs.items())},
        "params": dict(record.params),
        "is_start": record.is_start,
        "rule": verdict.rule if verdict else None,
        "evidence": verdict.sentence if verdict else None,
        "reason": why_ended(record) or None,
    }


def _ranked(ranked: FinalistResult) -> dict[str, Any]:
    return {
        "trial": ranked.origin,
        "mean": ranked.mean,
        "std": ranked.deviation,
        "sampling_error": ranked.error,
        "recall": ranked.recall,
        "coverage": ranked.coverage,
        "scores": list(ranked.values),
        "seeds": list(ranked.seeds),
        "is_start": ranked.is_start,
        "warnings": list(ranked.warnings),
        "protocol": ranked.scores[0].protocol.hash,
    }
