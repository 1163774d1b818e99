"""The page's first sections: which settings won, how certain that is, and the leaderboard."""

from collections.abc import Iterator
from pathlib import Path
from shlex import quote

from gantune.io.formatting import count, format_ratio, format_value, number
from gantune.report import tables
from gantune.report.analysis.significance import rung_agreement
from gantune.report.figures.leaderboard import leaderboard
from gantune.report.findings import Finding, about_ties, no_survivors, winners_ties
from gantune.report.page.html import Drawing, Section, section
from gantune.report.page.pictures import large_picture
from gantune.report.run_data import RunData
from gantune.report.wording import short_names
from gantune.scores.score import Score
from gantune.scores.text import held_out_text, protocol_line, protocol_text
from gantune.trial.records import TrialRecord
from gantune.tuner.descriptions import mean_text, score_name
from gantune.tuner.finalists import FinalistResult

_MOST_SURVIVORS = 10  # in the leaderboard; the table of trials has all

Picture = tuple[str, str]
"""An image's data URL and its caption."""


def answer(run: RunData) -> Section:
    """The best settings; without any score, why there is none and what to do."""
    state = run.state
    best, resume = state.best, _resume(run)
    if best is None:
        return section("answer", "No answer yet", best=None, lines=_no_answer(run), resume=resume)
    winner, score = state.winner, best.score
    assert score is not None
    title = "The answer" if winner is not None else "The best" if state.is_over else "Best so far"
    held_out = winner.held_out if winner is not None else score.held_out
    names = short_names(best.params)
    return section(
        "answer",
        title,
        best=best,
        score_name=score_name(state),
        value=mean_text(winner) if winner is not None else format_value(best.value),
        seeds=_seeds(best, winner, score),
        metrics=_metrics(winner or score),
        warnings=winner.warnings if winner is not None else (),
        ties=_ties(run),
        remarks=[held_out_text(score.name, held_out)] if held_out is not None else [],
        settings=[(names[name], number(value)) for name, value in best.params.items()],
        commands=list(_commands(run, best)),
        protocol=(protocol_line(score.protocol), protocol_text(score.protocol)),
        pictures=list(_pictures(run)),
        no_pictures=_no_pictures(run, best, score),
        resume=resume,
    )


def shown_run(run: RunData) -> TrialRecord | None:
    """The training whose samples the answer shows.

    Of the winner's seeds it is the one with the median score, so that no lucky seed is shown;
    before there is a winner it is the best trial.
    """
    state = run.state
    if state.winner is not None:
        finals = [
            record
            for record in state.finalists
            if record.origin == state.winner.origin
            and record.value is not None
            and run.folder.trial(record.name).grids()
        ]
        finals.sort(key=lambda record: record.value or 0.0)
        if finals:
            return finals[(len(finals) - 1) // 2]
    return state.best


def sample_picture(run: RunData, name: str | None = None) -> Picture | None:
    """The answer's samples, large; ``None`` where there are no sample grids. ``name``: the run's,
    for a page of several."""
    shown = shown_run(run)
    grids = run.folder.trial(shown.name).grids() if shown is not None else {}
    if shown is None or not grids:
        return None
    at = (shown.outcome and shown.outcome.best_kimg) or 0.0
    nearest = min(grids, key=lambda kimg: abs(kimg - at))
    seed = f", seed {shown.seed}, the median one" if shown.origin is not None else ""
    trial = shown.number if shown.origin is None else shown.origin
    what = f"{name}: samples" if name is not None else "Samples"
    caption = f"{what} at {nearest:g} kimg, {format_value(shown.value)} (trial {trial}{seed})"
    return _picture(grids[nearest], caption)


def ranking(run: RunData) -> Section | None:
    """The leaderboard: finalists and survivors, with a figure; ``None`` without any score."""
    state = run.state
    if not state.survivors:
        return None
    drawing = Drawing("leaderboard", leaderboard(run), f"{score_name(state)}, lower is better")
    survivors = tables.leaderboard(state, _MOST_SURVIVORS, most_pruned=0)
    more = len(state.survivors) - len(survivors.rows)
    agreement = rung_agreement(state.survivors)
    return section(
        "leaderboard",
        "Leaderboard",
        [drawing],
        finals=tables.finals(state),
        survivors=survivors.select(
            *("rank", "trial", "score", "error", "recall", "coverage", "scored_at")
        ),
        more=[f"{count(more, 'more survivor')} in the table of trials."] if more else [],
        findings=[*about_ties(state), *([Finding(str(agreement))] if agreement else [])],
    )


def _seeds(best: TrialRecord, winner: FinalistResult | None, score: Score) -> str:
    """What follows the trial's name: of how many seeds the score is, and its sampling error."""
    start = ", the start recipe itself" if best.is_start else ""
    if winner is None:
        error = "" if score.error is None else f", sampling error {format_value(score.error, 2)}"
        return f"{start}, one seed{error}"
    scored, trained = len(winner.scores), len(winner.seeds)
    seeds = count(trained, "fresh seed")
    seeds = f"{scored} of {seeds}" if scored < trained else seeds
    error = ""
    if winner.error is not None:
        error = f"; sampling error of one seed {format_value(winner.error, 2)}"
    return f"{start}: mean ± standard deviation over {seeds}{error}"


def _metrics(scored: FinalistResult | Score) -> str | None:
    if scored.recall is None or scored.coverage is None:
        return None
    return f"recall {format_ratio(scored.recall)}, coverage {format_ratio(scored.coverage)}"


def _ties(run: RunData) -> list[Finding]:
    """The finalists that tie with the winner; before the finals, that they decide."""
    if run.state.winner is not None:
        return winners_ties(run.state)
    if run.state.is_over:
        return []
    return [Finding("This is one seed; the finals, on fresh seeds, decide.")]


def _commands(run: RunData, best: TrialRecord) -> Iterator[tuple[str, str]]:
    """Commands to copy, and what they do."""
    yield f"gantune train {quote(str(run.folder.best))}", "trains the best config"
    checkpoint = run.folder.trial(best.name).best
    if checkpoint.exists():
        yield f"gantune sample {quote(str(checkpoint))} -n 64 -o grid.png", "draws samples"


def _pictures(run: RunData) -> Iterator[Picture]:
    """Samples, and real images beside them."""
    samples = sample_picture(run)
    if samples is None:
        return
    yield samples
    protocol = run.state.rung_protocol
    is_points = protocol is not None and protocol.colour == "points"
    real = _picture(run.folder.real, "Real points" if is_points else "Real images")
    if real is not None:
        yield real


def _no_pictures(run: RunData, best: TrialRecord, score: Score) -> str:
    reason = (
        "the trainer scores itself" if score.protocol.is_external else "there are no sample grids"
    )
    return f"No pictures: {reason}, see {run.folder.trial(best.name).path}."


def _picture(path: Path, caption: str) -> Picture | None:
    source = large_picture(path) if path.exists() else None
    return None if source is None else (source, caption)


def _no_answer(run: RunData) -> list[str]:
    state = run.state
    if not state.outcome_counts and not state.trials:
        return ["No trial has started yet."]
    lines = no_survivors(state)
    if not state.outcome_counts and state.running:
        lines.append(f"{count(len(state.running), 'trial')} in training.")
    return lines


def _resume(run: RunData) -> dict[str, str] | None:
    """How a stopped search is resumed; ``None`` of one that runs or is over."""
    state = run.state
    if state.is_over or state.folder.is_running:
        return None
    unfinished = [record for record in state.running if record.origin is None]
    left = f"{count(len(unfinished), 'trial')} unfinished" if unfinished else "finals left to train"
    text = f"The search was stopped with {left}; no finished trial is lost. Resume it with:"
    return {"text": text, "command": str(run.info.get("command", "")) or "the same command again"}
