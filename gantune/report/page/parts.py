"""The parts of the page: where runs live, how they learn, what matters, what it cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from gantune.io.formatting import approximate_duration, count, duration, format_value, number, share
from gantune.report.analysis.outcomes import MARKS, ending_of, rank_trials
from gantune.report.analysis.spending import saved_by, scoring_share, stopped_by
from gantune.report.figures.curves import all_signals, learning_curves, loss_curves, name_of
from gantune.report.figures.hyperparameters import importance_figure, parallel_coordinates
from gantune.report.figures.spending import budget_figure, timeline
from gantune.report.figures.stability import losses_of, map_axes, stability_map
from gantune.report.findings import about_importance, about_regions
from gantune.report.page.html import Html, Node, Section, figure_place, join, notes, tag
from gantune.report.page.pictures import SIDE, Picture, layout_of
from gantune.report.run_data import RunData
from gantune.tuner.records import TrialRecord

if TYPE_CHECKING:
    from plotly.graph_objects import Figure


_MAP = 290  # pixels of a map's height


_DIMENSION = 105  # pixels of a parallel coordinate


_LESS = {
    0: "No number was searched: runs are in order of their trial, a row an outcome. ",
    1: "One number was searched: a row is an outcome. ",
}


def stability(run: RunData) -> Section | None:
    """Where runs live and die; ``None`` before any has begun."""
    if not run.state.trials:
        return None
    figures = {
        f"map-{place}": (stability_map(run, loss), loss)
        for place, loss in enumerate(losses_of(run) or [None])
    }
    for made, _ in figures.values():
        made.update_layout(showlegend=False, margin={"t": 8}, height=_MAP)
    panels = [figure_place(name, made, loss) for name, (made, loss) in figures.items()]
    what = _LESS.get(len(map_axes(run)), "")
    how = (
        f"{what}Each sentence stands out from all regions that were tried, taken together: "
        "Fisher's exact test, its p corrected by dealing the endings out anew (Westfall and "
        "Young). The sampler chose the settings, so this tells where runs died, not why. Pruned "
        "runs count as alive when they were stopped; crashes and full memory are left out."
    )
    body = join(
        [
            notes(about_regions(run.stability), "lead"),
            _legend(run),
            tag("div", *panels, class_="panels"),
            notes([how]),
        ]
    )
    return Section(
        "stability", "Where runs live and die", body, {n: made for n, (made, _) in figures.items()}
    )


def _legend(run: RunData) -> Html:
    """One for all maps."""
    present = {ending_of(record) for record in run.state.trials}
    marks = [tag("span", MARKS[e].words, class_=f"badge {e}") for e in MARKS if e in present]
    return tag("p", *marks, class_="legend")


def learning(run: RunData) -> Section | None:
    """Learning and loss curves; ``None`` where nothing is recorded yet."""
    figures: dict[str, tuple[Figure, str]] = {}
    if any(curves.scores for curves in run.curves.values()):
        figures["learning"] = (learning_curves(run), "Scores on the way")
    for place, signal in enumerate(all_signals(run)):
        figures[f"signal-{place}"] = (loss_curves(run, signal), name_of(signal))
    if not figures:
        return None
    stops = [stopped for stopped in stopped_by(run.state) if stopped.ending not in ("crashed",)]
    listed = ", ".join(f"{stop.by} {stop.trials}" for stop in stops)
    lead = f"Stopped early: {listed}." if listed else "No run was stopped early."
    hint = (
        "A marker at a line's end is its stop; it says why. Click a line or a marker to open the "
        "trial with its samples; click the legend to hide an outcome."
    )
    panels = [figure_place(name, made, title) for name, (made, title) in figures.items()]
    body = join([notes([lead], "lead"), tag("div", *panels, class_="panels wide"), notes([hint])])
    return Section("curves", "How runs learn", body, {n: made for n, (made, _) in figures.items()})


def settings(run: RunData) -> Section | None:
    """Which settings matter; ``None`` where none were searched."""
    if not any(record.params for record in run.state.trials):
        return None
    figures: dict[str, Figure] = {}
    parts: list[Node] = [notes([about_importance(run.importances)], "lead")]
    if run.importances:
        made = figures["importance"] = importance_figure(run)
        parts.append(figure_place("importance", made, "What each setting explains"))
        how = (
            "Share of the differences in rank between trials that a setting explains by itself "
            "(Kruskal and Wallis, as an adjusted share), with a 90% interval; gray: what chance "
            "alone gives. Interactions are not in it: the map above shows the two rates together."
        )
        parts.append(notes([how]))
    lines = parallel_coordinates(run)
    dimensions = len(lines.data[0].dimensions)
    if dimensions > 2 and run.state.outcome_counts:
        figures["parallel"] = lines
        title = "All trials, the best green; drag along an axis to select"
        parts.append(figure_place("parallel", lines, title, wide=_DIMENSION * dimensions))
    return Section("settings", "Which settings matter", join(parts), figures)


def budget(run: RunData) -> Section | None:
    """What was spent and saved, and when; ``None`` before any trial has ended."""
    state = run.state
    if not state.outcome_counts:
        return None
    figures = {"budget": budget_figure(run)}
    panels = [figure_place("budget", figures["budget"], "Training spent and saved")]
    if any(record.begun for record in state.trials):
        figures["timeline"] = timeline(run)
        panels.append(figure_place("timeline", figures["timeline"], "When each run trained"))
    saved, scoring = saved_by(state), scoring_share(state)
    lines = []
    if saved.kimg:
        lines.append(
            f"Stopping early saved {number(float(saved.kimg))} kimg, {share(saved.share)} of the "
            f"trials' budget: {approximate_duration(saved.seconds)} of this search."
        )
    runs = len(state.trials) + len(state.finalists)
    workers = count(state.timing.workers, "worker")
    took = f"{count(runs, 'run')} in {duration(state.seconds)} on {workers}"
    lines.append(f"{took}. {scoring}" if scoring else f"{took}.")
    note = (
        "Lanes are drawn from overlap in time: which worker had a run is not recorded. Pauses of "
        "over a minute, in which nothing trained, are left out; hatched: finals."
    )
    body = join([notes(lines, "lead"), tag("div", *panels, class_="panels wide"), notes([note])])
    return Section("budget", "What it cost", body, figures)


# All trials' samples on one wall, the best first.


_SHOWN_COLUMNS = 4  # of a grid, so that its images can be seen


_AT_FIRST = 24  # the others are unfolded on request


def gallery(run: RunData, pictures: Mapping[str, Sequence[Picture]]) -> Section | None:
    """``None`` where no trial has a picture. The pictures themselves come with the details."""
    trials = run.state.trials
    ordered = rank_trials(trials)
    ordered += [record for record in trials if record not in ordered]
    shown = [record for record in ordered if pictures.get(record.name)]
    if not shown:
        return None
    layout = layout_of(run)
    zoom = f"--zoom:{layout.columns(SIDE) / _SHOWN_COLUMNS:.3f}" if layout else None
    first = tag("div", *map(_tile, shown[:_AT_FIRST]), class_="wall", style=zoom)
    rest = None
    if len(shown) > _AT_FIRST:
        more = tag("div", *map(_tile, shown[_AT_FIRST:]), class_="wall", style=zoom)
        rest = tag("details", tag("summary", f"{len(shown) - _AT_FIRST} more"), more)
    hint = "The last samples of each trial, the best first. Click one to see it along its training."
    return Section("samples", "Samples of all trials", join([notes([hint]), first, rest]))


def _tile(record: TrialRecord) -> Html:
    ending = ending_of(record)
    words = format_value(record.value) if record.value is not None else ending.replace("_", " ")
    image = tag("img", data_picture=record.name, alt=f"samples of trial {record.number}")
    image = tag("span", image, class_="window")
    caption = tag("span", f"{record.number}", tag("b", words), class_="caption")
    return tag(
        "button", image, caption, type="button", data_trial=record.name, class_=f"tile {ending}"
    )
