"""The page's first sections: which settings won, how certain that is, and the leaderboard."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from shlex import quote

from gantune.io.formatting import count, format_value
from gantune.report import tables
from gantune.report.analysis.rungs import rung_agreement
from gantune.report.figures.leaderboard import leaderboard
from gantune.report.findings import Finding, about_ties, cure, why_no_score, winners_ties
from gantune.report.page.html import Drawing, Section, section
from gantune.report.page.pictures import large_picture
from gantune.report.page.trials import settings_of
from gantune.report.run_data import RunData
from gantune.report.wording import left_over
from gantune.scores.score import Score
from gantune.scores.text import extra_metrics_text, held_out_text, protocol_line, protocol_text
from gantune.trial.records import TrialRecord
from gantune.tuner.answer import answer as first_sentence
from gantune.tuner.descriptions import further_lines, margin_lines, mean_text, score_name
from gantune.tuner.finals.finalists import FinalistResult, start_recipe
from gantune.tuner.state import RunState

_MOST_SURVIVORS = 10  # in the leaderboard; the table of trials has all

Picture = tuple[str, str]
"""An image's data URL and its caption."""


def answer(run: RunData) -> Section:
    """The first sentence, the best settings, and the start recipe beside them; without any score,
    what to do."""
    state, best, resume = run.state, run.state.best, _resume(run)
    first = first_sentence(state)
    if best is None:
        lines = why_no_score(state)
        if not state.outcome_counts and state.running:
            lines.append(f"{count(len(state.running), 'trial')} in training.")
        commands = []
        if (found := cure(state)) is not None:
            cures = "; ".join(map(str, found.proposals))
            lines.append(f"Against {found.rule}, for trial {found.trial}: {cures}.")
            commands = [(found.command, "tries remedies")] if found.command else []
        return section(
            "answer",
            "No answer yet",
            first=first,
            best=None,
            lines=lines,
            commands=commands,
            resume=resume,
        )
    winner, score = state.winner, best.score
    assert score is not None
    scored: Score | FinalistResult = score if winner is None else winner
    warnings = () if winner is None else winner.warnings
    title = "Best so far"
    if winner is not None or state.is_over:
        title = "The answer"
    metrics = None
    if scored.recall is not None and scored.coverage is not None:
        metrics = extra_metrics_text(scored.recall, scored.coverage)
    training = state.best_training
    commands = [(f"gantune train {quote(str(run.folder.best))}", "trains the best config")]
    checkpoint = run.folder.trial((training or best).name).best
    if checkpoint.exists():
        sample = f"gantune sample {quote(str(checkpoint))} -n 64 -o grid.png"
        commands.append((sample, "draws samples from its best training"))
    why = "the trainer scores itself" if score.protocol.is_external else "there are no sample grids"
    return section(
        "answer",
        title,
        first=first,
        best=best,
        score_name=score_name(state),
        value=format_value(best.value) if winner is None else mean_text(winner),
        seeds=_seeds(winner),
        metrics=metrics,
        warnings=_in_short(warnings),
        bars=_bars(state, best),
        findings=[*_held_out(scored, score), *_margins(state), *_further(state)],
        more=[
            *(one.details for one in winners_ties(state)),
            *_error(scored.error),
            *warnings[1:],
        ],
        remarks=[f"Data: {data['found']}"] if (data := run.info.get("data")) else [],
        settings=settings_of(run, best),
        commands=commands,
        protocol=(protocol_line(score.protocol), protocol_text(score.protocol)),
        pictures=_pictures(run),
        no_pictures=f"No pictures: {why}, see {run.folder.trial(best.name).path}.",
        resume=resume,
    )


def _in_short(warnings: Sequence[str]) -> list[str]:
    """The first of them; the others are details."""
    if len(warnings) < 2:
        return [*warnings]
    return [f"{warnings[0]} (and {count(len(warnings) - 1, 'more warning')})"]


@dataclass(frozen=True)
class Bar:
    """A score as the length of a bar."""

    name: str
    text: str
    share: float
    """Of the longest one, in percent."""
    is_best: bool


def _bars(state: RunState, best: TrialRecord) -> list[Bar]:
    """The best and the start recipe, which shows what the search has gained.

    Empty where the start recipe has no score or is itself the best, and for scores below 0.
    """
    start = next(iter(start_recipe(state.trials)), None)
    if start is None or start.number == best.number:
        return []
    means = {ranked.origin: ranked for ranked in state.ranking} if state.winner else {}
    found = []
    for record, name in ((best, f"trial {best.number}"), (start, "start recipe")):
        mean = means.get(record.number)
        value, text = record.value, format_value(record.value)
        if state.winner is not None:
            value, text = (mean.mean, mean_text(mean)) if mean else (None, "")
        if value is None or value < 0:
            return []
        found.append((name, text, value))
    longest = max(value for _, _, value in found) or 1.0
    return [
        Bar(name, text, round(100 * value / longest, 1), index == 0)
        for index, (name, text, value) in enumerate(found)
    ]


def _held_out(scored: Score | FinalistResult, score: Score) -> list[Finding]:
    """Whether samples copy training images."""
    if scored.held_out is None:
        return []
    details = held_out_text(score.name, scored.held_out)
    verdict = details.partition(": ")[2].partition(";")[0]
    return [Finding(f"Against held-out images: {verdict}.", f"{details}.")]


def _margins(state: RunState) -> list[Finding]:
    """How far the winner's rates stand from failing."""
    lines = margin_lines(state)
    if not lines:
        return []
    details = (
        "One training each with a rate multiplied, at the length of the finals and on one seed. It "
        "fails where a rule of health stops it."
    )
    return [Finding(f"Margins: {'; '.join(lines)}.", details)]


def _further(state: RunState) -> list[Finding]:
    """Whether the scores beside the first one name the same winner."""
    details = (
        "Taken of the same finals; they do not rank. A difference counts as one where it is "
        "significant over seeds."
    )
    lines = further_lines(state.ranking) if state.winner is not None else []
    return [Finding(f"{line}.", details) for line in lines]


def shown_run(run: RunData) -> TrialRecord | None:
    """The training whose samples the answer shows.

    Of the winner's seeds it is the middle one by score, so that no lucky seed is shown: of an even
    number the worse of the two in the middle. Before there is a winner it is the best trial.
    """
    finals = _seeds_with_pictures(run)
    return finals[len(finals) // 2] if finals else run.state.best


def _seeds_with_pictures(run: RunData) -> list[TrialRecord]:
    """The winner's trainings in the finals that have a score and samples, the best first."""
    state = run.state
    if state.winner is None:
        return []
    finals = [
        record
        for record in state.finalists
        if record.origin == state.winner.origin
        and record.value is not None
        and run.folder.trial(record.name).grids()
    ]
    return sorted(finals, key=lambda record: record.value or 0.0)


def sample_picture(run: RunData, name: str | None = None) -> Picture | None:
    """The answer's samples, large; ``None`` where there are no sample grids. ``name``: the run's,
    for a page of several."""
    shown = shown_run(run)
    grids = run.folder.trial(shown.name).grids() if shown is not None else {}
    if shown is None or not grids:
        return None
    at = (shown.outcome and shown.outcome.best_kimg) or 0.0
    nearest = min(grids, key=lambda kimg: abs(kimg - at))
    trial, seed = shown.number, ""
    if shown.origin is not None:
        place = _place(len(_seeds_with_pictures(run)))
        trial, seed = shown.origin, f", seed {shown.seed}{place}"
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
        title="Finals" if state.winner is not None else tables.finals(state).title,
        survivors=survivors.select(
            *("rank", "trial", "score", "error", "recall", "coverage", "scored_at")
        ),
        more=[f"{count(more, 'more survivor')} in the table of trials."] if more else [],
        findings=[
            *about_ties(state),
            *([Finding(agreement.text, agreement.details)] if agreement else []),
        ],
    )


def _place(seeds: int) -> str:
    """Where the shown seed stands among all, by score."""
    if seeds == 1:
        return ""
    if seeds == 2:
        return ", the worse of 2"
    which = "the middle one" if seeds % 2 else "the worse of the middle two"
    return f", {which} of {seeds}"


def _seeds(winner: FinalistResult | None) -> str:
    """Of how many seeds the score is."""
    if winner is None:
        return "one seed"
    scored, trained = len(winner.scores), len(winner.seeds)
    seeds = count(trained, "fresh seed")
    seeds = f"{scored} of {seeds}" if scored < trained else seeds
    return f"mean of {seeds}{'' if winner.deviation is None else ' ± their standard deviation'}"


def _error(error: float | None) -> list[str]:
    return [] if error is None else [f"Sampling error of one seed: {format_value(error, 2)}."]


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
