"""The page's other sections: stability, curves, settings, budget and the wall of samples."""

from collections.abc import Iterator, Mapping, Sequence
from shlex import quote

from gantune.io.formatting import count, duration, format_value
from gantune.report.analysis.outcomes import MARKS, ending_of, rank_trials
from gantune.report.analysis.spending import saved_by, scoring_share, stopped_by
from gantune.report.figures.curves import all_signals, learning_curves, loss_curves, name_of
from gantune.report.figures.hyperparameters import importance_figure, parallel_coordinates
from gantune.report.figures.spending import budget_figure, timeline
from gantune.report.figures.stability import (
    common_extras,
    losses_of,
    map_axes,
    mapped_losses,
    shown_extras,
    stability_map,
)
from gantune.report.findings import about_importance, about_regions
from gantune.report.next_search import suggestions
from gantune.report.page.html import Drawing, Section, section
from gantune.report.page.pictures import Picture, image_side, small_columns
from gantune.report.run_data import RunData

_MAP_HEIGHT = 290  # pixels
_DIMENSION_WIDTH = 105  # pixels of a parallel coordinate
_GRID_COLUMNS = 4  # of a grid on the wall, so that its images can be seen
_UNFOLDED = 24  # pictures on the wall; a click unfolds the others

_HALO_WORDS = {
    "norm": "a square around a point: D has a norm",
    "penalty": "a ring around a point: a penalty",
}
_FEW_AXES = {
    0: "No number was searched: trials are in order of their number, a row for each outcome.",
    1: "One number was searched: a row for each outcome.",
}


def next_search(run: RunData) -> Section | None:
    """What to try next; ``None`` where the results speak for nothing."""
    found = suggestions(run.state)
    if not found:
        return None
    command = f"gantune next {quote(str(run.folder.path))} -o next.yaml"
    return section("next_search", "Try next", suggestions=found, command=command)


def stability(run: RunData) -> Section | None:
    """Which settings are stable; ``None`` before any trial has started."""
    if not run.state.trials:
        return None
    drawings, losses = [], mapped_losses(run)
    for index, loss in enumerate(losses):
        figure = stability_map(run, loss)
        figure.update_layout(showlegend=False, margin={"t": 8}, height=_MAP_HEIGHT)
        drawings.append(Drawing(f"map-{index}", figure, _map_title(run, loss)))
    present = {ending_of(record) for record in run.state.trials}
    slow = about_regions(run.slowness) if run.slowness.unstable else []
    return section(
        "stability",
        "Where training is stable",
        drawings,
        findings=[*about_regions(run.stability), *slow],
        legend=[(ending, MARKS[ending].words) for ending in MARKS if ending in present],
        remarks=list(_map_remarks(run, losses)),
    )


def _map_title(run: RunData, loss: str | None) -> str | None:
    """``hinge, all with a norm``."""
    common = " and ".join(f"a {kind}" for kind in common_extras(run, loss))
    return ", ".join(filter(None, (loss, f"all with {common}" if common else ""))) or None


def _map_remarks(run: RunData, losses: Sequence[str | None]) -> Iterator[str]:
    """How to read the maps."""
    if losses:
        shown = {kind for loss in losses for kind in shown_extras(run, loss)}
        around = [words for kind, words in _HALO_WORDS.items() if kind in shown]
        if around:
            yield f"{'; '.join(around)[:1].upper()}{'; '.join(around)[1:]}."
        if (few := _FEW_AXES.get(len(map_axes(run)))) is not None:
            yield few
    if left := [loss for loss in losses_of(run) if loss not in losses]:
        yield (
            f"No map of {', '.join(left)}: one trial each."
            if len(left) > 1
            else (f"No map of {left[0]}: one trial has it.")
        )
    yield "The search chose the settings: this shows where trials failed, not why."


def learning(run: RunData) -> Section | None:
    """Learning and loss curves; ``None`` before anything is recorded."""
    drawings = []
    if any(curves.scores for curves in run.curves.values()):
        drawings.append(Drawing("learning", learning_curves(run), "Rung scores"))
    for index, signal in enumerate(all_signals(run)):
        drawings.append(Drawing(f"signal-{index}", loss_curves(run, signal), name_of(signal)))
    if not drawings:
        return None
    stops = [stopped for stopped in stopped_by(run.state) if stopped.ending != "crashed"]
    listed = ", ".join(f"{stop.reason} {stop.runs}" for stop in stops)
    lead = f"Stopped early: {listed}." if listed else "No trial was stopped early."
    return section("curves", "Learning curves", drawings, lead=lead)


def settings(run: RunData) -> Section | None:
    """Which settings matter; ``None`` where none were searched."""
    if not any(record.params for record in run.state.trials):
        return None
    drawings = []
    if run.importances:
        figure = importance_figure(run)
        drawings.append(Drawing("importance", figure, "How much each setting explains"))
    lines = parallel_coordinates(run)
    dimensions = len(lines.data[0].dimensions)
    if dimensions > 2 and run.state.outcome_counts:
        title = "All trials, the best ones green; drag along an axis to select"
        width = lines.layout.margin.l + _DIMENSION_WIDTH * dimensions
        drawings.append(Drawing("parallel", lines, title, width))
    finding = about_importance(run.importances)
    return section("settings", "Which settings matter", drawings, finding=finding)


def budget(run: RunData) -> Section | None:
    """Training spent and saved, and when; ``None`` before any trial has ended."""
    state = run.state
    if not state.outcome_counts:
        return None
    drawings = [Drawing("budget", budget_figure(run), "Training spent and saved")]
    if any(record.begun for record in state.trials):
        drawings.append(Drawing("timeline", timeline(run), "When each run trained"))
    saved, scoring = saved_by(state), scoring_share(state)
    lines = [str(saved)] if saved.kimg else []
    runs = len(state.trials) + len(state.finalists)
    workers = count(state.timing.workers, "worker")
    took = f"{count(runs, 'run')} in {duration(state.seconds)} on {workers}"
    lines.append(f"{took}. {scoring}" if scoring else f"{took}.")
    return section("budget", "What it cost", drawings, lines=lines)


def gallery(run: RunData, pictures: Mapping[str, Sequence[Picture]]) -> Section | None:
    """The wall of samples, the best trial first; ``None`` where no trial has a picture.

    The page's script fills the pictures in.
    """
    trials = run.state.trials
    ordered = rank_trials(trials)
    ordered += [record for record in trials if record not in ordered]
    tiles = []
    for record in ordered:
        ending, score = ending_of(record), record.value
        text = ending.replace("_", " ") if score is None else format_value(score)
        if pictures.get(record.name):
            place = {"run": record.name, "number": record.number}
            tiles.append({**place, "ending": ending, "text": text})
    if not tiles:
        return None
    side = image_side(run)
    return section(
        "samples",
        "Samples of all trials",
        zoom=f"{small_columns(side) / _GRID_COLUMNS:.3f}" if side else None,
        tiles=tiles[:_UNFOLDED],
        folded=tiles[_UNFOLDED:],
    )
