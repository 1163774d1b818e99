"""Before and after a search: the plan of ``--dry-run``, and the closing summary."""

from __future__ import annotations

from collections.abc import Iterator
from shlex import quote
from typing import TYPE_CHECKING

from rich.console import Console, RenderableType
from rich.text import Text

from gantune.config import dump_config
from gantune.io.formatting import approximate_duration, count, duration, format_value, number
from gantune.report import tables
from gantune.report.analysis.spending import saved_by, scoring_share
from gantune.report.findings import no_survivors
from gantune.report.terminal.tables import (
    TableView,
    finals_view,
    leaderboard_view,
    new_table,
    outcome_counts_line,
)
from gantune.report.wording import left_over
from gantune.run_folder.run import RunFolder
from gantune.scores.text import extra_metrics_text, held_out_text, score_text
from gantune.tuner.descriptions import mean_text, ranked_text, score_name
from gantune.tuner.finalists import start_recipe
from gantune.tuner.state import RunState, unscored_finalists

if TYPE_CHECKING:
    from gantune.space import SearchSpace
    from gantune.tuner.prepare import Cost, Search

_MOST_CLASSES = 30  # in a table
_SHORT_KIMG = 1000.0  # a training below it still depends on the number of updates


def print_summary(console: Console, state: RunState, *, interrupted: bool = False) -> None:
    """Prints leaderboard, finals, winner, stopped trials, and the next command to type.

    ``interrupted``: the user stopped the search, which can be resumed.
    """
    finals = sum(record.outcome is not None for record in state.finalists)
    runs = count(state.outcome_counts.total(), "trial")
    runs += f" and {finals} finals" if finals else ""
    heading = f"{state.study}: {runs} in {duration(state.seconds)}; trials: "
    console.print()
    console.print(Text.assemble((heading, "bold"), outcome_counts_line(state)))
    for block in (_ranking(state), _stopping(state), _remarks(state)):
        parts = list(block)
        if parts:
            console.print()
        for part in parts:
            console.print(part)
    console.print()
    for name, text, style in _next_steps(state, interrupted):
        line = Text.assemble((f"{name:<11}", "dim"), (text, style))
        console.print(line, soft_wrap=True)  # unbroken, so that it can be copied


def print_data(console: Console, folder: RunFolder) -> None:
    """Prints what the run learns, and its classes by number, as ``gantune sample --class`` does."""
    data = folder.read_info().data if folder.info.exists() else None
    if data is None:
        return
    console.print(Text(data.found))
    if not data.classes:
        return
    table = new_table()
    for heading, side in (("class", "right"), ("name", "left"), ("images", "right")):
        table.add_column(heading, justify="right" if side == "right" else "left")
    for index, (name, size) in enumerate(data.classes.items()):
        if index == _MOST_CLASSES:
            table.add_row("...", f"{len(data.classes) - index:,} more", "")
            break
        table.add_row(str(index), Text(name), f"{size:,}")
    console.print(table)


def _ranking(state: RunState) -> Iterator[RenderableType]:
    if not state.survivors:
        first, *rest = no_survivors(state)
        yield Text(first, "bold red" if state.outcome_counts else "")
        yield from map(Text, rest)
        return
    yield leaderboard_view(state)
    yield Text()
    if state.ranking:
        yield finals_view(state)
        yield Text()
    best, winner = state.survivors[0], state.winner
    assert best.score is not None
    if winner is None:
        so_far = " so far; the finals have not ended" if state.ranking else ""
        beside = extra_metrics_text(best.score.recall, best.score.coverage)
        line = f"Best: trial {best.number}, {score_text(best.score)}, one seed; {beside}{so_far}"
    else:
        which = ", the start recipe itself" if winner.is_start else ""
        beside = extra_metrics_text(winner.recall, winner.coverage)
        line = f"Winner: trial {winner.origin}{which}, {score_name(state)} {ranked_text(winner)}, "
        line += f"{beside}{_start_recipe(state)}"
    yield Text(line, "bold green")
    held_out = best.score.held_out if winner is None else winner.held_out
    if held_out is not None:
        yield Text(held_out_text(score_name(state), held_out))
    if winner is not None and winner.warnings:
        yield Text("Every finalist has a warning, the winner too: look at its samples.", "yellow")
    if winner is not None and best.number != winner.origin:
        yield Text(
            f"Trial {best.number} has the best score of the search ({format_value(best.value)}, "
            "one seed), so Optuna calls it the best trial; over fresh seeds it is not."
        )


def _start_recipe(state: RunState) -> str:
    """The start recipe's score on the winner's seeds."""
    for ranked in state.ranking[1:]:
        if ranked.is_start:
            return f"; the start recipe (trial {ranked.origin}) has {mean_text(ranked)}"
    for record in start_recipe(state.trials):
        if record.number in unscored_finalists(state):
            return f"; the start recipe (trial {record.number}) has no score on any seed"
    return ""


def _stopping(state: RunState) -> Iterator[RenderableType]:
    table = tables.spending(state)
    if table.rows:
        yield TableView(table)
        saved = saved_by(state)
        if saved.kimg:
            yield Text(str(saved))


def _remarks(state: RunState) -> Iterator[Text]:
    scoring = scoring_share(state)
    if scoring is not None and state.outcome_counts:  # earlier it says nothing about the search
        yield Text(str(scoring))
    sizes = {r.params["batch_size"] for r in state.trials if "batch_size" in r.params}
    is_short = any(record.budget_kimg < _SHORT_KIMG for record in state.trials)
    if len(sizes) < 2 or not is_short:
        return
    ended = [record.outcome for record in state.survivors if record.outcome is not None]
    steps = {outcome.step for outcome in ended if outcome.ending == "completed"}
    here = f" (here {min(steps):,} to {max(steps):,} generator steps)" if len(steps) > 1 else ""
    yield Text(
        "A budget in kimg fixes the number of images, not of updates: in a short search small "
        f"batches get more updates{here}, which favours them. Finalists that train longer "
        "(finalists: {kimg: 4x} in the space) show whether a winner lasts."
    )


def _next_steps(state: RunState, interrupted: bool) -> Iterator[tuple[str, str, str]]:
    """Files to look at, and commands to type: name, text and style."""
    folder = state.folder
    if state.best is None:
        yield "files", str(folder.path), ""
    else:
        home = folder.trial(state.best.name)
        yield "config", str(folder.best), ""
        if home.external_best.exists():
            yield "saved", f"{home.external_best}, what the trainer wrote", ""
        if home.path.exists() and (home.grids() or not home.external_best.exists()):
            yield "samples", f"{home.path}/samples-*.png", ""
        if home.neighbours.exists():
            yield "neighbours", str(home.neighbours), ""
        yield "trials", str(folder.table), ""
    if folder.report.exists():
        yield "report", f"{folder.report}, to open in a browser", ""
    if state.best is not None:
        yield "train it", f"gantune train {quote(str(folder.best))}", "bold cyan"
        if home.best.exists():
            sample = f"gantune sample {quote(str(home.best))} -n 64 -o grid.png"
            yield "sample it", sample, "bold cyan"
    if interrupted:
        yield "resume", "run the same command again; no finished trial is lost", ""
        if state.paused:
            yield "", f"it was stopped with {left_over(state)}", ""


def print_plan(console: Console, search: Search) -> None:
    """Prints the first trial's whole config as YAML, then the estimated cost as comments.

    The output is itself a config that can be trained. An unknown speed is measured by training for
    about two seconds; an external trainer is not called, so its cost stays unknown.
    """
    from gantune.tuner.prepare import estimate_cost

    console.print(Text(dump_config(search.config)), soft_wrap=True, end="")
    placement, cost = search.placement, estimate_cost(search)
    devices = ", ".join(dict.fromkeys(placement.devices))
    threads = count(placement.threads, "thread")
    lines = [
        *([] if search.real is None else [f"data: {search.real.found}"]),
        f"run folder: {search.folder.path}",
        f"workers: {len(placement.devices)} on {devices}, {threads} each",
        *(f"measured, without scoring: {sentence}" for sentence in placement.measured),
    ]
    if search.ray is not None and search.workers == "auto":
        lines[-1] = "workers: as many as fit into the Ray cluster; the cost is for one"
    if cost is None:
        lines.append("cost: unknown, as the trainer is your own and was not run")
    else:
        lines.append(f"speed: about {number(cost.images_per_second)} images/s in all")
        lines += _cost_lines(search.space, cost)
    for line in lines:
        console.print(Text(f"# {line}", "dim"), soft_wrap=True)


def _cost_lines(space: SearchSpace, cost: Cost) -> list[str]:
    """What a search trains, how long that takes, and what may end it before."""
    budget, lines = space.budget, []
    if cost.kimg is not None and cost.seconds is not None:
        trials = "as many trials as fit" if budget.trials is None else count(budget.trials, "trial")
        finals = " and the finals" if space.finalists.top else ""
        most, why = "at most", " if nothing is stopped early"
        if space.pruning.pauses:
            most, why = "about", f", as {space.pruning.rule} pauses all but the best at each rung"
        what = f"{most} {number(cost.kimg)} kimg for {trials}{finals}"
        lines.append(f"cost: {what}, {approximate_duration(cost.seconds)} of training{why}")
    if budget.time is not None and (cost.seconds is None or cost.seconds > budget.time):
        lines.append(f"it ends after {duration(budget.time)} (budget.time), finals included")
    if budget.patience is not None:
        trials = count(budget.patience, "trial")
        lines.append(f"it ends after {trials} without a better score (budget.patience)")
    return lines
