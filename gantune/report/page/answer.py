"""The page's first sections: which settings won, how certain that is, and the leaderboard."""

from pathlib import Path
from shlex import quote

from gantune.io.formatting import count, format_value, number
from gantune.report import tables
from gantune.report.analysis.significance import rung_agreement
from gantune.report.figures.leaderboard import leaderboard
from gantune.report.findings import Finding, about_ties, no_survivors, winners_ties
from gantune.report.page.html import Drawing, Section, section
from gantune.report.page.pictures import large_picture
from gantune.report.run_data import RunData
from gantune.report.wording import left_over, short_names
from gantune.scores.score import Score
from gantune.scores.text import extra_metrics_text, held_out_text, protocol_line, protocol_text
from gantune.trial.records import TrialRecord
from gantune.tuner.descriptions import mean_text, score_name
from gantune.tuner.finalists import FinalistResult

_MOST_SURVIVORS = 10  # in the leaderboard; the table of trials has all

Picture = tuple[str, str]
"""An image's data URL and its caption."""


def answer(run: RunData) -> Section:
    """The best settings; without any score, why there is none and what to do."""
    state, best, resume = run.state, run.state.best, _resume(run)
    if best is None:
        lines = no_survivors(state) if state.trials else ["No trial has started yet."]
        if not state.outcome_counts and state.running:
            lines.append(f"{count(len(state.running), 'trial')} in training.")
        return section("answer", "No answer yet", best=None, lines=lines, resume=resume)
    winner, score = state.winner, best.score
    assert score is not None
    scored: Score | FinalistResult = score if winner is None else winner
    if winner is not None:
        title, value, ties = "The answer", mean_text(winner), winners_ties(state)
    elif state.is_over:
        title, value, ties = "The best", format_value(best.value), []
    else:
        title, value = "Best so far", format_value(best.value)
        ties = [Finding("This is one seed; the finals, on fresh seeds, decide.")]
    metrics = None
    if scored.recall is not None and scored.coverage is not None:
        metrics = extra_metrics_text(scored.recall, scored.coverage)
    held_out = scored.held_out
    checkpoint = run.folder.trial(best.name).best
    commands = [(f"gantune train {quote(str(run.folder.best))}", "trains the best config")]
    if checkpoint.exists():
        sample = f"gantune sample {quote(str(checkpoint))} -n 64 -o grid.png"
        commands.append((sample, "draws samples"))
    why = "the trainer scores itself" if score.protocol.is_external else "there are no sample grids"
    names = short_names(best.params)
    return section(
        "answer",
        title,
        best=best,
        score_name=score_name(state),
        value=value,
        seeds=_seeds(best, winner, score),
        metrics=metrics,
        warnings=winner.warnings if winner is not None else (),
        ties=ties,
        remarks=[
            *([held_out_text(score.name, held_out)] if held_out is not None else []),
            *([f"Data: {data['found']}"] if (data := run.info.get("data")) else []),
        ],
        settings=[(names[name], number(value)) for name, value in best.params.items()],
        commands=commands,
        protocol=(protocol_line(score.protocol), protocol_text(score.protocol)),
        pictures=_pictures(run),
        no_pictures=f"No pictures: {why}, see {run.folder.trial(best.name).path}.",
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


def _pictures(run: RunData) -> list[Picture]:
    """Samples, and real images to compare them with."""
    protocol = run.state.rung_protocol
    real = "Real points" if protocol and protocol.colour == "points" else "Real images"
    samples = sample_picture(run)
    found = [samples, _picture(run.folder.real, real)] if samples else []
    return [picture for picture in found if picture is not None]


def _picture(path: Path, caption: str) -> Picture | None:
    source = large_picture(path) if path.exists() else None
    return None if source is None else (source, caption)


def _resume(run: RunData) -> dict[str, str] | None:
    """How a stopped search is resumed; ``None`` of one that runs or is over."""
    state = run.state
    if state.is_over or state.folder.is_running:
        return None
    left = left_over(state)
    text = f"The search was stopped with {left}; no finished trial is lost. Resume it with:"
    return {"text": text, "command": str(run.info.get("command", "")) or "the same command again"}
