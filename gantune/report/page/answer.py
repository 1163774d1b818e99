"""The answer: who won, how sure that is, what it looks like, and what to type."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING

from gantune.io.formatting import count, format_ratio, format_value, number
from gantune.report.analysis.significance import rung_agreement
from gantune.report.figures.leaderboard import leaderboard
from gantune.report.findings import about_ties, no_survivors, winners_ties
from gantune.report.page.html import Html, Node, Section, figure_place, join, notes, tag
from gantune.report.page.pictures import large_picture
from gantune.report.run_data import RunData
from gantune.report.wording import short_names
from gantune.scores.text import held_out_text, protocol_line, protocol_text
from gantune.tuner.descriptions import mean_text, score_name
from gantune.tuner.finalists import FinalistResult
from gantune.tuner.records import TrialRecord
from gantune.tuner.state import unscored_finalists

if TYPE_CHECKING:
    from gantune.scores.score import Score


def answer(run: RunData) -> Section:
    """The first part of the page; where there is no answer it says why and what to do."""
    best = run.state.best
    if best is None:
        return Section("answer", "No answer yet", join([_nothing(run), _going_on(run)]))
    title = "The answer" if run.state.winner is not None else "Best so far"
    if run.state.winner is None and run.state.is_over:
        title = "The best"
    body = tag(
        "div",
        tag("div", *_verdict(run, best), class_="words"),
        tag("div", *_pictures(run, best), class_="pictures"),
        class_="answer",
    )
    return Section("answer", title, join([body, _going_on(run)]))


def command(text: str, hint: str = "") -> Html:
    """A command to copy."""
    button = tag("button", "copy", type="button", class_="copy", data_copy=text)
    code = tag("code", text)
    return tag("div", code, button, class_="command", title=hint or None)


def shown_run(run: RunData) -> TrialRecord | None:
    """The training whose samples stand for the answer: of the winner's seeds the middle one by
    score, so that no lucky seed is shown; else the best trial."""
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


def _verdict(run: RunData, best: TrialRecord) -> Iterator[Node]:
    state = run.state
    winner, score = state.winner, best.score
    assert score is not None
    value = mean_text(winner) if winner is not None else format_value(best.value)
    yield tag("p", score_name(state), class_="label")
    yield tag("p", value, class_="big")
    start = ", the start recipe itself" if best.is_start else ""
    who: list[Node] = [tag("button", f"trial {best.number}", class_="trial", data_trial=best.name)]
    if winner is None:
        error = "" if score.error is None else f", sampling error {format_value(score.error, 2)}"
        yield tag("p", *who, f"{start}, one seed{error}")
        yield _beside(score.recall, score.coverage)
    else:
        scored, trained = len(winner.scores), len(winner.seeds)
        seeds = count(trained, "fresh seed")
        seeds = f"{scored} of {seeds}" if scored < trained else seeds
        error = (
            ""
            if winner.error is None
            else f"; sampling error of one {format_value(winner.error, 2)}"
        )
        yield tag("p", *who, f"{start}: mean ± standard deviation over {seeds}{error}")
        yield _beside(winner.recall, winner.coverage)
        yield notes(winner.warnings, "warning")
    yield notes(_ties(run))
    held = winner.held_out if winner is not None else score.held_out
    if held is not None:
        yield tag("p", held_out_text(score.name, held), class_="note")
    yield _settings(best)
    yield from _commands(run, best, score)


def _ties(run: RunData) -> list[str]:
    """Of the finalists beside the winner those that tie, in short; the leaderboard says all."""
    if run.state.winner is None:
        return [] if run.state.is_over else ["One seed so far: the finals, on fresh seeds, decide."]
    return winners_ties(run.state)


def _beside(recall: float | None, coverage: float | None) -> Html:
    if recall is None or coverage is None:
        return tag("p", "The trainer's own number: no recall or coverage beside it.", class_="note")
    return tag("p", f"recall {format_ratio(recall)}, coverage {format_ratio(coverage)}")


def _settings(best: TrialRecord) -> Html:
    titles = short_names(best.params)
    items = [
        tag("li", tag("span", titles[name]), " ", tag("b", number(value)))
        for name, value in best.params.items()
    ]
    return tag("ul", *items, class_="settings")


def _commands(run: RunData, best: TrialRecord, score: Score) -> Iterator[Html]:
    file = run.folder.best
    yield command(f"gantune train {quote(str(file))}", "trains the best config")
    if run.folder.trial(best.name).best.exists():
        checkpoint = quote(str(run.folder.trial(best.name).best))
        yield command(f"gantune sample {checkpoint} -n 64 -o grid.png", "draws samples")
    yield tag(
        "details",
        tag("summary", protocol_line(score.protocol)),
        tag("pre", protocol_text(score.protocol)),
    )


def samples_of(run: RunData, name: str | None = None) -> Html | None:
    """The answer's samples, large, under what they are; ``None`` where there are no pictures."""
    shown = shown_run(run)
    grids = run.folder.trial(shown.name).grids() if shown is not None else {}
    if shown is None or not grids:
        return None
    at = (shown.outcome and shown.outcome.best_kimg) or 0.0
    place = min(grids, key=lambda kimg: abs(kimg - at))
    seed = f", seed {shown.seed}, the middle one" if shown.origin is not None else ""
    trial = shown.number if shown.origin is None else shown.origin
    what = f"{name}: samples" if name is not None else "Samples"
    caption = f"{what} at {place:g} kimg, {format_value(shown.value)} (trial {trial}{seed})"
    return _picture(grids[place], caption)


def _pictures(run: RunData, best: TrialRecord) -> Iterator[Node]:
    samples = samples_of(run)
    if samples is not None:
        yield samples
        protocol = run.state.rung_protocol
        is_points = protocol is not None and protocol.colour == "points"
        yield _picture(run.folder.real, "Real points" if is_points else "Real images")
        return
    scores_itself = best.score is not None and best.score.protocol.is_own
    why = "the trainer scores itself" if scores_itself else "there are no grids"
    yield tag("p", f"No pictures: {why}, see {run.folder.trial(best.name).path}.", class_="note")


def _picture(path: Path, caption: str) -> Html | None:
    source = large_picture(path) if path.exists() else None
    if source is None:
        return None
    image = tag("img", src=source, alt=caption, class_="grid")
    return tag("figure", image, tag("figcaption", caption))


def _nothing(run: RunData) -> Html:
    state = run.state
    lines = no_survivors(state)
    if not state.outcome_counts and state.running:
        lines.append(f"{count(len(state.running), 'trial')} in training.")
    if not state.outcome_counts and not state.trials:
        lines = ["No trial has begun yet."]
    return notes(lines, "lead")


def _going_on(run: RunData) -> Html | None:
    """How a search that was stopped goes on."""
    state = run.state
    if state.is_over or state.folder.is_running:
        return None
    open_ = [record for record in state.running if record.origin is None]
    left = f"{count(len(open_), 'trial')} not ended" if open_ else "not all is trained"
    typed = str(run.info.get("command", "")) or "the same command again"
    lines = [f"The search was stopped, with {left}; no finished trial is lost. Go on with:"]
    return join([notes(lines, "warning"), command(typed)])


# The leaderboard: finalists and survivors, their spread, and what cannot be told apart.


_MOST = 10  # survivors in the table; all are in the trials' table


def ranking(run: RunData) -> Section | None:
    """``None`` where no trial has a score."""
    state = run.state
    if not state.survivors:
        return None
    figure = leaderboard(run)
    agreement = rung_agreement(state.survivors)
    lines: list[Node] = [*about_ties(state), *([_sentence(str(agreement))] if agreement else [])]
    title = f"{score_name(state)}, lower is better"
    tables = tag("div", _finals(run), _survivors(run))
    drawn = tag("div", figure_place("leaderboard", figure, title), notes(lines))
    body = tag("div", tables, drawn, class_="halves")
    return Section("leaderboard", "Leaderboard", body, {"leaderboard": figure})


def _sentence(text: str) -> str:
    """A line of the terminal as a sentence."""
    words = text.removeprefix("! ")
    return f"{words[:1].upper()}{words[1:]}{'' if words.endswith('.') else '.'}"


def _finals(run: RunData) -> Html | None:
    state = run.state
    if not state.ranking:
        return None
    seeds = sorted({r.seed for r in state.finalists if r.seed is not None and r.outcome})
    heads = ["#", "trial", "mean", "error", "recall", "coverage", *(f"seed {s}" for s in seeds)]
    rows = [_ranked(run, place, one, seeds) for place, one in enumerate(state.ranking, start=1)]
    lost = unscored_finalists(state)
    words = [f"trial {number}, {text}" for one in state.ranking for number, text in _doubts(one)]
    words += [f"trial {number}: no seed has a score" for number in lost]
    caption = f"Finals: trained again from scratch on {count(len(seeds), 'fresh seed')}"
    return join(
        [tag("h3", caption), _table(heads, rows), notes(words[:6], "warning")],
    )


def _doubts(ranked: FinalistResult) -> Iterator[tuple[int, str]]:
    first, *rest = ranked.warnings or ("",)
    if first:
        more = f" (and {count(len(rest), 'more warning')})" if rest else ""
        yield ranked.origin, f"{first}{more}"


def _ranked(run: RunData, place: int, ranked: FinalistResult, seeds: list[int]) -> list[Node]:
    values = {
        record.seed: format_value(record.value)
        if record.value is not None
        else record.outcome.ending
        for record in run.state.finalists
        if record.origin == ranked.origin and record.outcome is not None
    }
    return [
        str(place),
        _trial(ranked.origin, ranked.is_start),
        tag("b", mean_text(ranked)),
        format_value(ranked.error, digits=2),
        format_ratio(ranked.recall),
        format_ratio(ranked.coverage),
        *(values.get(seed, "-") for seed in seeds),
    ]


def _survivors(run: RunData) -> Html:
    survivors = run.state.survivors
    heads = ["#", "trial", "score", "error", "recall", "coverage", "at kimg"]
    rows: list[list[Node]] = []
    for place, record in enumerate(survivors[:_MOST], start=1):
        score, outcome = record.score, record.outcome
        assert score is not None
        assert outcome is not None
        name = _trial(record.number, record.is_start)
        mark = "" if outcome.ending == "completed" else f" ({outcome.ending} later)"
        rows.append(
            [
                str(place),
                join([name, mark]),
                tag("b", format_value(record.value)),
                format_value(score.error, digits=2),
                format_ratio(score.recall),
                format_ratio(score.coverage),
                format_value(outcome.best_kimg),
            ]
        )
    more = len(survivors) - len(rows)
    rest = notes([f"{count(more, 'more survivor')} in the table of trials."]) if more else None
    return join([tag("h3", "The search: one seed each"), _table(heads, rows), rest])


def _trial(number: int, is_start: bool) -> Html:
    name = f"{number}{' start' if is_start else ''}"
    return tag("button", name, class_="trial", data_trial=f"trials/{number:04d}")


def _table(heads: list[str], rows: list[list[Node]]) -> Html:
    head = tag("thead", tag("tr", *(tag("th", head, scope="col") for head in heads)))
    body = tag("tbody", *(tag("tr", *(tag("td", cell) for cell in row)) for row in rows))
    return tag("div", tag("table", head, body, class_="small"), class_="scroll")
